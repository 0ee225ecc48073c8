//! The outcome of a proposal: executed, rejected, not executed, or unknown.
//!
//! It travels between nodes as it is, so that a command that was passed on to the leader has the
//! outcome that the leader gave it.

use notty_storage::{Rejection, Reply};
use serde::{Deserialize, Serialize};

/// A command that was executed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// The position of its entry in the log.
    pub index: u64,
    /// The reply of the state, which depends on the command.
    pub reply: Reply,
}

/// Any outcome of a proposal other than that it was executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ProposeError {
    /// The state machine refused it, at a position of the log: nothing was changed.
    #[error("{rejection}")]
    Rejected {
        /// The rule that the command breaks.
        rejection: Rejection,
        /// The position that the refusal stands at.
        index: u64,
    },
    /// There is no leader to propose to: it was not executed and will not be.
    #[error("the cluster has no leader at the moment")]
    NoLeader,
    /// It may have been executed, or may yet be. Repeat it only under the same origin.
    #[error("whether it was executed is not known")]
    Unknown,
    /// Too many proposals wait already: it was not executed and will not be.
    #[error("too many writes wait already")]
    Overloaded,
    /// The node is shutting down: it was not executed and will not be.
    #[error("the node is stopping")]
    Stopped,
}
