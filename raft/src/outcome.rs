//! The outcome of a proposal: executed, rejected, not executed, or unknown.
//!
//! It travels between nodes as it is, so that a command that was passed on to the leader has the
//! outcome that the leader gave it.

use notty_storage::{Intent, Rejection, Reply, command::FromReply};
use serde::{Deserialize, Serialize};

/// A command that was executed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Applied<R = Reply> {
    /// The position of its entry in the log.
    pub index: u64,
    /// The reply to it.
    pub reply: R,
}

impl Applied {
    /// Gives the reply the type that belongs to the action.
    ///
    /// Apply returns no other type, so another one comes from a leader that runs other code.
    pub(crate) fn typed<A: Intent>(self) -> Result<Applied<A::Reply>, ProposeError> {
        let index = self.index;
        match A::Reply::from_reply(self.reply) {
            Some(reply) => Ok(Applied { index, reply }),
            None => {
                tracing::error!(
                    log.index = index,
                    "the leader's reply to a command is of another type: do all nodes run one version?"
                );
                Err(ProposeError::UnexpectedReply)
            }
        }
    }
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
    /// It was executed, but the leader's reply is of another type: the leader runs other code.
    #[error(
        "the leader's reply is of another type than the command's: do all nodes run one version?"
    )]
    UnexpectedReply,
    /// Too many proposals wait already: it was not executed and will not be.
    #[error("too many writes wait already")]
    Overloaded,
    /// The node is shutting down: it was not executed and will not be.
    #[error("the node is stopping")]
    Stopped,
}
