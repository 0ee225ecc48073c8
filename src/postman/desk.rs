//! What a postman asks of the cluster: the seam that the composition root plugs.
//!
//! A postman knows neither node nor post office. Every call may be lost, repeated or answered
//! late; none is retried here under another id.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use notty_raft::AppliedChanges;
use notty_storage::{
    Timestamp,
    command::Report,
    model::{Epoch, LeaseId, MailingNumber, PostmanName, Run, SendWindow},
    query::leases::LeasedMessage,
};
use serde::{Deserialize, Serialize};

/// An answer being waited for.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, DeskError>> + Send + 'a>>;

/// Why there is no answer.
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

/// A lease with all that sending needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parcel {
    /// The lease.
    pub lease: LeaseId,
    /// Its mailing.
    pub mailing: MailingNumber,
    /// How long it lasts from when it was asked for.
    pub ttl: Duration,
    /// What the mailing says.
    pub text: Arc<str>,
    /// Which messages, as the state knows them.
    pub runs: Vec<Run>,
    /// The messages one by one.
    pub messages: Vec<LeasedMessage>,
    /// Until when what may be sent.
    pub terms: Terms,
}

/// Until when a mailing's messages may be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Whether the mailing may send at all: not paused, cancelled, deleted or over.
    pub open: bool,
    /// When the mailing ends.
    pub ends_at: Timestamp,
    /// Its daily window.
    pub window: Option<SendWindow>,
    /// When the window closes, by zone number; in zones that are not here it is closed.
    pub closes: Vec<(u16, Timestamp)>,
}

/// What a look at the cluster shows of leases that a postman holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Look {
    /// The leader's clock when it looked.
    pub leader_clock: Timestamp,
    /// Each lease's terms now.
    pub terms: Vec<(LeaseId, Terms)>,
    /// Positions of messages whose customers were deleted.
    pub dropped: Vec<(LeaseId, Vec<u32>)>,
}

/// A lease that a postman holds, as it looks after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Held {
    /// The lease.
    pub lease: LeaseId,
    /// Its mailing.
    pub mailing: MailingNumber,
    /// Its messages.
    pub runs: Arc<[Run]>,
}

/// A lease that an earlier run of a postman left open, or that ran out before its answer came.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Left {
    /// The lease.
    pub lease: LeaseId,
    /// Its mailing.
    pub mailing: MailingNumber,
    /// Its messages.
    pub runs: Vec<Run>,
}

/// Where a postman asks.
pub trait Desk: Send + Sync + 'static {
    /// Registers a postman; the same nonce gives the same epoch.
    fn register(&self, name: PostmanName, nonce: u64) -> Answer<'_, Epoch>;
    /// Declares where a postman's start sends, and for how many milliseconds after the first doubtful
    /// try a message may go there again.
    fn declare(&self, postman: Epoch, gateway: u64, repeat_ms: Option<u64>) -> Answer<'_, ()>;
    /// Asks for messages to send, under a lease's id; `again`: the same was asked before, and no
    /// answer came.
    fn ask(
        &self,
        lease: LeaseId,
        room: u16,
        gateway: u64,
        again: bool,
    ) -> Answer<'_, Option<Parcel>>;
    /// Says what became of messages; the conflicts that it met.
    fn report(&self, report: Report) -> Answer<'_, usize>;
    /// Looks at what is held, no older than the call.
    fn look(&self, held: Vec<Held>) -> Answer<'_, Look>;
    /// Leases of a postman's start that are open, and the last one if it ran out with nothing reported
    /// of it.
    fn left(&self, epoch: Epoch) -> Answer<'_, Vec<Left>>;
    /// Changes of the state that this desk sees, after which an ask may find more than before; none
    /// where the state is elsewhere.
    fn changes(&self) -> Option<AppliedChanges>;
}
