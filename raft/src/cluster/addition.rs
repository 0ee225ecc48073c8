//! A node with an empty data directory is taken in: as a learner, which votes once it is level.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use notty_storage::records::Nodes;
use openraft::ChangeMembers;
use tokio::time::{sleep, timeout};

use crate::{
    cluster::{
        change::ChangeError,
        completion::Completion,
        forming::identify,
        member_list::{AGREE, MemberList},
        myself::Myself,
    },
    consensus::handle::Consensus,
    peers::{
        call::CallError,
        client::Peers,
        protocol::{Invitation, Invite, Standing},
    },
    types::{NodeId, Peer},
};

/// How long a peer may take to take an invitation.
const ANSWER: Duration = Duration::from_secs(2);
/// Between two looks at how far the new member has come.
const LOOK: Duration = Duration::from_millis(100);

/// Takes nodes in, as the leader.
pub(crate) struct Addition {
    pub(super) me: Arc<Myself>,
    pub(super) peers: Arc<Peers>,
    pub(super) consensus: Arc<Consensus>,
    pub(super) list: Arc<MemberList>,
    pub(super) completion: Arc<Completion>,
}

impl Addition {
    /// Takes in the node at an address, which must have this name; returns the name.
    pub(crate) async fn add(&self, asked: Peer) -> Result<String, ChangeError> {
        let standing = identify(&self.peers, &asked.peer).await;
        if let Some((_, member)) = self.consensus.member_called(&asked.name) {
            let has_other_disk = standing.is_ok_and(|there| there.disk != member.disk);
            return if member.peer == asked.peer && !has_other_disk {
                Ok(asked.name)
            } else {
                Err(ChangeError::Exists(asked.name))
            };
        }

        let standing = standing.map_err(|error| match error {
            // It knows the secret and speaks with another cluster only.
            CallError::Refused { .. } => ChangeError::NotEmpty(asked.name.clone()),
            error => ChangeError::Unreachable(error.to_string()),
        })?;
        let peer = self.check(asked, standing)?;

        let node = self.list.admit(&peer).await?;
        self.invite(node, &peer).await?;
        let name = peer.name.clone();
        let learner = BTreeMap::from([(node, peer)]);
        self.list.change(ChangeMembers::AddNodes(learner)).await?;
        tracing::info!(
            node.id = node,
            "`{name}` is taken in; it will vote once it is level"
        );

        // Where it has much to catch up with, the leader goes on by itself.
        let _ = timeout(AGREE, self.bring_level(&name)).await;
        Ok(name)
    }

    /// Checks that the node at the address may be taken in, and adds its disk.
    fn check(&self, asked: Peer, standing: Standing) -> Result<Peer, ChangeError> {
        if standing.name != asked.name {
            let (there, wanted) = (&standing.name, &asked.name);
            let what = format!("at {} is `{there}`, not `{wanted}`", asked.peer);
            return Err(ChangeError::Unreachable(what));
        }
        let peer = Peer {
            disk: standing.disk,
            ..asked
        };

        // A node of this cluster has an earlier try of the same change behind it.
        let remembered = self.list.remembered()?;
        let is_known = remembered.of_disk(&peer.disk).is_some();
        let is_empty = standing
            .cluster
            .is_none_or(|cluster| cluster == self.me.cluster && is_known);
        if !is_empty {
            return Err(ChangeError::NotEmpty(peer.name));
        }

        match self.taken_in_as(&remembered, &peer) {
            Some(member) => Err(ChangeError::FormerName {
                name: peer.name,
                now: member.name,
            }),
            None => Ok(peer),
        }
    }

    /// The member that was taken in under a name and has another now. Its record keeps the name: to
    /// admit another disk under it would dismiss that member.
    fn taken_in_as(&self, remembered: &Nodes, peer: &Peer) -> Option<Peer> {
        let members = self.consensus.members();
        let mut taken_in = remembered.nodes.iter().filter(|record| {
            !record.dismissed && record.name == peer.name && record.disk != peer.disk
        });
        taken_in.find_map(|record| {
            let mut members = members.values();
            members.find(|member| member.disk == record.disk).cloned()
        })
    }

    async fn invite(&self, node: NodeId, peer: &Peer) -> Result<(), ChangeError> {
        let invitation = Invitation {
            cluster: self.me.cluster.clone(),
            node,
            members: self.consensus.members(),
        };
        let inviting = self.peers.call(&peer.peer, Invite(invitation), ANSWER);
        let invited = inviting.await;
        invited.map_err(|error| ChangeError::Unreachable(error.to_string()))
    }

    /// Makes step after step until a member votes.
    async fn bring_level(&self, name: &str) -> Result<(), ChangeError> {
        while let Some((node, _)) = self.consensus.member_called(name)
            && !self.consensus.voters().contains_key(&node)
        {
            self.completion.step().await?;
            sleep(LOOK).await;
        }
        Ok(())
    }
}
