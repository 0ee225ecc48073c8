//! The behaviour of the practice gateway: it answers well, or badly on demand.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::receipts::ReceiptShares;
use crate::gateway::profile::AnswerKind;

/// Settings of the behaviour. Shares are of a thousand requests, picked by message and try, so that a failed
/// message may succeed later and a run can be repeated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Waits so long before it answers, in milliseconds.
    pub latency_ms: u64,
    /// Share of requests answered with 503, or as the profile says "later".
    pub fail_per_mille: u32,
    /// Share of requests answered with 400, or as the profile refuses.
    pub invalid_per_mille: u32,
    /// Share of messages taken without ever an answer.
    pub hang_per_mille: u32,
    /// Share of connections reset, every second time after the message was taken.
    pub reset_per_mille: u32,
    /// Share of messages taken whose answer is cut off, is no HTTP, or never begins before the end of the
    /// connection.
    #[serde(skip_serializing_if = "is_zero")]
    pub cut_per_mille: u32,
    /// Share of requests answered with a halt of the profile.
    #[serde(skip_serializing_if = "is_zero")]
    pub halt_per_mille: u32,
    /// Share of requests answered so that nobody knows whether the message was taken.
    #[serde(skip_serializing_if = "is_zero")]
    pub unsure_per_mille: u32,
    /// Shares of requests with single answers of the profile, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub answers_per_mille: BTreeMap<String, u32>,
    /// Acts on each of the next requests instead, in order; the last one stays.
    pub acts: Vec<Act>,
    /// Number of requests that the acts are for; `None` for all.
    pub times: Option<u64>,
    /// The receipts of messages that were taken.
    #[serde(skip_serializing_if = "ReceiptShares::is_usual")]
    pub receipts: ReceiptShares,
}

/// One way to deal with a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Takes the message and answers 200 `{"code": 0}`.
    Take,
    /// Answers with a status, and takes the message if it is 2xx.
    Answer {
        /// Status of the answer.
        status: u16,
        /// Body of the answer.
        #[serde(default)]
        body: String,
        /// More headers, each `Name: value`.
        #[serde(default)]
        headers: Vec<String>,
        /// True if it announces a longer body than it sends, and hangs up.
        #[serde(default)]
        breaks_off: bool,
    },
    /// Answers as the profile's answer of this name.
    Named(String),
    /// Takes the message and never answers.
    Hang,
    /// Reads the request, does not take it, resets the connection.
    ResetBefore,
    /// Takes the message, then resets the connection.
    ResetAfter,
    /// Takes the message, then closes without an answer.
    Close,
    /// Takes the message and answers something that is not HTTP.
    Garbage,
    /// Takes the message and answers 200 with a body far too long.
    Oversized,
    /// Takes the message and breaks off in the middle of the answer.
    Broken,
}

/// The next act, before it is known who answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum NextAct {
    /// Exactly this one act.
    Is(Act),
    /// One of the answers of a kind, picked by the number.
    OfKind(AnswerKind, u32),
}

impl NextAct {
    /// The act in notty's own protocol.
    pub(super) fn plain(self) -> Act {
        match self {
            Self::Is(act) => act,
            Self::OfKind(AnswerKind::Refused, _) => refusal(400, r#"{"code":400,"message":"bad"}"#),
            Self::OfKind(..) => refusal(503, r#"{"code":503,"message":"busy"}"#),
        }
    }
}

impl Act {
    /// The name of the profile's answer, if it is one.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Named(name) => Some(name),
            _ => None,
        }
    }

    /// True if the client gets an answer that is whole.
    pub(super) fn answers(&self) -> bool {
        match self {
            Act::Answer { breaks_off, .. } => !breaks_off,
            Act::Take => true,
            _ => false,
        }
    }

    /// True if the message is taken, or may have been as far as anyone outside can tell.
    pub(super) fn takes(&self) -> bool {
        match self {
            Act::Answer { status, .. } => (200..300).contains(status),
            Act::ResetBefore | Act::Named(_) => false,
            _ => true,
        }
    }
}

impl Behaviour {
    /// Rejects shares that are more than all requests together.
    pub fn check_shares(&self) -> Result<(), String> {
        let shares = [
            self.fail_per_mille,
            self.invalid_per_mille,
            self.hang_per_mille,
            self.reset_per_mille,
            self.cut_per_mille,
            self.halt_per_mille,
            self.unsure_per_mille,
        ];
        let shares = shares.iter().chain(self.answers_per_mille.values());

        let sum: u64 = shares.map(|share| u64::from(*share)).sum();
        if sum > 1_000 {
            return Err(format!(
                "values per-mille are shares of all requests: the sum is {sum}, but must be at most 1000"
            ));
        }
        self.receipts.check()
    }

    /// Rejects what only a profile has answers for.
    pub(super) fn check_plain(&self) -> Result<(), String> {
        let has_shares = self.halt_per_mille + self.unsure_per_mille > 0;
        if has_shares || self.names().next().is_some() {
            return Err("halts, unsure answers and answers by name need --profile".to_owned());
        }
        Ok(())
    }

    /// The kinds of answers that its shares ask for.
    pub(super) fn kinds(&self) -> Vec<AnswerKind> {
        let shares = [
            (self.fail_per_mille, AnswerKind::Later),
            (self.invalid_per_mille, AnswerKind::Refused),
            (self.halt_per_mille, AnswerKind::Halt),
            (self.unsure_per_mille, AnswerKind::Unsure),
        ];
        let wanted = shares.into_iter().filter(|(share, _)| *share > 0);
        wanted.map(|(_, kind)| kind).collect()
    }

    /// Names of the answers that it asks for.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let acts = self.acts.iter().filter_map(Act::name);
        let shares = self.answers_per_mille.keys();
        acts.chain(shares.map(String::as_str))
    }

    /// The act for a request; `tries` of the message came before.
    pub(super) fn next_act(&mut self, id: u64, tries: u8) -> NextAct {
        let scripted = self.scripted().map(NextAct::Is);
        scripted.unwrap_or_else(|| self.drawn(draw(id, tries)))
    }

    /// The act that a draw falls upon. Shares follow each other, so that it falls upon one of them at most.
    fn drawn(&self, draw: u32) -> NextAct {
        // Digits of the draw that no share has looked at.
        let pick = draw / 1000;
        let mut bound = 0;
        let mut is_within = |share: u32| {
            bound += share;
            draw % 1000 < bound
        };

        if is_within(self.fail_per_mille) {
            NextAct::OfKind(AnswerKind::Later, pick)
        } else if is_within(self.invalid_per_mille) {
            NextAct::OfKind(AnswerKind::Refused, pick)
        } else if is_within(self.hang_per_mille) {
            NextAct::Is(Act::Hang)
        } else if is_within(self.reset_per_mille) {
            NextAct::Is(reset(pick))
        } else if is_within(self.cut_per_mille) {
            NextAct::Is(cut(pick))
        } else {
            self.drawn_of_profile(draw % 1000 - bound, pick)
        }
    }

    /// The act that the rest of a draw falls upon, by the shares that only profiles have.
    fn drawn_of_profile(&self, rest: u32, pick: u32) -> NextAct {
        let of_halt = self.halt_per_mille;
        let of_unsure = of_halt + self.unsure_per_mille;
        if rest < of_halt {
            return NextAct::OfKind(AnswerKind::Halt, pick);
        }
        if rest < of_unsure {
            return NextAct::OfKind(AnswerKind::Unsure, pick);
        }
        NextAct::Is(self.drawn_by_name(rest - of_unsure))
    }

    fn drawn_by_name(&self, rest: u32) -> Act {
        let mut bound = 0;
        let mut named = self.answers_per_mille.iter();
        let named = named.find(|(_, share)| {
            bound += **share;
            rest < bound
        });
        named.map_or(Act::Take, |(name, _)| Act::Named(name.clone()))
    }

    /// The act of the script, as long as that lasts.
    fn scripted(&mut self) -> Option<Act> {
        match &mut self.times {
            Some(0) => return None,
            Some(times) if !self.acts.is_empty() => *times -= 1,
            _ => {}
        }
        self.next_of_script()
    }

    /// The next act of the script; the last one stays.
    fn next_of_script(&mut self) -> Option<Act> {
        match self.acts.len() {
            0 => None,
            1 => self.acts.first().cloned(),
            _ => Some(self.acts.remove(0)),
        }
    }
}

fn is_zero(share: &u32) -> bool {
    *share == 0
}

/// One of the ways to end an answer, or to give none.
fn cut(pick: u32) -> Act {
    match pick % 4 {
        0 => Act::Close,
        1 => Act::Garbage,
        2 => Act::Oversized,
        _ => Act::Broken,
    }
}

/// A reset, every second time after the message was taken.
fn reset(pick: u32) -> Act {
    if pick.is_multiple_of(2) {
        Act::ResetBefore
    } else {
        Act::ResetAfter
    }
}

fn refusal(status: u16, body: &str) -> Act {
    Act::Answer {
        status,
        body: body.to_owned(),
        headers: Vec::new(),
        breaks_off: false,
    }
}

/// A number that looks random but is the same for the same message and try (splitmix64).
pub(super) fn draw(id: u64, tries: u8) -> u32 {
    let mut x = id
        .wrapping_add(u64::from(tries) << 56)
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_come_out_about_right_and_the_same_each_time() {
        let mut behaviour = Behaviour {
            fail_per_mille: 100,
            ..Behaviour::default()
        };
        let count = |behaviour: &mut Behaviour| {
            (0..10_000)
                .filter(|id| behaviour.next_act(*id, 0).plain() != Act::Take)
                .count()
        };
        let failed = count(&mut behaviour);
        assert!((900..1100).contains(&failed), "{failed}");
        assert_eq!(count(&mut behaviour), failed);
    }

    #[test]
    fn acts_come_in_order_and_end() {
        let acts = vec![Act::Hang, Act::Close];
        let mut behaviour = Behaviour {
            acts,
            times: Some(3),
            ..Behaviour::default()
        };
        let got: Vec<_> = (0..4).map(|id| behaviour.next_act(id, 0).plain()).collect();
        assert_eq!(got, [Act::Hang, Act::Close, Act::Close, Act::Take]);
    }
}
