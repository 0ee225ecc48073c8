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
pub mod disk;
pub mod error;
mod front;
pub mod log;
pub mod node;
mod open;
pub mod peers;
#[cfg(test)]
#[path = "../../tests/support/ports.rs"]
mod ports;
mod runtime;
pub mod state;
pub mod time;
mod types;

pub use cluster::changes::{Change, ChangeError, Changed};
pub use cluster::members::{Sight, TransferError};
pub use error::{Error, ProposeError};
pub use front::answers::{Caller, Service};
pub use node::leadership::Leadership;
pub use node::proposal::Applied;
pub use node::{AppliedChanges, ClusterOptions, Member, Node, NodeOptions, NodeStatus, NotReady};
pub use peers::peer_client::PeerClient;
pub use peers::{
    CallError, Credentials, Io, Listener, TcpTransport, TlsError, TlsFiles, Transport,
};
pub use state::onlooker::{AppliedEntry, Onlooker};
pub use time::clock::{Clock, SystemClock};
pub use time::trust::{ClockDoubt, JUMP_MS, OFF_MS};
pub use types::Peer;

use std::sync::Arc;

/// What is called when this node can no longer be trusted to go on; must not return control to a
/// node that keeps answering. The process ends with the line given.
pub type Fatal = Arc<dyn Fn(&str) + Send + Sync>;
