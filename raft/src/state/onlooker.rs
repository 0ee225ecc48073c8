//! Who looks on while a node applies entries: a simulation, which checks every state.

use notty_storage::{Entry, Outcome, View};

/// An entry that a node has applied.
pub struct AppliedEntry<'a> {
    /// Its position.
    pub index: u64,
    /// What it holds; none: nothing of the state's.
    pub entry: Option<&'a Entry>,
    /// What its commands were answered.
    pub outcomes: &'a [Outcome],
    /// The running hash after it.
    pub hash: u64,
    /// The state after it.
    pub view: View,
}

/// Looks on. Nothing of what the node does depends on it.
pub trait Onlooker: Send + Sync + 'static {
    /// The node has applied an entry.
    fn applied(&self, applied: &AppliedEntry<'_>);
    /// The node's state was replaced by a snapshot's that stands at a position; its running hash.
    fn installed(&self, index: u64, hash: u64, view: &View);
    /// The term of the vote that the node's disk holds: it was just written, or found at a start.
    fn voted(&self, term: u64);
}
