//! The seam between a postman and the cluster, plugged by the composition root.
//!
//! A postman knows neither node nor post office. Every call may be lost, repeated or answered
//! late; none is retried here under another id.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use notty_storage::{
    Timestamp,
    command::Report,
    model::{Epoch, LeaseId, MailingNumber, PostmanName, Run, SendWindow},
    query::leases::LeasedMessage,
};
use serde::{Deserialize, Serialize};

use crate::receipts::AskedReceipts;

/// An answer that is awaited.
pub type DeskAnswer<'a, T> = Pin<Box<dyn Future<Output = Result<T, DeskError>> + Send + 'a>>;

/// The reason for the lack of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum DeskError {
    /// Not now; ask again later, under the same id.
    #[error("the cluster cannot answer now: {0}")]
    Unavailable(String),
    /// A newer postman of the same name has registered: this one gets nothing more.
    #[error("a newer postman of this name has registered")]
    Replaced,
    /// The lease of this number has been closed: nothing more is to be had under it.
    #[error("the lease was closed before its answer came")]
    Closed,
    /// The request can never be granted as it is.
    #[error("refused: {0}")]
    Refused(String),
    /// The postman had nothing to send for long and is not known any more: it may register anew.
    #[error("the cluster does not know this postman any more")]
    Forgotten,
}

/// The answer to a call that a node does not understand, because it runs another version of notty.
pub const NOT_UNDERSTOOD: &str =
    "this node does not understand the call; run the same version of notty on both";

impl DeskError {
    /// True if the same request will be refused for ever, by every node.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused(why) => why != NOT_UNDERSTOOD,
            Self::Closed => true,
            Self::Unavailable(_) | Self::Replaced | Self::Forgotten => false,
        }
    }
}

/// A lease, with all that sending needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parcel {
    /// Id of the lease.
    pub lease: LeaseId,
    /// Number of its mailing.
    pub mailing: MailingNumber,
    /// Its duration, from the first ask for it.
    pub ttl: Duration,
    /// The text of the mailing.
    pub text: Arc<str>,
    /// Its messages, as the state knows them.
    pub runs: Vec<Run>,
    /// The messages one by one.
    pub messages: Vec<LeasedMessage>,
    /// The limits of sending as they stood at the grant.
    pub terms: Terms,
    /// Id of its mailing, for logs; empty from a node of an older version.
    pub mailing_id: String,
    /// The addresses for receipts of its messages; none: the gateway is asked for none.
    pub receipts: Option<AskedReceipts>,
}

/// The limits within which a mailing's messages may be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// True if the mailing may send at all: not paused, cancelled, deleted or over.
    pub open: bool,
    /// The end of the mailing.
    pub ends_at: Timestamp,
    /// The daily window of the mailing.
    pub window: Option<SendWindow>,
    /// The end of today's window by zone number; in zones that are not here it is closed.
    pub closes: Vec<(u16, Timestamp)>,
}

/// A look at the cluster: the present terms of leases that a postman holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ClusterLook {
    /// The leader's clock at the time of the look.
    pub leader_clock: Timestamp,
    /// The present terms of each lease.
    pub terms: Vec<(LeaseId, Terms)>,
    /// Positions of messages that must not be begun any more: their customers were deleted, or a receipt has
    /// settled them.
    pub dropped: Vec<(LeaseId, Vec<u32>)>,
}

/// A lease that a postman holds, as it looks after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeldLease {
    /// Id of the lease.
    pub lease: LeaseId,
    /// Number of its mailing.
    pub mailing: MailingNumber,
    /// Messages of the lease.
    pub runs: Arc<[Run]>,
}

/// A lease that an earlier run of a postman left open, or that ran out before its answer came.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Left {
    /// Id of the lease.
    pub lease: LeaseId,
    /// Number of its mailing.
    pub mailing: MailingNumber,
    /// Messages of the lease.
    pub runs: Vec<Run>,
}

/// Mailings that an ask may name as unwanted, at most.
pub const UNWANTED: usize = 64;

/// The messages that a postman can send through one gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendableWork {
    /// Hash of the gateway and the account.
    pub gateway: u64,
    /// Mailings that the gateway does not take now, [`UNWANTED`] at most. A node of an older version may
    /// not heed them.
    pub unwanted: Vec<MailingNumber>,
}

/// The place where a postman asks.
pub trait Desk: Send + Sync + 'static {
    /// Registers a postman; the same nonce gives the same epoch.
    fn register(&self, name: PostmanName, nonce: u64) -> DeskAnswer<'_, Epoch>;
    /// Declares the gateway of a postman's start, and for how many milliseconds after the first doubtful
    /// try a message may go there again.
    fn declare(&self, postman: Epoch, gateway: u64, repeat_ms: Option<u64>) -> DeskAnswer<'_, ()>;
    /// Asks for messages to send, under a lease's id; `again`: the same was asked before, and no
    /// answer came.
    fn ask(
        &self,
        lease: LeaseId,
        room: u16,
        work: SendableWork,
        again: bool,
    ) -> DeskAnswer<'_, Option<Parcel>>;
    /// Reports results. Returns how many contradicted an earlier report.
    fn report(&self, report: Report) -> DeskAnswer<'_, usize>;
    /// Looks at what is held, no older than the call.
    fn look(&self, held: Vec<HeldLease>) -> DeskAnswer<'_, ClusterLook>;
    /// Leases of a postman's start that are open, and the last one if it ran out with nothing reported
    /// of it.
    fn left(&self, epoch: Epoch) -> DeskAnswer<'_, Vec<Left>>;
    /// Waits until an ask may find something, or for some seconds. Returns the position of the state that
    /// promises it. `seen` is the position that was returned last: a state that promised something then,
    /// and has not changed since, is no reason to return at once.
    ///
    /// Only a hint: no rule depends on when, or whether, it returns.
    fn wait(&self, postman: Epoch, work: SendableWork, seen: Option<u64>) -> DeskAnswer<'_, u64>;
}
