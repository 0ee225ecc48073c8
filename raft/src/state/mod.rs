//! The state of a node behind openraft: entries applied, snapshots written and installed.
//!
//! Reading order: `position` is the place in the log that a state stands at; `state_dir` keeps sled's
//! files in generations; `snapshots` keeps the snapshots; `state_machine` applies entries and builds
//! and installs snapshots; `compaction` decides when a snapshot is due; `watchdog` ends a process
//! whose disk does not answer; [`onlooker`] is the seam through which a simulation sees every state.
//! The rules of the state are in `notty_storage`.

pub(crate) mod compaction;
pub(crate) mod node_state;
pub mod onlooker;
pub(crate) mod position;
pub(crate) mod snapshots;
pub(crate) mod state_dir;
pub(crate) mod state_machine;
#[cfg(test)]
mod tests;
pub(crate) mod watchdog;
