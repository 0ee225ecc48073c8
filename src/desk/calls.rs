//! Calls between desks over the peer protocol.

use notty_storage::{
    command::Report,
    model::{Epoch, LeaseId, MailingNumber, PostmanName},
};
use serde::{Deserialize, Serialize};

use super::presence::PostmanSight;
use crate::{
    post_office::Ask,
    postman::desk::{DeskError, HeldLease},
};

/// A call of a node's service. New calls come last: a call's number is its place here.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Call {
    /// From another node's desk, to the leader's post office.
    Grant(Ask),
    /// From a standalone postman; so are all that follow.
    Register {
        /// The name of the postman.
        name: PostmanName,
        /// A random number of this start.
        nonce: u64,
    },
    /// An ask for messages to send.
    Ask {
        /// The id of the lease.
        lease: LeaseId,
        /// The number of messages, at most.
        room: u16,
        /// Hash of the gateway that it sends to.
        gateway: u64,
        /// True if the same was asked before, and no answer came.
        again: bool,
        /// Mailings that it cannot send now: never with a cluster below
        /// [`UNWANTED_LEVEL`](notty_storage::level::UNWANTED_LEVEL), which would refuse the call.
        unwanted: Vec<MailingNumber>,
    },
    /// The results of messages.
    Report(Report),
    /// A look at leases that are held.
    Look(Vec<HeldLease>),
    /// A search for leases of a start that may be held, or not have been heard of.
    Left(Epoch),
    /// The declaration of a start's gateway.
    Declare {
        /// The epoch of the start.
        postman: Epoch,
        /// Hash of the gateway and the account.
        gateway: u64,
        /// Milliseconds after the first doubtful try in which it may get a message again.
        repeat_ms: Option<u64>,
    },
    /// A wait for messages to send; the node holds it.
    Wait {
        /// The epoch of the postman.
        postman: Epoch,
        /// Hash of the gateway that it sends to.
        gateway: u64,
        /// The position of the state that an earlier wait returned.
        seen: Option<u64>,
        /// Mailings that it cannot send now, as in an ask.
        unwanted: Vec<MailingNumber>,
    },
    /// The gateway that a standalone postman sends to, by its hash: is it the node's too?
    CompareGateway(u64),
    /// From another node's desk, to the leader: the standalone postmen that call there.
    Postmen(Vec<PostmanSight>),
}

/// The answer to a postman's call.
pub(super) type CallResult<T> = Result<T, DeskError>;
