//! What desks say to each other over the peer protocol.

use notty_storage::{
    command::Report,
    model::{Epoch, LeaseId, PostmanName},
};
use serde::{Deserialize, Serialize};

use crate::{
    post_office::Ask,
    postman::desk::{DeskError, Held},
};

/// A call of a node's service.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Call {
    /// From another node's desk, to the leader's post office.
    Grant(Ask),
    /// From a postman by itself; so are all that follow.
    Register {
        /// Its name.
        name: PostmanName,
        /// A random number of this start.
        nonce: u64,
    },
    /// For messages to send.
    Ask {
        /// Under this lease.
        lease: LeaseId,
        /// At most so many.
        room: u16,
        /// Hash of the gateway that it sends to.
        gateway: u64,
        /// Whether the same was asked before, and no answer came.
        again: bool,
    },
    /// What became of messages.
    Report(Report),
    /// How what is held stands.
    Look(Vec<Held>),
    /// Which leases of a start may be held, or not have been heard of.
    Left(Epoch),
    /// Where a start sends.
    Declare {
        /// The start.
        postman: Epoch,
        /// Hash of the gateway and the account.
        gateway: u64,
        /// For how many milliseconds after the first doubtful try it may get a message again.
        repeat_ms: Option<u64>,
    },
}

/// What a postman's call is answered.
pub(super) type Answered<T> = Result<T, DeskError>;
