//! Agreement of notty's nodes on the state: openraft over a log of our own, and proposals.
//!
//! A caller may rely on this:
//!
//! - A write is acknowledged ([`Node::propose`] returns [`Applied`]) once it is on the disks of a
//!   majority, synced, and applied on this node. A crash at any moment after that keeps it.
//! - [`ProposeError::Unknown`] means exactly that: the command may have been executed, or may yet
//!   be. It may be repeated only under an origin that makes the repeat recognisable.
//! - A [`View`](notty_storage::View) shows whole entries, perhaps not the latest:
//!   [`Node::wait_applied`] waits for a position, [`Node::linearize`] for everything acknowledged
//!   before the call.
//! - Any fault of the disk ends the process ([`Fatal`]): what it acknowledged is on the disk, and
//!   nothing that it would answer next can be trusted.
//!
//! The rooms, each built on the ones before it:
//!
//! | room | purpose |
//! |---|---|
//! | [`disk`] | the seam for files, and the data directory with the identity of the node |
//! | [`log`] | entries and votes, on the disk before they are acknowledged |
//! | [`state`] | entries applied, snapshots written and installed |
//! | [`peers`] | proven sessions between nodes, and the calls over them |
//! | [`time`] | the clocks of the machine, the trust in them, the time of entries |
//! | `consensus` | the leader and the members; proposals and reads |
//! | `front` | the peers that a node admits, and its answers to their calls |
//! | `cluster` | forming a cluster, and changing its members |
//! | [`node`] | the node as the program above uses it; its upkeep |
//! | `open` | all parts opened in order |
//! | [`backup`] | a state carried out, and into a new cluster |

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
    waiting::WaitingReason,
};
pub use consensus::{handle::Member, leadership::Leadership};
pub use error::Error;
pub use front::service::{Caller, Service};
pub use node::{AppliedChanges, Node, readiness::NotReady, status::NodeStatus};
pub use open::options::{ClusterOptions, NodeOptions};
pub use outcome::{Applied, ProposeError};
pub use peers::{
    Accepted, CallError, Credentials, Io, Listener, Peek, TcpTransport, TlsError, TlsFiles,
    Transport, peer_client::PeerClient,
};
pub use state::onlooker::{AppliedEntry, Onlooker};
pub use time::{
    belief::{JUMP_MS, OFF_MS},
    clock::{Clock, SystemClock},
    doubt::ClockDoubt,
    lead::TimeLead,
};
pub use types::Peer;

use std::sync::Arc;

/// Ends the process with the line given, because this node can no longer be trusted. It must not
/// return control to a node that keeps answering.
pub type Fatal = Arc<dyn Fn(&str) + Send + Sync>;
