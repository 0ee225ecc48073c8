//! The options with which a node is opened.

use std::sync::Arc;

use notty_storage::StoreOptions;

use crate::{
    Fatal,
    disk::files::Files,
    log::LogOptions,
    peers::{Credentials, Transport},
    state::onlooker::Onlooker,
    time::clock::Clock,
    types::Peer,
};

/// Options of a node.
#[derive(Clone)]
pub struct NodeOptions {
    /// Name and addresses of this node, as the cluster should know them.
    pub peer: Peer,
    /// Options of the state.
    pub store: StoreOptions,
    /// Options of the log.
    pub log: LogOptions,
    /// The files that the log lies in.
    pub files: Arc<dyn Files>,
    /// An observer of every applied entry; only a simulation has one.
    pub onlooker: Option<Arc<dyn Onlooker>>,
    /// The clocks of the machine.
    pub clock: Arc<dyn Clock>,
    /// Ends the process when this node cannot be trusted to go on.
    pub fatal: Fatal,
    /// The commit that this program was built from, which the other nodes show; may be empty.
    pub commit: String,
    /// True if a leader proposes commands of the second level all the time, for tests and simulations.
    pub exercises_levels: bool,
    /// The cluster; `None` for a node by itself.
    pub cluster: Option<ClusterOptions>,
}

/// The cluster that a node belongs to, or is to belong to.
#[derive(Clone)]
pub struct ClusterOptions {
    /// The address at which peers are listened to.
    pub listen: String,
    /// Proof that a peer is one.
    pub credentials: Credentials,
    /// The number of nodes that form the cluster.
    pub expect: usize,
    /// All nodes that are configured, this one among them.
    pub nodes: Vec<Peer>,
    /// The streams between them.
    pub transport: Arc<dyn Transport>,
}
