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

/// A node that proposes commands: its present incarnation and the last number it used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposer {
    /// The node.
    pub node: u64,
    /// The random number of its present life.
    pub incarnation: u64,
    /// The highest command number executed.
    pub last: u64,
    /// The steady time of that command.
    pub at: Timestamp,
    /// Its earlier lives, the latest first, as many as are kept: they are over for good.
    pub before: Vec<u64>,
}

/// All proposers, in the order of node numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposers {
    /// One a node.
    pub proposers: Vec<Proposer>,
}

/// The kept reply to one command of a node, in its slot of the window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeReply {
    /// The life of the node that proposed it.
    pub incarnation: u64,
    /// Its number.
    pub n: u64,
    /// What it was answered.
    pub outcome: Outcome,
}
