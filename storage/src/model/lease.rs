//! Leases: which messages a postman may send, and until when.

use serde::{Deserialize, Serialize};

use super::Invalid;

/// One run of a postman's life, from a counter in the state. A newer epoch of a name closes the
/// older one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Epoch(pub u64);

/// A lease's id: the postman's epoch, and `n` rising by one from 1 with each lease it asks for.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct LeaseId {
    /// Whose.
    pub epoch: Epoch,
    /// Which of its.
    pub n: u64,
}

impl std::fmt::Display for LeaseId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.epoch.0, self.n)
    }
}

/// A postman's name: one name, one postman at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PostmanName(String);

impl PostmanName {
    /// 1 to 64 Latin letters, digits, `-`, `_` and `.`; `invalid_name` otherwise.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let form = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if (1..=64).contains(&text.len()) && text.bytes().all(form) {
            return Ok(Self(text.to_owned()));
        }
        let detail = "a postman's name has 1 to 64 letters, digits, `-`, `_` and `.`";
        Err(Invalid::new("invalid_name", detail))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Messages that follow each other in a batch and were leased under the same attempt number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Run {
    /// The position of the first in its mailing.
    pub first: u32,
    /// How many.
    pub len: u16,
    /// The attempt that each of them was granted.
    pub attempt: u16,
}

impl Run {
    /// The position after its last. A run that a command names may end beyond all positions.
    pub fn end(&self) -> u64 {
        u64::from(self.first) + u64::from(self.len)
    }

    /// Its positions; none beyond the last that there is.
    pub fn positions(&self) -> impl Iterator<Item = u32> + use<> {
        (u64::from(self.first)..self.end()).map_while(|position| u32::try_from(position).ok())
    }
}
