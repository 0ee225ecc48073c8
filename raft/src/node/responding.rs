//! The node as its front asks it, for peers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use futures_util::future::BoxFuture;
use notty_storage::{Command, records};

use super::Node;
use crate::{
    cluster::change::{Change, ChangeError, Changed},
    front::{responder::Responder, service::Service},
    outcome::{Applied, ProposeError},
    peers::{client::Peers, protocol::ReadPoint},
    state::node_state::NodeState,
    types::{LogId, NodeId, Peer, Raft},
};

impl Responder for Node {
    fn raft(&self) -> &Raft {
        self.consensus.raft()
    }

    fn state(&self) -> &Arc<NodeState> {
        &self.state
    }

    fn members(&self) -> BTreeMap<NodeId, Peer> {
        self.consensus.members()
    }

    fn admitted(&self) -> Option<records::Nodes> {
        self.list.remembered().ok()
    }

    fn peers(&self) -> &Peers {
        &self.peers
    }

    fn cluster_level(&self) -> records::ClusterLevel {
        self.levels.agreed()
    }

    fn has_say(&self) -> bool {
        self.trust.has_say()
    }

    fn supports(&self, last: Option<LogId>) -> BoxFuture<'_, bool> {
        Box::pin(self.candidacy.supports(last))
    }

    fn propose_here(&self, command: Command) -> BoxFuture<'_, Result<Applied, ProposeError>> {
        Box::pin(self.proposals.propose_here(command))
    }

    fn read_point(&self) -> BoxFuture<'_, Result<ReadPoint, ProposeError>> {
        Box::pin(self.reads.read_point())
    }

    fn change_here(&self, change: Change) -> BoxFuture<'_, Result<Changed, ChangeError>> {
        Box::pin(self.changes.change_here(change))
    }

    fn retire(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.duty.retire())
    }

    fn ask_whether_dismissed(&self) -> BoxFuture<'_, bool> {
        Box::pin(self.dismissal.ask())
    }

    fn service(&self) -> Option<Arc<dyn Service>> {
        self.service.get().and_then(Weak::upgrade)
    }
}
