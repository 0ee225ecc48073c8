//! Opening a node: its parts in the order in which each needs the ones before.
//!
//! `stores` opens log, snapshots and state, and rebuilds a state that cannot be used.

pub(crate) mod stores;
