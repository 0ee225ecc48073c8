//! The answer rules of a profile: a condition, and what an answer that fits means for the message.

use std::time::Duration;

use http::HeaderName;
use toml::{Table, Value};

use super::{condition::Condition, keys::KeyReader, pointer::AnswerPointer, spot::Spot};
use crate::gateway::outcome::{HaltScope, LaterScope};

/// The longest pause that a rule may name, in milliseconds: a day.
const PAUSE_MS: i64 = 86_400_000;
/// Characters of a rule's reason, at most.
const WHY_CHARS: usize = 100;

/// One rule: the first that fits an answer decides.
#[derive(Clone, Debug)]
pub(super) struct AnswerRule {
    /// Path in the profile, for faults and tests.
    pub(super) path: String,
    /// Its number among the rules of the file, from 0.
    pub(super) number: usize,
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
    /// The provider did not take it, and would take no other message of the scope either.
    Halt { scope: HaltScope },
    /// The provider may have it.
    Unsure,
}

impl AnswerRule {
    /// Reads one `[[answer]]`. `None` if it cannot stand for a rule.
    fn parse(table: &Table, number: usize, spot: &Spot<'_>) -> Option<Self> {
        let mut keys = KeyReader::new(table, spot.clone());
        let condition = condition(&mut keys);
        let meaning = meaning(&mut keys);
        let why = why(&mut keys);
        keys.finish();

        // Only now: a part that is missing must not hide the faults of the others.
        let rule = Self {
            path: spot.path().to_owned(),
            number,
            condition: condition?,
            meaning: meaning?,
            why,
        };
        rule.check_sign(spot);
        Some(rule)
    }

    /// True if messages are taken by this rule.
    pub(super) fn takes(&self) -> bool {
        matches!(self.meaning, RuleMeaning::Taken { .. })
    }

    /// True if messages are taken by it under an id of the provider.
    pub(super) fn names_id(&self) -> bool {
        matches!(&self.meaning, RuleMeaning::Taken { provider_id } if provider_id.is_some())
    }

    /// Rejects a rule that would call a message taken because nothing speaks against it.
    fn check_sign(&self, spot: &Spot<'_>) {
        if self.takes() && !self.condition.is_positive() {
            spot.key("if").fault(
                "`taken` needs a sign in the answer: a value (`at` with `equals`, `in` or `exists = true`) \
                 or a `body`; a status alone may come from anything on the way",
            );
        }
    }
}

fn condition(keys: &mut KeyReader<'_>) -> Option<Condition> {
    let spot = keys.spot("if");
    match keys.value("if") {
        Some(value) => Condition::parse(value, &spot),
        None => spot.keep(Err("it is missing".to_owned())),
    }
}

/// Reads `is`, and the keys that go with it.
fn meaning(keys: &mut KeyReader<'_>) -> Option<RuleMeaning> {
    let spot = keys.spot("is");
    let is = keys.required_text("is")?;
    let options = MeaningOptions::read(keys);

    let meaning = match is {
        "taken" => options.taken(),
        "refused" => options.refused(),
        "later" => options.later(),
        "halt" => options.halt(),
        "unsure" => RuleMeaning::Unsure,
        other => {
            let wanted = "`taken`, `refused`, `later`, `halt` or `unsure`";
            return spot.keep(Err(format!("`{other}` is not {wanted}")));
        }
    };

    options.check_fitting(is, keys);
    Some(meaning)
}

/// The keys that go with a meaning.
fn fitting(is: &str) -> &'static [&'static str] {
    match is {
        "taken" => &["provider_id"],
        "refused" => &["opted_out"],
        "later" => &["pause_ms", "wait", "scope"],
        "halt" => &["scope"],
        _ => &[],
    }
}

/// The keys that only some meanings have.
struct MeaningOptions<'t> {
    provider_id: Option<AnswerPointer>,
    opted_out: bool,
    pause: Option<Duration>,
    wait: Option<HeaderName>,
    scope: Option<&'t str>,
    scope_spot: Spot<'t>,
    given: Vec<&'static str>,
}

impl<'t> MeaningOptions<'t> {
    fn read(keys: &mut KeyReader<'t>) -> Self {
        let names = ["provider_id", "opted_out", "pause_ms", "wait", "scope"];
        let given = names.into_iter().filter(|key| keys.value(key).is_some());
        Self {
            given: given.collect(),
            provider_id: provider_id(keys),
            opted_out: keys.flag("opted_out").unwrap_or_default(),
            pause: pause(keys),
            wait: wait(keys),
            scope: keys.text("scope"),
            scope_spot: keys.spot("scope"),
        }
    }

    /// Rejects a key that goes with another meaning.
    fn check_fitting(&self, is: &str, keys: &KeyReader<'_>) {
        let fitting = fitting(is);
        for key in self.given.iter().filter(|key| !fitting.contains(key)) {
            let fault = format!("it says nothing where `is` is `{is}`");
            keys.spot(key).fault(fault);
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

    fn later(&self) -> RuleMeaning {
        let message = ("message", LaterScope::Message);
        let gateway = ("gateway", LaterScope::Gateway);
        RuleMeaning::Later {
            pause: self.pause,
            wait: self.wait.clone(),
            scope: self.scope(message, gateway),
        }
    }

    fn halt(&self) -> RuleMeaning {
        let gateway = ("gateway", HaltScope::Gateway);
        let mailing = ("mailing", HaltScope::Mailing);
        RuleMeaning::Halt {
            scope: self.scope(gateway, mailing),
        }
    }

    /// The scope by its name; the first one if none is given.
    fn scope<S>(&self, first: (&str, S), second: (&str, S)) -> S {
        let given = self.scope.unwrap_or(first.0);
        if given == second.0 {
            return second.1;
        }
        if given != first.0 {
            self.unknown_scope(given, [first.0, second.0]);
        }
        first.1
    }

    fn unknown_scope(&self, given: &str, [first, second]: [&str; 2]) {
        let fault = format!("`{given}` is not `{first}` or `{second}`");
        self.scope_spot.fault(fault);
    }
}

fn provider_id(keys: &mut KeyReader<'_>) -> Option<AnswerPointer> {
    let text = keys.text("provider_id")?;
    keys.spot("provider_id").keep(AnswerPointer::parse(text))
}

fn pause(keys: &mut KeyReader<'_>) -> Option<Duration> {
    let pause_ms = keys.number("pause_ms", 1..=PAUSE_MS)?;
    u64::try_from(pause_ms).ok().map(Duration::from_millis)
}

/// Reads `wait`, which names a header.
fn wait(keys: &mut KeyReader<'_>) -> Option<HeaderName> {
    let text = keys.text("wait")?;
    let name = text.strip_prefix("header:");
    let name = name.and_then(|name| name.parse().ok());
    let found = name.ok_or_else(|| {
        format!("`{text}` is not `header:` and the name of a header, like `header:Retry-After`")
    });
    keys.spot("wait").keep(found)
}

fn why(keys: &mut KeyReader<'_>) -> Option<String> {
    let why = keys.text("why")?;
    if why.is_empty() || why.chars().count() > WHY_CHARS {
        let fault = format!("it has no text, or more than {WHY_CHARS} characters");
        keys.spot("why").fault(fault);
    }
    Some(why.to_owned())
}

/// Reads all rules, in their order.
pub(super) fn rules(value: Option<&Value>, spot: &Spot<'_>) -> Vec<AnswerRule> {
    let Some(value) = value else {
        return Vec::new();
    };
    let list = spot.expect(
        value.as_array(),
        value,
        "a list of tables; write [[answer]]",
    );
    let numbered = list.into_iter().flatten().enumerate();
    let rules = numbered.filter_map(|(n, value)| rule(value, n, &spot.entry(n)));
    rules.collect()
}

fn rule(value: &Value, number: usize, spot: &Spot<'_>) -> Option<AnswerRule> {
    let table = spot.expect(value.as_table(), value, "a table")?;
    AnswerRule::parse(table, number, spot)
}
