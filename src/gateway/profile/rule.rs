//! The answer rules of a profile: a condition, and what an answer that fits means for the message.

use std::time::Duration;

use http::HeaderName;
use toml::{Table, Value};

use super::{
    condition::Condition,
    keys::{KeyReader, shown},
    pointer::AnswerPointer,
};
use crate::config::FaultList;

/// The longest pause that a rule may name, in milliseconds: a day.
const PAUSE_MS: i64 = 86_400_000;
/// Characters of a rule's reason, at most.
const WHY_CHARS: usize = 100;

/// One rule: the first that fits an answer decides.
#[derive(Clone, Debug)]
pub(super) struct AnswerRule {
    /// Path in the profile, for faults and tests.
    pub(super) path: String,
    pub(super) condition: Condition,
    pub(super) meaning: RuleMeaning,
    /// The reason in words, for the log.
    pub(super) why: Option<String>,
}

/// The meaning of an answer that fits a rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RuleMeaning {
    /// The provider has the message.
    Taken {
        /// The place of the provider's own id for it.
        provider_id: Option<AnswerPointer>,
    },
    /// The provider will never take it.
    Refused {
        /// The person does not want messages.
        opted_out: bool,
    },
    /// The provider did not take it now.
    Later {
        /// The least pause before another try.
        pause: Option<Duration>,
        /// A header with the pause that the provider wants.
        wait: Option<HeaderName>,
        scope: LaterScope,
    },
    /// The provider did not take it, and would take no other one either.
    Halt { scope: HaltScope },
    /// The provider may have it.
    Unsure,
}

/// The messages that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaterScope {
    /// The one that was answered.
    Message,
    /// All messages of the gateway.
    Gateway,
}

/// The part of the sending that halts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HaltScope {
    /// Everything that goes to the gateway.
    Gateway,
    /// The mailing of the message.
    Mailing,
}

impl AnswerRule {
    /// Reads one `[[answer]]`. `None` if it cannot stand for a rule.
    pub(super) fn parse(table: &Table, path: &str, faults: &mut FaultList) -> Option<Self> {
        let mut keys = KeyReader::new(table, path);
        let condition = condition(&mut keys, faults);
        let meaning = meaning(&mut keys, faults);
        let why = why(&mut keys, faults);
        keys.finish(faults);

        let rule = Self {
            path: path.to_owned(),
            condition: condition?,
            meaning: meaning?,
            why,
        };
        rule.check_sign(faults);
        Some(rule)
    }

    /// Rejects a rule that would call a message taken because nothing speaks against it.
    fn check_sign(&self, faults: &mut FaultList) {
        let is_taken = matches!(self.meaning, RuleMeaning::Taken { .. });
        if is_taken && !self.condition.is_positive() {
            let fault = "`taken` needs a sign in the answer: a value (`at` with `equals`, `in` or `exists = \
                         true`) or a `body`; a status alone may come from anything on the way";
            faults.add(&format!("{}.if", self.path), fault);
        }
    }
}

fn condition(keys: &mut KeyReader<'_>, faults: &mut FaultList) -> Option<Condition> {
    let path = keys.path("if");
    let Some(value) = keys.value("if") else {
        faults.add(&path, "it is missing");
        return None;
    };
    Condition::parse(value, &path, faults)
}

/// Reads `is`, and the keys that go with it. A key that goes with another meaning is a fault.
fn meaning(keys: &mut KeyReader<'_>, faults: &mut FaultList) -> Option<RuleMeaning> {
    let path = keys.path("is");
    let is = keys.required_text("is", faults)?;
    let options = MeaningOptions::read(keys, faults);
    let (meaning, fitting): (_, &[&str]) = match is {
        "taken" => (options.taken(), &["provider_id"]),
        "refused" => (options.refused(), &["opted_out"]),
        "later" => (options.later(faults), &["pause_ms", "wait", "scope"]),
        "halt" => (options.halt(faults), &["scope"]),
        "unsure" => (RuleMeaning::Unsure, &[]),
        other => {
            let fault = format!("`{other}` is not `taken`, `refused`, `later`, `halt` or `unsure`");
            faults.add(&path, fault);
            return None;
        }
    };

    for key in options.given.iter().filter(|key| !fitting.contains(key)) {
        let fault = format!("it says nothing where `is` is `{is}`");
        faults.add(&keys.path(key), fault);
    }
    Some(meaning)
}

/// The keys that only some meanings have.
struct MeaningOptions {
    provider_id: Option<AnswerPointer>,
    opted_out: bool,
    pause: Option<Duration>,
    wait: Option<HeaderName>,
    scope: Option<String>,
    scope_path: String,
    given: Vec<&'static str>,
}

impl MeaningOptions {
    fn read(keys: &mut KeyReader<'_>, faults: &mut FaultList) -> Self {
        let names = ["provider_id", "opted_out", "pause_ms", "wait", "scope"];
        let given = names.into_iter().filter(|key| keys.value(key).is_some());
        let given = given.collect();

        let pause_ms = keys.number("pause_ms", 1..=PAUSE_MS, faults);
        let pause_ms = pause_ms.and_then(|pause_ms| u64::try_from(pause_ms).ok());
        Self {
            provider_id: provider_id(keys, faults),
            opted_out: keys.flag("opted_out", faults).unwrap_or_default(),
            pause: pause_ms.map(Duration::from_millis),
            wait: wait(keys, faults),
            scope: keys.text("scope", faults).map(str::to_owned),
            scope_path: keys.path("scope"),
            given,
        }
    }

    fn taken(&self) -> RuleMeaning {
        RuleMeaning::Taken {
            provider_id: self.provider_id.clone(),
        }
    }

    fn refused(&self) -> RuleMeaning {
        RuleMeaning::Refused {
            opted_out: self.opted_out,
        }
    }

    fn later(&self, faults: &mut FaultList) -> RuleMeaning {
        let scopes = [
            ("message", LaterScope::Message),
            ("gateway", LaterScope::Gateway),
        ];
        RuleMeaning::Later {
            pause: self.pause,
            wait: self.wait.clone(),
            scope: self.scope(scopes, faults),
        }
    }

    fn halt(&self, faults: &mut FaultList) -> RuleMeaning {
        let scopes = [
            ("gateway", HaltScope::Gateway),
            ("mailing", HaltScope::Mailing),
        ];
        RuleMeaning::Halt {
            scope: self.scope(scopes, faults),
        }
    }

    /// The scope by its name; the first one if none is given.
    fn scope<S: Copy>(&self, scopes: [(&str, S); 2], faults: &mut FaultList) -> S {
        let [(first, default), (second, _)] = scopes;
        let Some(given) = &self.scope else {
            return default;
        };
        let found = scopes.iter().find(|(name, _)| name == given);
        if found.is_none() {
            let fault = format!("`{given}` is not `{first}` or `{second}`");
            faults.add(&self.scope_path, fault);
        }
        found.map_or(default, |(_, scope)| *scope)
    }
}

fn provider_id(keys: &mut KeyReader<'_>, faults: &mut FaultList) -> Option<AnswerPointer> {
    let path = keys.path("provider_id");
    match AnswerPointer::parse(keys.text("provider_id", faults)?) {
        Ok(pointer) => Some(pointer),
        Err(fault) => {
            faults.add(&path, fault);
            None
        }
    }
}

/// Reads `wait`, which names a header.
fn wait(keys: &mut KeyReader<'_>, faults: &mut FaultList) -> Option<HeaderName> {
    let path = keys.path("wait");
    let text = keys.text("wait", faults)?;
    let name = text.strip_prefix("header:").map(str::parse);
    if let Some(Ok(name)) = name {
        return Some(name);
    }
    let fault =
        format!("`{text}` is not `header:` and the name of a header, like `header:Retry-After`");
    faults.add(&path, fault);
    None
}

fn why(keys: &mut KeyReader<'_>, faults: &mut FaultList) -> Option<String> {
    let path = keys.path("why");
    let why = keys.text("why", faults)?;
    if why.is_empty() || why.chars().count() > WHY_CHARS {
        let fault = format!("it has no text, or more than {WHY_CHARS} characters");
        faults.add(&path, fault);
    }
    Some(why.to_owned())
}

/// Reads all rules, in their order.
pub(super) fn rules(value: Option<&Value>, faults: &mut FaultList) -> Vec<AnswerRule> {
    let Some(value) = value else {
        return Vec::new();
    };
    let Some(list) = value.as_array() else {
        let fault = format!("{} is not a list of tables; write [[answer]]", shown(value));
        faults.add("answer", fault);
        return Vec::new();
    };

    let mut rules = Vec::new();
    for (n, value) in list.iter().enumerate() {
        let path = format!("answer[{n}]");
        match value.as_table() {
            Some(table) => rules.extend(AnswerRule::parse(table, &path, faults)),
            None => faults.add(&path, format!("{} is not a table", shown(value))),
        }
    }
    rules
}
