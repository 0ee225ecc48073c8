//! A change of the cluster as people ask for it, its result, and the reasons why it is not made.
//!
//! These travel between nodes: any node can be asked, and passes the change on to the leader.

use serde::{Deserialize, Serialize};

use crate::{outcome::ProposeError, types::Peer};

/// A change of the cluster, as people ask for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A node with an empty data directory is taken in.
    Add {
        /// The name that it is configured with.
        name: String,
        /// The address at which peers reach it.
        peer: String,
        /// The address at which clients reach it.
        api: String,
    },
    /// A node is taken out, for good.
    Remove {
        /// The name of the member.
        name: String,
    },
    /// Leadership goes to another node.
    Transfer {
        /// The name of the next leader; `None` for the follower that has most.
        to: Option<String>,
    },
    /// A member has other addresses, or another name, than the others know of.
    Move(Peer),
}

/// Result of a change that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The node that it was about; after a transfer, the leader.
    pub name: String,
}

/// Reason why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ChangeError {
    /// There is no leader to make it.
    #[error("the cluster has no leader at the moment")]
    NoLeader,
    /// The leader was to go and leads no more: its successor makes the change.
    #[error("the leader has handed over; ask again")]
    HandedOver,
    /// It may have been made, or be made yet. It can be asked for again.
    #[error("whether it was done is not known; ask again, a repeat is harmless")]
    Unknown,
    /// Another change is under way.
    #[error("another change of the cluster is under way; ask again")]
    Busy,
    /// No member has this name.
    #[error("no node of the cluster is called `{0}`")]
    NotFound(String),
    /// Another node has the name.
    #[error(
        "`{0}` is a node of the cluster already, with another disk or at another address; if its \
         disk is lost, remove it first: notty cluster remove {0}"
    )]
    Exists(String),
    /// The node does not answer, or somebody else does.
    #[error("the node cannot be taken in: {0}")]
    Unreachable(String),
    /// The node belongs to a cluster already.
    #[error(
        "`{0}` belongs to a cluster already; only a node with an empty data directory can be taken \
         in: stop it, empty its data directory, start it again"
    )]
    NotEmpty(String),
    /// No voter would be left.
    #[error("`{0}` is the last node that votes: without it there is no cluster")]
    LastVoter(String),
    /// Too few would be left that answer.
    #[error("{0}")]
    Majority(String),
    /// Leadership stays where it is.
    #[error("leadership was not handed over: {0}")]
    NotTransferred(String),
    /// It breaks a rule of the state.
    #[error("{0}")]
    Refused(String),
    /// The name was a member's, which has another now.
    #[error(
        "`{name}` is the name that `{now}`, a node of the cluster, was taken in under: to take in \
         another node, give it another name, or remove that one first: notty cluster remove {now}"
    )]
    FormerName {
        /// The name that was asked for.
        name: String,
        /// The present name of that member.
        now: String,
    },
}

impl From<ProposeError> for ChangeError {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::Rejected { rejection, .. } => Self::Refused(rejection.to_string()),
            ProposeError::NoLeader | ProposeError::Stopped => Self::NoLeader,
            ProposeError::Unknown | ProposeError::Overloaded => Self::Unknown,
        }
    }
}

impl ChangeError {
    /// True if the same may be asked for again at once: another node may answer otherwise.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::NoLeader | Self::HandedOver | Self::Unknown)
    }
}
