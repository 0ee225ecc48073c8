//! The cluster of a node: how it is formed, and how its members change.
//!
//! Reading order: `forming` makes a cluster of empty nodes; `changes` adds, removes and moves
//! members; `upkeep` completes what a leader before left half done; `members` surveys the members
//! and hands leadership over; `take_in` gives a restored node the other nodes that are configured.

pub(crate) mod changes;
pub(crate) mod forming;
pub(crate) mod members;
pub(crate) mod take_in;
#[cfg(test)]
mod tests;
pub(crate) mod upkeep;
