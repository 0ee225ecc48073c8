//! The practice gateway in the place of a provider: reads requests and answers as a profile says.
//!
//! There is no code for any one provider here. The profile's request says what fits, and its `[[practice]]`
//! has the answers.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use http::Request;
use notty_storage::model::MessageId;
use serde_json::{Value, json};

use super::{Act, behaviour::NextAct, book::MessageKey};
use crate::{
    config::{ConfigError, Secret},
    gateway::profile::{
        AnswerKind, AnswerOccasion, FilledAnswer, FoundMessage, PracticeAnswer, Profile,
        RequestReader,
    },
};

/// A provider to practise with.
pub struct PracticeProvider {
    name: String,
    pub(super) profile: Profile,
    reader: RequestReader,
    /// Secrets that must be right; others are taken as they come.
    pub(super) secrets: BTreeMap<String, Secret>,
    /// Address of the receipts of messages that name none.
    pub(super) receipts_to: Option<String>,
    /// True if people may see the secrets of requests.
    shows_secrets: bool,
    /// Messages so far, whose numbers stand for ids where none travels.
    count: AtomicU32,
}

/// An act in the provider's words.
pub(super) struct ProviderAct {
    /// The answer in words, for the page.
    pub(super) outcome: String,
    pub(super) act: Act,
    pub(super) is_taken: bool,
    /// The meaning of the answer; `None` where there is none.
    pub(super) kind: Option<AnswerKind>,
}

/// A request that the provider does not take for a message.
pub(super) struct MisfitRequest {
    pub(super) misfit: String,
    pub(super) answer: ProviderAct,
}

impl PracticeProvider {
    /// A provider that speaks a profile. Secrets that are given must be right in each request. `name` is
    /// shown, and names the profile in faults.
    pub fn new(
        name: &str,
        profile: Profile,
        secrets: BTreeMap<String, Secret>,
    ) -> Result<Self, ConfigError> {
        let provider = Self {
            name: name.to_owned(),
            reader: profile.reader(),
            profile,
            secrets,
            receipts_to: None,
            shows_secrets: false,
            count: AtomicU32::new(0),
        };

        // Now, so that no fault shows only in the middle of a mailing.
        provider.check_answers()?;
        provider.check_secrets()?;
        provider.check_signature()?;
        Ok(provider)
    }

    /// Shows requests with their secrets, which are worth nothing then.
    pub fn showing_secrets(mut self) -> Self {
        self.shows_secrets = true;
        self
    }

    /// The name of the profile.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path of a message as the profile has it, with its placeholders.
    pub fn path(&self) -> &str {
        self.reader.path()
    }

    /// Names of all answers, in the order of the profile.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.profile.practice().iter().map(PracticeAnswer::name)
    }

    /// All answers with what they mean.
    pub(super) fn listed(&self) -> Value {
        let answers = self.profile.practice().iter();
        json!({ "items": answers.map(listed).collect::<Vec<_>>() })
    }

    /// A request as people may see it: with dots in the place of secrets, unless these may be seen.
    pub(super) fn shown(&self, request: &Request<Bytes>) -> String {
        if self.shows_secrets {
            self.reader.shown(request)
        } else {
            self.reader.masked(request)
        }
    }

    /// True if a request goes where messages go.
    pub(super) fn is_addressed(&self, request: &Request<Bytes>) -> bool {
        self.reader.is_addressed(request)
    }

    /// Finds the message in a request.
    pub(super) fn read(&self, request: &Request<Bytes>) -> Result<FoundMessage, MisfitRequest> {
        let found = self.reader.read(request);
        let found = found.map_err(|misfit| self.misfit(misfit, AnswerOccasion::Request))?;
        match self.wrong_secret(&found) {
            Some(misfit) => Err(self.misfit(misfit, AnswerOccasion::Secret)),
            None => Ok(found),
        }
    }

    fn wrong_secret(&self, found: &FoundMessage) -> Option<String> {
        let (name, _) = found.secrets().find(|secret| !self.is_right(*secret))?;
        Some(format!("the secret `{name}` is wrong"))
    }

    fn is_right(&self, (name, given): (&str, &str)) -> bool {
        let wanted = self.secrets.get(name);
        wanted.is_none_or(|wanted| wanted.expose() == given)
    }

    fn misfit(&self, misfit: String, occasion: AnswerOccasion) -> MisfitRequest {
        let answer = self.for_occasion(occasion);
        let answer = answer.expect("both answers are checked when the provider is made");
        MisfitRequest {
            misfit,
            answer: act_of(answer, answer.filled_for_nobody()),
        }
    }

    /// The act on a message in this provider's words. `number` stands for the id where none travels.
    pub(super) fn act(
        &self,
        next: NextAct,
        message: &FoundMessage,
        number: MessageId,
    ) -> ProviderAct {
        match self.answer(&next) {
            Some(answer) => act_of(answer, answer.filled(message, number)),
            None => raw_act(next.plain()),
        }
    }

    /// The answer that an act asks for; `None` for acts below the provider's protocol.
    fn answer(&self, next: &NextAct) -> Option<&PracticeAnswer> {
        match next {
            NextAct::Is(Act::Take) => self.of_kind(AnswerKind::Taken, 0),
            NextAct::OfKind(kind, pick) => self.of_kind(*kind, *pick),
            NextAct::Is(act) => self.named(act.name()?),
        }
    }

    /// The number of the next message, in the place of an id that does not travel.
    pub(super) fn next_number(&self) -> MessageId {
        let position = self.count.fetch_add(1, Ordering::Relaxed);
        let first = 1_u64 << 32;
        MessageId::from_u64(first + u64::from(position)).expect("the first mailing has a number")
    }

    pub(super) fn named(&self, name: &str) -> Option<&PracticeAnswer> {
        let mut answers = self.profile.practice().iter();
        answers.find(|answer| answer.name() == name)
    }

    pub(super) fn for_occasion(&self, occasion: AnswerOccasion) -> Option<&PracticeAnswer> {
        let mut answers = self.profile.practice().iter();
        answers.find(|answer| answer.occasion() == Some(occasion))
    }

    /// One of the answers of a kind; the same pick falls upon the same answer.
    pub(super) fn of_kind(&self, kind: AnswerKind, pick: u32) -> Option<&PracticeAnswer> {
        let answers = || self.profile.practice().iter();
        let fitting = || answers().filter(|answer| answer.kind() == kind);
        let n = (pick as usize).checked_rem(fitting().count())?;
        fitting().nth(n)
    }
}

/// The name of a message in the book: by the id where it travels, or else by a hash.
pub(super) fn key_of(message: &FoundMessage) -> MessageKey {
    let id = message.id().map(MessageKey::Id);
    id.unwrap_or_else(|| MessageKey::Hash(hash_of(message)))
}

/// A hash of the address of a message's receipts, which is its own, or else of phone and text.
fn hash_of(message: &FoundMessage) -> u64 {
    let mut hasher = DefaultHasher::new();
    match message.receipt_url() {
        Some(url) => url.hash(&mut hasher),
        // Two messages can have the same number of 31 bits.
        None => (message.id_31(), message.phone().digits(), message.text()).hash(&mut hasher),
    }
    hasher.finish()
}

/// The id that is shown, if one travels.
pub(super) fn shown_id(message: &FoundMessage) -> String {
    let id = message.id().map(|id| id.to_string());
    let id_31 = message.id_31().map(str::to_owned);
    id.or(id_31).unwrap_or_default()
}

fn listed(answer: &PracticeAnswer) -> Value {
    let kind = answer.kind();
    json!({ "name": answer.name(), "is": kind.name(), "scope": kind.scope() })
}

/// An answer in words: its name, and what that means if the name does not say it.
fn outcome(answer: &PracticeAnswer) -> String {
    let is = answer.kind().name();
    match answer.name() {
        name if name == is => is.to_owned(),
        name => format!("{name} ({is})"),
    }
}

fn act_of(answer: &PracticeAnswer, filled: FilledAnswer) -> ProviderAct {
    ProviderAct {
        outcome: outcome(answer),
        is_taken: answer.kind().may_be_taken(),
        kind: Some(answer.kind()),
        act: Act::Answer {
            status: filled.status,
            body: filled.body,
            headers: filled.headers,
            breaks_off: false,
        },
    }
}

/// An act below the provider's protocol, as a connection that is reset.
fn raw_act(act: Act) -> ProviderAct {
    let shown = serde_json::to_value(&act).unwrap_or_default();
    ProviderAct {
        outcome: shown.as_str().unwrap_or("scripted").replace('_', " "),
        is_taken: act.takes(),
        kind: None,
        act,
    }
}
