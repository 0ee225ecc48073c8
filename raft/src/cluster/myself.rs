//! This node as a member: its cluster, its number, and its configured name and addresses.

use std::collections::BTreeMap;

use crate::{
    disk::data_dir::Identity,
    types::{NodeId, Peer},
};

/// This node as its cluster should know it.
#[derive(Clone, Debug)]
pub(crate) struct Myself {
    /// The id of the cluster.
    pub(crate) cluster: String,
    /// The number in the cluster.
    pub(crate) node: NodeId,
    /// Name and addresses as they are configured, and the disk of this directory.
    pub(crate) peer: Peer,
    /// False for a node by itself, whose configuration has no cluster.
    pub(crate) has_peers: bool,
}

impl Myself {
    pub(crate) fn new(identity: &Identity, configured: &Peer, has_peers: bool) -> Self {
        Self {
            cluster: identity.cluster.clone(),
            node: identity.node,
            peer: Peer {
                disk: identity.disk.clone(),
                ..configured.clone()
            },
            has_peers,
        }
    }

    /// This node as it is configured, if the members know it otherwise.
    pub(crate) fn moved(&self, members: &BTreeMap<NodeId, Peer>) -> Option<Peer> {
        let known = members.get(&self.node)?;
        let has_moved = *known != self.peer && known.disk == self.peer.disk;
        (self.has_peers && has_moved).then(|| self.peer.clone())
    }
}
