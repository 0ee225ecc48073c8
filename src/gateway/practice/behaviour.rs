//! The behaviour of the practice gateway: it answers well, or badly on demand.

use serde::{Deserialize, Serialize};

/// Settings of the behaviour. Shares are of a thousand requests, picked by message and try, so that a failed
/// message may succeed later and a run can be repeated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Waits so long before it answers, in milliseconds.
    pub latency_ms: u64,
    /// Share of requests answered with 503.
    pub fail_per_mille: u32,
    /// Share of requests answered with 400.
    pub invalid_per_mille: u32,
    /// Share of messages taken without ever an answer.
    pub hang_per_mille: u32,
    /// Share of connections reset, every second time after the message was taken.
    pub reset_per_mille: u32,
    /// Acts on each of the next requests instead, in order; the last one stays.
    pub acts: Vec<Act>,
    /// Number of requests that the acts are for; `None` for all.
    pub times: Option<u64>,
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

impl Act {
    /// True if the message is taken, or may have been as far as anyone outside can tell.
    pub(super) fn takes(&self) -> bool {
        match self {
            Act::Answer { status, .. } => (200..300).contains(status),
            Act::ResetBefore => false,
            _ => true,
        }
    }
}

impl Behaviour {
    /// The act for a request; `tries` of the message came before.
    pub(super) fn next_act(&mut self, id: u64, tries: u8) -> Act {
        if let Some(act) = self.scripted() {
            return act;
        }
        self.drawn(draw(id, tries))
    }

    /// The act that a draw falls upon, by the shares.
    fn drawn(&self, draw: u32) -> Act {
        // Shares follow each other, so that each draw falls upon one of them at most.
        let mut bound = 0;
        let mut is_within = |share: u32| {
            bound += share;
            draw % 1000 < bound
        };

        if is_within(self.fail_per_mille) {
            refusal(503, r#"{"code":503,"message":"busy"}"#)
        } else if is_within(self.invalid_per_mille) {
            refusal(400, r#"{"code":400,"message":"bad"}"#)
        } else if is_within(self.hang_per_mille) {
            Act::Hang
        } else if !is_within(self.reset_per_mille) {
            Act::Take
        } else if (draw / 1000).is_multiple_of(2) {
            // By digits of the draw that no share has looked at.
            Act::ResetBefore
        } else {
            Act::ResetAfter
        }
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

fn refusal(status: u16, body: &str) -> Act {
    Act::Answer {
        status,
        body: body.to_owned(),
        headers: Vec::new(),
        breaks_off: false,
    }
}

/// A number that looks random but is the same for the same message and try (splitmix64).
fn draw(id: u64, tries: u8) -> u32 {
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
                .filter(|id| behaviour.next_act(*id, 0) != Act::Take)
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
        let got: Vec<_> = (0..4).map(|id| behaviour.next_act(id, 0)).collect();
        assert_eq!(got, [Act::Hang, Act::Close, Act::Close, Act::Take]);
    }
}
