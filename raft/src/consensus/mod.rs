//! openraft as the rest of a node uses it: the leader, the members, proposals and reads.
//!
//! Reading order: `handle` shows who leads and who the members are; `leadership` follows whether
//! this node leads; `silence` measures for how long no leader was heard, and `candidacy` has the node
//! stand for election then; `heartbeats` has a leader keep still, and `pauses` does that while no
//! majority answers it; `levels` withholds what a member may not understand; `gather` makes entries of
//! commands; `proposals` has a command executed here or by the leader; `reads` finds the position that a
//! read must reflect. This room changes no members: that is for the room `cluster`.

pub(crate) mod candidacy;
pub(crate) mod gather;
pub(crate) mod handle;
pub(crate) mod heartbeats;
pub(crate) mod leadership;
pub(crate) mod levels;
pub(crate) mod pauses;
pub(crate) mod proposals;
pub(crate) mod reads;
pub(crate) mod silence;
