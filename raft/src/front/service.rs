//! The seam to the program above raft: calls that it alone understands.

use futures_util::future::BoxFuture;

use crate::peers::server::Who;

/// A caller of the service above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A node of the same cluster.
    Node,
    /// A standalone postman, by its name.
    Postman(String),
}

impl Caller {
    /// A peer as the service above sees it, if it may call the service at all.
    pub(crate) fn of(who: &Who) -> Option<Self> {
        match who {
            Who::Node => Some(Self::Node),
            Who::Postman(name) => Some(Self::Postman(name.clone())),
            Who::Visitor | Who::Dismissed | Who::Outdated(_) => None,
        }
    }
}

/// The program above, as peers call it.
pub trait Service: Send + Sync + 'static {
    /// Answers one call; the service itself decides what a postman may ask.
    fn call(&self, caller: Caller, request: Vec<u8>) -> BoxFuture<'_, Vec<u8>>;

    /// True if a call may be dropped half way once its caller has gone: it changes nothing.
    fn may_be_dropped(&self, _request: &[u8]) -> bool {
        false
    }
}
