//! Answers of a provider as its documentation has them, for the practice gateway to give.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};
use notty_storage::{
    Timestamp,
    model::{MessageId, Phone},
};
use serde_json::{Map, Value as Json};

use super::{
    body::JsonForm,
    fill,
    judge::AnswerMeaning,
    placeholder::Placeholder,
    reading::FoundMessage,
    template::{Template, TemplatePiece},
};
use crate::gateway::{Envelope, outcome::HaltScope};

/// One answer, with placeholders in it.
#[derive(Clone, Debug)]
pub struct PracticeAnswer {
    pub(super) name: String,
    pub(super) kind: AnswerKind,
    pub(super) occasion: Option<AnswerOccasion>,
    pub(super) status: u16,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: AnswerForm,
}

/// The body of an answer.
#[derive(Clone, Debug)]
pub(super) enum AnswerForm {
    /// A text of any kind.
    Text(Template),
    /// A JSON object, whose names may have placeholders too.
    Json(JsonForm),
}

/// The kind of what an answer means for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// The provider has the message.
    Taken,
    /// The provider never will have it.
    Refused,
    /// The provider did not take it now.
    Later,
    /// The provider takes nothing at present.
    Halt,
    /// The provider takes nothing of this mailing.
    HaltMailing,
    /// The provider may have the message.
    Unsure,
}

/// The requests that an answer is for, if it is not given on demand alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerOccasion {
    /// Requests with a wrong secret.
    Secret,
    /// Requests that the profile does not make.
    Request,
}

/// An answer as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilledAnswer {
    /// The status of the HTTP answer.
    pub status: u16,
    /// Its headers, each `Name: value`.
    pub headers: Vec<String>,
    /// The body, empty if there is none.
    pub body: String,
}

/// The message that an answer speaks of.
#[derive(Clone, Copy)]
pub(super) struct AnsweredMessage<'m> {
    /// The values of the request, in its own writing.
    found: Option<&'m FoundMessage>,
    /// The message itself; the id may be made up.
    pub(super) envelope: Envelope<'m>,
}

impl AnswerKind {
    /// All kinds, in the order in which people expect them.
    pub(super) const ALL: [Self; 6] = [
        Self::Taken,
        Self::Refused,
        Self::Later,
        Self::Halt,
        Self::HaltMailing,
        Self::Unsure,
    ];

    /// The kind's name, as profiles write it; both kinds of halt have the same.
    pub fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Refused => "refused",
            Self::Later => "later",
            Self::Halt | Self::HaltMailing => "halt",
            Self::Unsure => "unsure",
        }
    }

    /// The scope of a halt, if it is not the gateway.
    pub fn scope(self) -> Option<&'static str> {
        (self == Self::HaltMailing).then_some("mailing")
    }

    /// The kind of a judgement.
    pub fn of(meaning: &AnswerMeaning) -> Self {
        match meaning {
            AnswerMeaning::Taken { .. } => Self::Taken,
            AnswerMeaning::Refused { .. } => Self::Refused,
            AnswerMeaning::Later { .. } => Self::Later,
            AnswerMeaning::Halt { scope } => Self::of_halt(*scope),
            AnswerMeaning::Unsure => Self::Unsure,
        }
    }

    fn of_halt(scope: HaltScope) -> Self {
        match scope {
            HaltScope::Gateway => Self::Halt,
            HaltScope::Mailing => Self::HaltMailing,
        }
    }

    /// True if the provider did not take the message, and would take no other one either.
    pub fn is_halt(self) -> bool {
        matches!(self, Self::Halt | Self::HaltMailing)
    }

    /// True if the provider has the message, or may have it.
    pub fn may_be_taken(self) -> bool {
        matches!(self, Self::Taken | Self::Unsure)
    }
}

impl PracticeAnswer {
    /// The name by which it is asked for, as `no money`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kind of what it means.
    pub fn kind(&self) -> AnswerKind {
        self.kind
    }

    /// The occasion on which it is given without being asked for; `None` for most answers.
    pub fn occasion(&self) -> Option<AnswerOccasion> {
        self.occasion
    }

    /// The answer to a message. `number` stands for the id where none travels.
    pub fn filled(&self, message: &FoundMessage, number: MessageId) -> FilledAnswer {
        self.fill(AnsweredMessage::of(message, number))
    }

    /// The answer to a request in which no message was found.
    pub fn filled_for_nobody(&self) -> FilledAnswer {
        self.fill(AnsweredMessage::nobody())
    }

    pub(super) fn fill(&self, message: AnsweredMessage<'_>) -> FilledAnswer {
        FilledAnswer {
            status: self.status,
            headers: self.header_lines(),
            body: self.body.fill(message),
        }
    }

    fn header_lines(&self) -> Vec<String> {
        let lines = self.headers.iter().map(header_line);
        lines.chain(self.body.content_type()).collect()
    }
}

fn header_line((name, value): &(HeaderName, HeaderValue)) -> String {
    format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
}

impl AnswerForm {
    /// Every text in it, but for the names of members.
    pub(super) fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Text(template) => vec![template],
            Self::Json(form) => form.templates(),
        }
    }

    fn content_type(&self) -> Option<String> {
        let is_json = matches!(self, Self::Json(_));
        is_json.then(|| "content-type: application/json".to_owned())
    }

    fn fill(&self, message: AnsweredMessage<'_>) -> String {
        match self {
            Self::Text(template) => message.text(template),
            Self::Json(form) => message.json(form).to_string(),
        }
    }
}

fn sample() -> Envelope<'static> {
    Envelope {
        id: MessageId::from_u64(1 << 32).expect("the id of a first message"),
        phone: Phone::parse("+79161112233").expect("a phone number"),
        text: "Hello",
        ends_at: Timestamp::default(),
        receipt_url: "",
    }
}

impl<'m> AnsweredMessage<'m> {
    pub(super) fn of(message: &'m FoundMessage, number: MessageId) -> Self {
        let id = message.id().and_then(MessageId::from_u64);
        Self {
            found: Some(message),
            envelope: Envelope {
                id: id.unwrap_or(number),
                phone: message.phone(),
                text: message.text(),
                ends_at: Timestamp::default(),
                receipt_url: "",
            },
        }
    }

    /// A message that stands for any.
    pub(super) fn nobody() -> Self {
        Self {
            found: None,
            envelope: sample(),
        }
    }

    fn value(&self, placeholder: &Placeholder) -> Cow<'m, str> {
        let found = self.found.and_then(|found| found.value(placeholder));
        let found = found.map(Cow::Borrowed);
        let filled = || fill::of_message(placeholder, &self.envelope);
        found.or_else(filled).unwrap_or_default()
    }

    pub(super) fn text(&self, template: &Template) -> String {
        let pieces = template.0.iter().map(|piece| self.piece(piece));
        pieces.collect()
    }

    fn piece(&self, piece: &TemplatePiece) -> String {
        match piece {
            TemplatePiece::Fixed(text) => text.clone(),
            TemplatePiece::Filled(placeholder) => self.value(placeholder).into_owned(),
        }
    }

    pub(super) fn json(&self, form: &JsonForm) -> Json {
        match form {
            JsonForm::Plain(text) => serde_json::from_str(text).unwrap_or_default(),
            JsonForm::Text(template) => self.json_text(template),
            JsonForm::Array(elements) => elements.iter().map(|form| self.json(form)).collect(),
            JsonForm::Object(members) => Json::Object(self.members(members)),
        }
    }

    fn members(&self, members: &[(String, JsonForm)]) -> Map<String, Json> {
        let members = members.iter();
        let filled = members.map(|(name, form)| (self.key(name), self.json(form)));
        filled.collect()
    }

    /// The name of a member, in which a phone or an id may stand.
    fn key(&self, name: &str) -> String {
        let template = Template::parse(name);
        template.map_or_else(|_| name.to_owned(), |template| self.text(&template))
    }

    /// A text, or the number that is all of it.
    fn json_text(&self, template: &Template) -> Json {
        let text = self.text(template);
        let lone = template.lone_placeholder();
        let is_number = lone.is_some_and(Placeholder::is_number);
        let number = text.parse::<u64>().ok().filter(|_| is_number);
        number.map_or(Json::String(text), Json::from)
    }
}
