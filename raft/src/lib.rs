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
//! To read this crate, room by room: [`disk`] is the seam for files and the data directory; [`log`]
//! and [`state`] keep what a node has agreed to; [`peers`] carries calls between nodes; [`time`]
//! judges the clocks; `front` answers peers; [`node`] proposes, reads and leads; `cluster` forms
//! the cluster and changes its members; `open` puts it all together; [`backup`] carries a state out
//! and into a new cluster.

pub mod backup;
mod cluster;
mod consensus;
pub mod disk;
pub mod error;
mod front;
pub mod log;
pub mod node;
mod open;
mod outcome;
pub mod peers;
#[cfg(test)]
#[path = "../../tests/support/ports.rs"]
mod ports;
mod runtime;
pub mod state;
pub mod time;
mod types;

pub use cluster::{
    change::{Change, ChangeError, Changed},
    handover::TransferError,
    survey::Sight,
};
pub use consensus::{handle::Member, leadership::Leadership};
pub use error::Error;
pub use front::service::{Caller, Service};
pub use node::{AppliedChanges, Node, readiness::NotReady, status::NodeStatus};
pub use open::options::{ClusterOptions, NodeOptions};
pub use outcome::{Applied, ProposeError};
pub use peers::{
    CallError, Credentials, Io, Listener, TcpTransport, TlsError, TlsFiles, Transport,
    peer_client::PeerClient,
};
pub use state::onlooker::{AppliedEntry, Onlooker};
pub use time::{
    belief::{JUMP_MS, OFF_MS},
    clock::{Clock, SystemClock},
    doubt::ClockDoubt,
};
pub use types::Peer;

use std::sync::Arc;

/// What is called when this node can no longer be trusted to go on; must not return control to a
/// node that keeps answering. The process ends with the line given.
pub type Fatal = Arc<dyn Fn(&str) + Send + Sync>;
