//! The meaning of an answer by the rules of a profile: the first rule that fits decides, and what no rule
//! fits is unsure.

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use serde_json::Value;

use super::{
    condition::AnswerBody,
    pointer::AnswerPointer,
    rule::{AnswerRule, RuleMeaning},
};
use crate::gateway::{
    Envelope,
    outcome::{HaltScope, LaterScope},
    retry_after::pause_of,
};

/// An answer that came whole.
#[derive(Clone, Copy, Debug)]
pub struct WholeAnswer<'a> {
    /// The status of the HTTP answer.
    pub status: u16,
    /// Its headers, some of which name pauses.
    pub headers: &'a HeaderMap,
    /// Its body without any transfer coding.
    pub body: &'a [u8],
}

/// An answer's meaning, with the rule that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerJudgement<'p> {
    /// The meaning for the message.
    pub meaning: AnswerMeaning,
    /// The profile's words for it.
    pub why: Option<&'p str>,
    /// Path of the rule in the profile; `None` if no rule fits.
    pub rule: Option<&'p str>,
}

impl AnswerJudgement<'_> {
    /// The judgement of an answer that no rule fits.
    fn of_none() -> Self {
        Self {
            meaning: AnswerMeaning::Unsure,
            why: None,
            rule: None,
        }
    }
}

/// The five things that an answer can mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerMeaning {
    /// The provider has the message.
    Taken {
        /// The provider's own id for it.
        provider_id: Option<String>,
    },
    /// The provider will never take it.
    Refused {
        /// The person does not want messages.
        opted_out: bool,
    },
    /// The provider did not take it now.
    Later {
        /// The least pause before another try, if one is named.
        pause: Option<Duration>,
        /// The messages that wait so long.
        scope: LaterScope,
    },
    /// The provider did not take it, and would take no other message of the scope either.
    Halt {
        /// The part of the sending that halts.
        scope: HaltScope,
    },
    /// The provider may have it.
    Unsure,
}

/// Judges the answer to a message.
pub(super) fn judge<'p>(
    rules: &'p [AnswerRule],
    answer: WholeAnswer<'_>,
    envelope: &Envelope<'_>,
) -> AnswerJudgement<'p> {
    let body = AnswerBody::read(answer.body);

    // The first that fits: what stands before a rule is an exception to it.
    let fits = |rule: &&AnswerRule| rule.condition.fits(answer.status, &body, envelope);
    let Some(rule) = rules.iter().find(fits) else {
        return AnswerJudgement::of_none();
    };

    AnswerJudgement {
        meaning: meaning(&rule.meaning, answer.headers, &body, envelope),
        why: rule.why.as_deref(),
        rule: Some(&rule.path),
    }
}

fn meaning(
    rule: &RuleMeaning,
    headers: &HeaderMap,
    body: &AnswerBody<'_>,
    envelope: &Envelope<'_>,
) -> AnswerMeaning {
    match rule {
        RuleMeaning::Taken { provider_id } => taken(provider_id.as_ref(), body, envelope),
        RuleMeaning::Refused { opted_out } => AnswerMeaning::Refused {
            opted_out: *opted_out,
        },
        RuleMeaning::Later { pause, wait, scope } => AnswerMeaning::Later {
            pause: longest(*pause, wait.as_ref(), headers),
            scope: *scope,
        },
        RuleMeaning::Halt { scope } => AnswerMeaning::Halt { scope: *scope },
        RuleMeaning::Unsure => AnswerMeaning::Unsure,
    }
}

fn taken(
    id: Option<&AnswerPointer>,
    body: &AnswerBody<'_>,
    envelope: &Envelope<'_>,
) -> AnswerMeaning {
    let provider_id = id.and_then(|at| id_at(at, body, envelope));
    AnswerMeaning::Taken { provider_id }
}

/// The provider's id for a message: a text, or a whole number as it is written.
fn id_at(at: &AnswerPointer, body: &AnswerBody<'_>, envelope: &Envelope<'_>) -> Option<String> {
    match at.find(body.json.as_ref()?, envelope)? {
        Value::String(id) => Some(id.clone()),
        // A number that is read as a float has lost digits perhaps.
        Value::Number(id) if !id.is_f64() => Some(id.to_string()),
        _ => None,
    }
}

/// The longer one of the rule's pause and the answer's.
fn longest(
    pause: Option<Duration>,
    wait: Option<&HeaderName>,
    headers: &HeaderMap,
) -> Option<Duration> {
    let header = wait.and_then(|name| headers.get(name));
    let wanted = header.and_then(pause_of);
    pause.max(wanted)
}
