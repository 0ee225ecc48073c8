//! Answers of a provider as its documentation has them: `[[practice]]` of a profile, for the practice
//! gateway to give.
//!
//! Each says what it means, and the rules of the profile must agree: so they are examples of the rules as
//! well, which are checked whenever the profile is read.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use notty_storage::model::{MessageId, Phone};
use serde_json::Value as Json;
use toml::{Table, Value};

use super::{
    body::{JsonForm, template},
    fill,
    judge::{AnswerMeaning, WholeAnswer, judge},
    keys::KeyReader,
    placeholder::Placeholder,
    reading::FoundMessage,
    rule::{AnswerRule, HaltScope},
    spot::Spot,
    template::{Template, TemplatePiece},
};
use crate::gateway::Envelope;

/// One answer, with placeholders in it.
#[derive(Clone, Debug)]
pub struct PracticeAnswer {
    name: String,
    kind: AnswerKind,
    occasion: Option<AnswerOccasion>,
    status: u16,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: AnswerForm,
}

/// The kind of what an answer means for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// The provider has the message.
    Taken,
    /// It never will.
    Refused,
    /// It did not take it now.
    Later,
    /// It takes nothing at present.
    Halt,
    /// It takes nothing of this mailing.
    HaltMailing,
    /// It may have the message.
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
    /// Its body.
    pub body: String,
}

/// The body of an answer.
#[derive(Clone, Debug)]
enum AnswerForm {
    Text(Template),
    Json(JsonForm),
}

/// The message that an answer speaks of.
#[derive(Clone, Copy)]
struct AnsweredMessage<'m> {
    /// What the request had, in its own writing.
    found: Option<&'m FoundMessage>,
    /// What it had not: a number in place of the id.
    envelope: Envelope<'m>,
}

impl AnswerKind {
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

    /// True if the provider has the message, or may have it.
    pub fn may_be_taken(self) -> bool {
        matches!(self, Self::Taken | Self::Unsure)
    }

    fn of_halt(scope: HaltScope) -> Self {
        match scope {
            HaltScope::Gateway => Self::Halt,
            HaltScope::Mailing => Self::HaltMailing,
        }
    }

    fn parse(is: &str) -> Option<Self> {
        let kinds = [
            Self::Taken,
            Self::Refused,
            Self::Later,
            Self::Halt,
            Self::Unsure,
        ];
        kinds.into_iter().find(|kind| kind.name() == is)
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

    /// The requests that it is for, if there are such.
    pub fn occasion(&self) -> Option<AnswerOccasion> {
        self.occasion
    }

    /// The answer to a message. `number` stands for the id where none travels.
    pub fn filled(&self, message: &FoundMessage, number: MessageId) -> FilledAnswer {
        self.fill(AnsweredMessage {
            found: Some(message),
            envelope: Envelope {
                id: message.id().and_then(MessageId::from_u64).unwrap_or(number),
                phone: message.phone(),
                text: message.text(),
            },
        })
    }

    /// The answer to a request in which no message was found.
    pub fn filled_for_nobody(&self) -> FilledAnswer {
        self.fill(nobody())
    }

    fn fill(&self, message: AnsweredMessage<'_>) -> FilledAnswer {
        let header = |(name, value): &(HeaderName, HeaderValue)| {
            format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
        };
        let mut headers: Vec<String> = self.headers.iter().map(header).collect();
        if matches!(self.body, AnswerForm::Json(_)) {
            headers.push("content-type: application/json".to_owned());
        }
        FilledAnswer {
            status: self.status,
            headers,
            body: self.body.fill(message),
        }
    }

    fn parse(table: &Table, spot: &Spot<'_>) -> Option<Self> {
        let mut keys = KeyReader::new(table, spot.clone());
        let name = keys.required_text("name").map(str::to_owned);
        let kind = kind(&mut keys);
        let occasion = occasion(&mut keys);
        let status = keys.number("status", 200..=599);
        let headers = headers(&mut keys);
        let body = body(&mut keys);
        keys.finish();

        if status.is_none() {
            keys_missing(table, "status", spot);
        }
        Some(Self {
            name: name?,
            kind: kind?,
            occasion,
            status: u16::try_from(status?).ok()?,
            headers,
            body: body?,
        })
    }

    /// Rejects what is not known of a message, a secret above all.
    fn check_placeholders(&self, spot: &Spot<'_>) {
        let templates = self.body.templates().into_iter();
        let mut placeholders = templates.flat_map(Template::placeholders);
        if let Some(unknown) = placeholders.find(|found| is_unknown(found)) {
            spot.fault(format!("`{unknown}` cannot stand in an answer"));
        }
    }

    /// Rejects an answer that the rules understand as something else.
    fn check_judgement(&self, rules: &[AnswerRule], spot: &Spot<'_>) {
        let message = nobody();
        let answer = self.fill(message);
        let headers: HeaderMap = self.headers.iter().cloned().collect();
        let whole = WholeAnswer {
            status: answer.status,
            headers: &headers,
            body: answer.body.as_bytes(),
        };

        let judgement = judge(rules, whole, &message.envelope);
        let judged = AnswerKind::of(&judgement.meaning);
        if judged != self.kind {
            let rule = judgement.rule.unwrap_or("no rule");
            let (judged, is) = (shown(judged), shown(self.kind));
            spot.fault(format!(
                "`{}`: {rule} makes it {judged}, and not {is}",
                self.name
            ));
        }
    }
}

fn is_unknown(placeholder: &Placeholder) -> bool {
    fill::of_message(placeholder, &nobody().envelope).is_none()
}

impl AnswerForm {
    fn templates(&self) -> Vec<&Template> {
        let mut found = Vec::new();
        match self {
            Self::Text(template) => found.push(template),
            Self::Json(form) => form.gather(&mut found),
        }
        found
    }

    fn fill(&self, message: AnsweredMessage<'_>) -> String {
        match self {
            Self::Text(template) => filled(template, message),
            Self::Json(form) => json(form, message).to_string(),
        }
    }
}

impl AnsweredMessage<'_> {
    fn value(&self, placeholder: &Placeholder) -> Cow<'_, str> {
        let found = self.found.and_then(|found| found.value(placeholder));
        found
            .map(Cow::Borrowed)
            .unwrap_or_else(|| fill::of_message(placeholder, &self.envelope).unwrap_or_default())
    }
}

/// A message that stands for any.
fn nobody() -> AnsweredMessage<'static> {
    AnsweredMessage {
        found: None,
        envelope: Envelope {
            id: MessageId::from_u64(1 << 32).expect("the id of a first message"),
            phone: Phone::parse("+79161112233").expect("a phone number"),
            text: "Hello",
        },
    }
}

fn shown(kind: AnswerKind) -> &'static str {
    match kind {
        AnswerKind::HaltMailing => "`halt` of the mailing",
        AnswerKind::Halt => "`halt` of the gateway",
        AnswerKind::Taken => "`taken`",
        AnswerKind::Refused => "`refused`",
        AnswerKind::Later => "`later`",
        AnswerKind::Unsure => "`unsure`",
    }
}

fn filled(template: &Template, message: AnsweredMessage<'_>) -> String {
    let pieces = template.0.iter().map(|piece| match piece {
        TemplatePiece::Fixed(text) => Cow::Borrowed(text.as_str()),
        TemplatePiece::Filled(placeholder) => Cow::Owned(message.value(placeholder).into_owned()),
    });
    pieces.collect()
}

fn json(form: &JsonForm, message: AnsweredMessage<'_>) -> Json {
    match form {
        JsonForm::Plain(text) => serde_json::from_str(text).unwrap_or_default(),
        JsonForm::Text(template) => json_text(template, message),
        JsonForm::Array(elements) => elements.iter().map(|form| json(form, message)).collect(),
        JsonForm::Object(members) => {
            let members = members.iter();
            let members = members.map(|(name, form)| (key(name, message), json(form, message)));
            Json::Object(members.collect())
        }
    }
}

/// The name of a member, in which a phone or an id may stand.
fn key(name: &str, message: AnsweredMessage<'_>) -> String {
    let template = Template::parse(name);
    template.map_or_else(|_| name.to_owned(), |template| filled(&template, message))
}

/// A text, or the number that is all of it.
fn json_text(template: &Template, message: AnsweredMessage<'_>) -> Json {
    let text = filled(template, message);
    let is_number = template
        .lone_placeholder()
        .is_some_and(Placeholder::is_number);
    let number = text.parse::<u64>().ok().filter(|_| is_number);
    number.map_or(Json::String(text), Json::from)
}

/// Reads `is` and `scope`.
fn kind(keys: &mut KeyReader<'_>) -> Option<AnswerKind> {
    let is_mailing = scope_is_mailing(keys);
    let spot = keys.spot("is");
    let is = keys.required_text("is")?;
    let kind = AnswerKind::parse(is)
        .ok_or_else(|| format!("`{is}` is not `taken`, `refused`, `later`, `halt` or `unsure`"));
    match spot.keep(kind)? {
        AnswerKind::Halt if is_mailing => Some(AnswerKind::HaltMailing),
        kind => Some(kind),
    }
}

fn scope_is_mailing(keys: &mut KeyReader<'_>) -> bool {
    let spot = keys.spot("scope");
    match keys.text("scope") {
        None | Some("gateway") => false,
        Some("mailing") => true,
        Some(other) => {
            spot.fault(format!("`{other}` is not `gateway` or `mailing`"));
            false
        }
    }
}

/// Reads `to`.
fn occasion(keys: &mut KeyReader<'_>) -> Option<AnswerOccasion> {
    let spot = keys.spot("to");
    match keys.text("to")? {
        "wrong secret" => Some(AnswerOccasion::Secret),
        "wrong request" => Some(AnswerOccasion::Request),
        other => {
            let wanted = "`wrong secret` or `wrong request`";
            spot.keep(Err(format!("`{other}` is not {wanted}")))
        }
    }
}

fn headers(keys: &mut KeyReader<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let spot = keys.spot("headers");
    let table = keys.table("headers").cloned().unwrap_or_default();
    let headers = table.iter().filter_map(|(name, value)| {
        let header = header(name, value).ok_or_else(|| format!("`{name}` is no header"));
        spot.key(name).keep(header)
    });
    headers.collect()
}

fn header(name: &str, value: &Value) -> Option<(HeaderName, HeaderValue)> {
    let text = super::body::word(value)?;
    Some((name.parse().ok()?, text.parse().ok()?))
}

/// Reads `json` or `body`; one of them must be there.
fn body(keys: &mut KeyReader<'_>) -> Option<AnswerForm> {
    let json_spot = keys.spot("json");
    let json = keys.table("json");
    let json = json.map(|table| AnswerForm::Json(JsonForm::object(table, &json_spot)));

    let spot = keys.spot("body");
    let text = keys.text("body");
    if json.is_some() == text.is_some() {
        return spot.keep(Err("one of `body` and `json` must be there".to_owned()));
    }
    json.or_else(|| template(text?, &spot).map(AnswerForm::Text))
}

fn keys_missing(table: &Table, key: &str, spot: &Spot<'_>) {
    if !table.contains_key(key) {
        spot.key(key).fault("it is missing");
    }
}

/// Reads all answers, in their order, and checks them by the rules.
pub(super) fn answers(
    value: Option<&Value>,
    rules: &[AnswerRule],
    spot: &Spot<'_>,
) -> Vec<PracticeAnswer> {
    let Some(value) = value else {
        return Vec::new();
    };
    let list = spot.expect(
        value.as_array(),
        value,
        "a list of tables; write [[practice]]",
    );

    let mut answers: Vec<PracticeAnswer> = Vec::new();
    for (n, value) in list.into_iter().flatten().enumerate() {
        let spot = spot.entry(n);
        let table = spot.expect(value.as_table(), value, "a table");
        let Some(answer) = table.and_then(|table| PracticeAnswer::parse(table, &spot)) else {
            continue;
        };

        answer.check_placeholders(&spot);
        answer.check_judgement(rules, &spot);
        if answers.iter().any(|known| known.name == answer.name) {
            spot.key("name")
                .fault(format!("`{}` is there twice", answer.name));
        }
        answers.push(answer);
    }
    answers
}
