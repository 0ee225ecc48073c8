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

use super::{Act, Behaviour, behaviour::NextAct, book::MessageKey};
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
    profile: Profile,
    reader: RequestReader,
    /// Secrets that must be right; others are taken as they come.
    secrets: BTreeMap<String, Secret>,
    /// Messages so far, whose numbers stand for ids where none travels.
    count: AtomicU32,
}

/// An act in the provider's words.
pub(super) struct ProviderAct {
    /// Shown on the page.
    pub(super) outcome: String,
    pub(super) act: Act,
    pub(super) is_taken: bool,
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
            count: AtomicU32::new(0),
        };
        provider.check_answers()?;
        provider.check_secrets()?;
        Ok(provider)
    }

    /// The profile's name.
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
        let answers = answers.map(|answer| {
            let is_mailing = answer.kind() == AnswerKind::HaltMailing;
            let scope = is_mailing.then_some("mailing");
            json!({ "name": answer.name(), "is": answer.kind().name(), "scope": scope })
        });
        json!({ "items": answers.collect::<Vec<_>>() })
    }

    /// A request with dots in the place of secrets.
    pub(super) fn masked(&self, request: &Request<Bytes>) -> String {
        self.reader.masked(request)
    }

    /// True if a request goes where messages go.
    pub(super) fn is_addressed(&self, request: &Request<Bytes>) -> bool {
        self.reader.is_addressed(request)
    }

    /// Finds the message in a request.
    pub(super) fn read(&self, request: &Request<Bytes>) -> Result<FoundMessage, MisfitRequest> {
        let found = self.reader.read(request);
        let found = found.map_err(|misfit| self.misfit(misfit, AnswerOccasion::Request))?;

        let wrong = found.secrets().find(|secret| !self.is_right(*secret));
        if let Some((name, _)) = wrong {
            let misfit = format!("the secret `{name}` is wrong");
            return Err(self.misfit(misfit, AnswerOccasion::Secret));
        }
        Ok(found)
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

    /// The act on a message in this provider's words.
    pub(super) fn act(&self, next: NextAct, message: &FoundMessage) -> ProviderAct {
        let answer = match &next {
            NextAct::Is(Act::Take) => self.of_kind(AnswerKind::Taken, 0),
            NextAct::OfKind(kind, pick) => self.of_kind(*kind, *pick),
            NextAct::Is(Act::Named(name)) => self.named(name),
            NextAct::Is(_) => None,
        };
        match answer {
            Some(answer) => act_of(answer, answer.filled(message, self.next_number())),
            None => raw_act(next.plain()),
        }
    }

    fn next_number(&self) -> MessageId {
        let position = self.count.fetch_add(1, Ordering::Relaxed);
        let first = 1_u64 << 32;
        MessageId::from_u64(first + u64::from(position)).expect("the first mailing has a number")
    }

    fn named(&self, name: &str) -> Option<&PracticeAnswer> {
        let mut answers = self.profile.practice().iter();
        answers.find(|answer| answer.name() == name)
    }

    fn for_occasion(&self, occasion: AnswerOccasion) -> Option<&PracticeAnswer> {
        let mut answers = self.profile.practice().iter();
        answers.find(|answer| answer.occasion() == Some(occasion))
    }

    /// One of the answers of a kind; the same pick falls upon the same answer.
    fn of_kind(&self, kind: AnswerKind, pick: u32) -> Option<&PracticeAnswer> {
        let answers = || self.profile.practice().iter();
        let fitting = || answers().filter(|answer| answer.kind() == kind);
        let n = (pick as usize).checked_rem(fitting().count())?;
        fitting().nth(n)
    }

    /// Rejects a behaviour that this provider has no answers for.
    pub(super) fn check(&self, behaviour: &Behaviour) -> Result<(), String> {
        for (share, kind) in [
            (behaviour.fail_per_mille, AnswerKind::Later),
            (behaviour.invalid_per_mille, AnswerKind::Refused),
            (behaviour.halt_per_mille, AnswerKind::Halt),
            (behaviour.unsure_per_mille, AnswerKind::Unsure),
        ] {
            if share > 0 && self.of_kind(kind, 0).is_none() {
                return Err(self.lacks(&format!("that is `{}`", kind.name())));
            }
        }

        let acts = behaviour.acts.iter().filter_map(|act| match act {
            Act::Named(name) => Some(name),
            _ => None,
        });
        let mut names = behaviour.answers_per_mille.keys().chain(acts);
        match names.find(|name| self.named(name).is_none()) {
            Some(unknown) => Err(self.lacks(&format!("`{unknown}`"))),
            None => Ok(()),
        }
    }

    fn lacks(&self, what: &str) -> String {
        let names: Vec<&str> = self.names().collect();
        let names = names.join(", ");
        format!(
            "the profile `{}` has no answer {what}; it has {names}",
            self.name
        )
    }

    fn check_answers(&self) -> Result<(), ConfigError> {
        let fault = |what: &str| {
            let what = format!("no [[practice]] of the profile {what}");
            Err(ConfigError::at(&self.name, what))
        };
        if self.of_kind(AnswerKind::Taken, 0).is_none() {
            return fault("is `taken`");
        }
        if self.for_occasion(AnswerOccasion::Request).is_none() {
            return fault("has `to = \"wrong request\"`");
        }
        let has_secrets = !self.profile.secrets().is_empty();
        if has_secrets && self.for_occasion(AnswerOccasion::Secret).is_none() {
            return fault("has `to = \"wrong secret\"`");
        }
        Ok(())
    }

    fn check_secrets(&self) -> Result<(), ConfigError> {
        let known = self.profile.secrets();
        let mut given = self.secrets.keys();
        match given.find(|name| !known.contains(name.as_str())) {
            Some(unknown) => {
                let known: Vec<&str> = known.into_iter().collect();
                let known = known.join(", ");
                let fault = format!("it has no secret `{unknown}`; it has {known}");
                Err(ConfigError::at(&self.name, fault))
            }
            None => Ok(()),
        }
    }
}

/// The name of a message in the book: by the id where it travels, or else by the address of its receipts,
/// which is its own, or else by phone and text.
pub(super) fn key_of(message: &FoundMessage) -> MessageKey {
    if let Some(id) = message.id() {
        return MessageKey::Id(id);
    }
    let mut hasher = DefaultHasher::new();
    match message.receipt_url() {
        Some(url) => url.hash(&mut hasher),
        // Two messages can have the same number of 31 bits.
        None => (message.id_31(), message.phone().digits(), message.text()).hash(&mut hasher),
    }
    MessageKey::Hash(hasher.finish())
}

/// The id that is shown, if one travels.
pub(super) fn shown_id(message: &FoundMessage) -> String {
    let id = message.id().map(|id| id.to_string());
    id.or_else(|| message.id_31().map(str::to_owned))
        .unwrap_or_default()
}

fn act_of(answer: &PracticeAnswer, filled: FilledAnswer) -> ProviderAct {
    ProviderAct {
        outcome: format!("{} ({})", answer.name(), answer.kind().name()),
        is_taken: answer.kind().may_be_taken(),
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
        act,
    }
}
