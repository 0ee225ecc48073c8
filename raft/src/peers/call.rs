//! Callers of a call, and the reasons for which one has no reply.
//!
//! Apart from [`super::protocol`] because these are the same for every call.

use serde::{Deserialize, Serialize};

/// Peers that may make a call, as the calls declare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callers {
    /// Every peer that has proved itself.
    Everybody,
    /// Members, admitted nodes, and nodes that do not belong to a cluster yet.
    Founders,
    /// Members and admitted nodes.
    Nodes,
    /// Members, admitted nodes, and standalone postmen.
    NodesAndPostmen,
}

/// Reason why a node does not answer a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Denial {
    /// The call cannot be done, or not now; the text is for people.
    Refused(String),
    /// The caller was taken out of this cluster for good, whatever it asks.
    Dismissed,
    /// The caller's version is too old for this cluster, whatever it asks; the text names both versions.
    Outdated(String),
}

impl Denial {
    pub(crate) fn refused(what: impl ToString) -> Self {
        Self::Refused(what.to_string())
    }
}

/// Reason why a call has no reply, as its caller sees it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// Nothing of it was sent.
    #[error("{address} cannot be reached: {what}")]
    NotSent {
        /// The address of the peer.
        address: String,
        /// The error, as text for people.
        what: String,
    },
    /// It may have been taken.
    #[error("{address} did not answer: {what}")]
    Lost {
        /// The address of the peer.
        address: String,
        /// The error, as text for people.
        what: String,
    },
    /// The peer refused it.
    #[error("{address} refused: {what}")]
    Refused {
        /// The address of the peer.
        address: String,
        /// The peer's reason, as text for people.
        what: String,
    },
}

impl CallError {
    /// The error as a sentence without its subject, for a text that names the peer already.
    pub fn reason(&self) -> String {
        // People know nothing of the system's numbers.
        let plain = |what: &str| what.split(" (os error").next().unwrap_or(what).to_owned();
        match self {
            Self::NotSent { what, .. } => format!("cannot be reached: {}", plain(what)),
            Self::Lost { what, .. } => format!("does not answer: {}", plain(what)),
            Self::Refused { what, .. } => format!("refuses this node: {what}"),
        }
    }

    /// The error of a caller whose call the peer at an address denied.
    pub(super) fn denied(address: &str, denial: Denial) -> Self {
        let what = match denial {
            Denial::Refused(what) | Denial::Outdated(what) => what,
            Denial::Dismissed => "this node was removed from the cluster".to_owned(),
        };
        Self::Refused {
            address: address.to_owned(),
            what,
        }
    }
}
