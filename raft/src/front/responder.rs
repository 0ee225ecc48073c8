//! The running node, as its front asks it.
//!
//! The front opens before there is a node, and must not keep one alive that was stopped. So it knows
//! this trait alone, and holds it weakly.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, Weak},
};

use futures_util::future::BoxFuture;
use notty_storage::{
    Command,
    records::{ClusterLevel, Nodes},
};

use crate::{
    cluster::change::{Change, ChangeError, Changed},
    front::service::Service,
    outcome::{Applied, ProposeError},
    peers::{client::Peers, protocol::ReadPoint},
    state::node_state::NodeState,
    types::{LogId, NodeId, Peer, Raft},
};

/// A node that takes part in a cluster.
pub(crate) trait Responder: Send + Sync + 'static {
    /// The consensus, for openraft's own calls.
    fn raft(&self) -> &Raft;

    /// The state, where snapshots are received.
    fn state(&self) -> &Arc<NodeState>;

    /// The members by number; empty as long as the log names none.
    fn members(&self) -> BTreeMap<NodeId, Peer>;

    /// Admitted and dismissed nodes, as the state here has them; `None` if it cannot be read.
    fn admitted(&self) -> Option<Nodes>;

    /// Calls to other nodes.
    fn peers(&self) -> &Peers;

    /// The level of the cluster, as the state here has it.
    fn cluster_level(&self) -> ClusterLevel;

    /// False while the wall clock contradicts its own machine: then it does not count for others.
    fn has_say(&self) -> bool;

    /// True if this node would have a candidate elected whose log ends there.
    fn supports(&self, last: Option<LogId>) -> BoxFuture<'_, bool>;

    /// Has a command executed as the leader, or not at all.
    fn propose_here(&self, command: Command) -> BoxFuture<'_, Result<Applied, ProposeError>>;

    /// As the leader: the point that a read must reflect.
    fn read_point(&self) -> BoxFuture<'_, Result<ReadPoint, ProposeError>>;

    /// Changes the cluster as the leader, or not at all.
    fn change_here(&self, change: Change) -> BoxFuture<'_, Result<Changed, ChangeError>>;

    /// Ends the work of this node, because it is about to be taken out.
    fn retire(&self) -> BoxFuture<'_, ()>;

    /// Asks the members whether this node was taken out.
    fn ask_whether_dismissed(&self) -> BoxFuture<'_, bool>;

    /// The program above, while it runs.
    fn service(&self) -> Option<Arc<dyn Service>>;
}

/// The place of the node: empty until raft runs, and again once the node is gone.
#[derive(Default)]
pub(crate) struct NodePlace(OnceLock<Weak<dyn Responder>>);

impl NodePlace {
    /// The node runs from now on.
    pub(crate) fn fill(&self, node: Weak<dyn Responder>) {
        let _ = self.0.set(node);
    }

    pub(crate) fn get(&self) -> Option<Arc<dyn Responder>> {
        self.0.get().and_then(Weak::upgrade)
    }
}
