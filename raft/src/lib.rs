//! How notty's nodes agree on the state: openraft over a log of our own, and proposals.
//!
//! What a caller may assume:
//!
//! - A write is acknowledged ([`Node::propose`] returns [`Applied`]) once it is on the disks of a
//!   majority, synced, and applied on this node. A crash at any moment after that keeps it.
//! - [`ProposeError::Unknown`] means exactly that: the command may have been executed, or may yet
//!   be. It may be repeated only under an origin that makes the repeat recognisable.
//! - A [`View`](notty_storage::View) shows whole entries, perhaps not the latest:
//!   [`Node::wait_applied`] waits for a position, [`Node::linearize`] for everything acknowledged
//!   before the call.
//! - Any fault of the disk ends the process ([`Fatal`]): what it acknowledged is on the disk, and
//!   what it would say next cannot be trusted.
//!
//! To read this crate: [`files`] and [`log`] keep the log; [`data_dir`] says whose it is;
//! `state_machine` applies entries and keeps snapshots; `watchdog` and `lag` look for a disk that
//! stands still; `proposal` gathers commands into entries;
//! [`node`] puts it together; [`backup`] and [`restore`] carry a state out and into a new cluster.

mod acquaintance;
pub mod backup;
mod changes;
pub mod clock;
mod clocks;
mod compaction;
pub mod data_dir;
mod disk;
pub mod error;
pub mod files;
mod forming;
mod front;
#[cfg(test)]
mod installs;
#[cfg(test)]
mod intruders;
mod lag;
mod leadership;
pub mod log;
mod log_store;
mod members;
mod network;
pub mod node;
mod onlooker;
mod peer_client;
pub mod peers;
#[cfg(test)]
#[path = "../../tests/support/ports.rs"]
mod ports;
mod proposal;
pub mod restore;
mod runtime;
mod snapshots;
#[cfg(test)]
mod standing;
mod state_machine;
#[cfg(test)]
mod suite;
mod take_in;
#[cfg(test)]
mod taken_in;
mod trust;
mod types;
mod upkeep;
mod watchdog;

pub use changes::{Change, ChangeError, Changed};
pub use clock::{Clock, SystemClock};
pub use error::{Error, ProposeError};
pub use front::{Caller, Service};
pub use leadership::Leadership;
pub use members::{Sight, TransferError};
pub use node::{AppliedChanges, ClusterOptions, Member, Node, NodeOptions, NodeStatus, NotReady};
pub use onlooker::{AppliedEntry, Onlooker};
pub use peer_client::PeerClient;
pub use peers::{
    CallError, Credentials, Io, Listener, TcpTransport, TlsError, TlsFiles, Transport,
};
pub use proposal::Applied;
pub use trust::{ClockDoubt, JUMP_MS, OFF_MS};
pub use types::Peer;

use std::sync::Arc;

/// What is called when this node can no longer be trusted to go on; must not return control to a
/// node that keeps answering. The process ends with the line given.
pub type Fatal = Arc<dyn Fn(&str) + Send + Sync>;
