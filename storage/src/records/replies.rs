//! Replies that are kept so that a repeat is answered, not executed again.

use serde::{Deserialize, Serialize};

use crate::{command::Outcome, model::Timestamp};

/// The kept reply to a client's `Idempotency-Key`, in its slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientReply {
    /// Hash of the key.
    pub key: [u8; 16],
    /// Hash of route and body that the key was used with.
    pub request: [u8; 16],
    /// Hash of the caller that used it.
    pub caller: u64,
    /// The steady time at which it was executed.
    pub at: Timestamp,
    /// What it was answered.
    pub outcome: Outcome,
}
