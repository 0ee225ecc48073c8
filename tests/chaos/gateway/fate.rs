//! What the gateway does with a request: well, or badly in the shares of the moment.

use super::super::dice::mix;

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Taken, answered 200.
    Take,
    /// Not taken, answered 503, 429 or 500.
    Refuse(u16),
    /// Never taken, answered 400.
    Invalid,
    /// Taken, and never answered.
    Hang,
    /// Not taken; reset after it was read.
    ResetBefore,
    /// Taken, then reset.
    ResetAfter,
    /// Taken, then closed without an answer.
    Close,
    /// Taken, answered by what is no HTTP.
    Garbage,
    /// Taken, answered with half a body.
    Broken,
    /// Taken, answered 502.
    BadGateway,
    /// Taken, answered 200 with another code than 0.
    OtherCode,
}

impl Fate {
    /// Whether the message was taken.
    pub fn takes(self) -> bool {
        !matches!(self, Fate::Refuse(_) | Fate::Invalid | Fate::ResetBefore)
    }

    /// Whether the sender knows for certain that it was not taken, and may try again.
    pub fn allows_another(self) -> bool {
        matches!(self, Fate::Refuse(_))
    }
}

/// How the gateway behaves. Shares are of a thousand requests.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    pub latency_ms: u64,
    pub refused: u32,
    pub invalid: u32,
    pub unsure: u32,
    pub hangs: u32,
}

impl Behaviour {
    /// What to do with a request; so many of the message came before.
    pub(super) fn fate(&self, id: u64, tries: u64) -> Fate {
        const UNSURE: [Fate; 7] = [
            Fate::ResetBefore,
            Fate::ResetAfter,
            Fate::Close,
            Fate::Garbage,
            Fate::Broken,
            Fate::BadGateway,
            Fate::OtherCode,
        ];
        let hash = mix(id, tries);
        let draw = (hash % 1_000) as u32;
        let which = (hash / 1_000) as usize;
        let mut bound = 0;
        let mut within = |share: u32| {
            bound += share;
            draw < bound
        };
        if within(self.refused) {
            Fate::Refuse([503, 429, 500][which % 3])
        } else if within(self.invalid) {
            Fate::Invalid
        } else if within(self.unsure) {
            UNSURE[which % UNSURE.len()]
        } else if within(self.hangs) {
            Fate::Hang
        } else {
            Fate::Take
        }
    }
}
