//! The cluster of a node: how it is formed, and how its members change.
//!
//! Any node can be asked for a change; the leader makes it. The leader first writes into the state
//! what is wanted (a number given to a disk, a disk dismissed), and then changes the members step by
//! step. So the next leader completes what one left half done, and every change can be asked for again.
//!
//! Reading order: `forming` makes a cluster of empty nodes; `change` is a change as people ask for it;
//! `changes` passes it to the leader, which makes one at a time; `addition`, `removal` and `relocation`
//! are the three kinds of change; `member_list` makes their single steps; `completion` makes the next
//! step of what is wanted, and decides when a learner becomes a voter; `dismissal` finds out whether
//! this node was removed; `reachability` watches which members answer; `survey` asks the members for their positions; `handover` gives the leadership
//! to another; `waiting` holds the reason why a node has no cluster; `take_in` gives a restored node the other nodes that are configured.

pub(crate) mod addition;
pub(crate) mod change;
pub(crate) mod changes;
pub(crate) mod completion;
pub(crate) mod dismissal;
pub(crate) mod forming;
pub(crate) mod handover;
pub(crate) mod level;
pub(crate) mod member_list;
pub(crate) mod myself;
pub(crate) mod reachability;
pub(crate) mod relocation;
pub(crate) mod removal;
pub(crate) mod survey;
pub(crate) mod take_in;
#[cfg(test)]
mod tests;
pub(crate) mod waiting;
pub(crate) mod workbench;
