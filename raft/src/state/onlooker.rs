//! The seam through which a simulation sees every state of a node.
//!
//! A simulation checks its invariants after each entry on each node. The node itself does not depend
//! on anything here: without an onlooker it does the same.

use notty_storage::{Entry, Outcome, View};

/// An entry that a node has applied.
pub struct AppliedEntry<'a> {
    /// The entry's position in the log.
    pub index: u64,
    /// Its commands; `None` for an entry that changes members or nothing.
    pub entry: Option<&'a Entry>,
    /// The outcomes of its commands, in order.
    pub outcomes: &'a [Outcome],
    /// The running hash after it.
    pub hash: u64,
    /// The state after it.
    pub view: View,
}

/// Sees the states of one node.
pub trait Onlooker: Send + Sync + 'static {
    /// The node has applied an entry.
    fn applied(&self, applied: &AppliedEntry<'_>);
    /// The node's state was replaced by that of a snapshot, with its position and running hash.
    fn installed(&self, index: u64, hash: u64, view: &View);
    /// The term of the vote on the node's disk: it was just written, or found at a start.
    fn voted(&self, term: u64);
}
