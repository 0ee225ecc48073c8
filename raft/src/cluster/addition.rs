//! A node with an empty data directory is taken in: as a learner, which votes once it is level.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use notty_storage::records::Nodes;
use openraft::ChangeMembers;
use tokio::time::{sleep, timeout};

use crate::{
    cluster::{
        change::ChangeError, completion::Completion, forming::identify, member_list::AGREE,
        workbench::Workbench,
    },
    peers::{
        call::CallError,
        protocol::{Invitation, Invite, Standing},
    },
    types::{NodeId, Peer},
};

/// Time limit of a peer for writing an invitation down.
const ANSWER: Duration = Duration::from_secs(2);
/// Between two looks at how far the new member has come.
const LOOK: Duration = Duration::from_millis(100);

/// Takes nodes in, as the leader.
pub(crate) struct Addition {
    pub(super) workbench: Workbench,
    pub(super) completion: Arc<Completion>,
}

impl Addition {
    /// Takes in the node at an address, which must have this name; returns the name.
    pub(crate) async fn add(&self, asked: Peer) -> Result<String, ChangeError> {
        let answer = identify(&self.workbench.peers, &asked.peer).await;
        if let Some((_, member)) = self.workbench.consensus.member_called(&asked.name) {
            let disk = answer.ok().map(|standing| standing.disk);
            return already_added(&member, asked, disk);
        }

        let standing = answer.map_err(|error| not_reached(error, &asked.name))?;
        let peer = self.check(asked, standing)?;
        let name = peer.name.clone();
        self.take_in(peer).await?;

        // Where it has much to catch up with, the leader goes on by itself.
        let _ = timeout(AGREE, self.bring_level(&name)).await;
        Ok(name)
    }

    /// Makes a node that was checked a learner.
    async fn take_in(&self, peer: Peer) -> Result<(), ChangeError> {
        // The number stands in the state before the node learns of it: it is given to one disk only.
        let list = &self.workbench.list;
        let node = list.admit(&peer).await?;
        self.invite(node, &peer).await?;

        let name = peer.name.clone();
        let learner = BTreeMap::from([(node, peer)]);
        list.change(ChangeMembers::AddNodes(learner)).await?;
        tracing::info!(
            node.id = node,
            "`{name}` is taken in; it will vote once it is level"
        );
        Ok(())
    }

    /// Checks that the node at the address may be taken in, and adds its disk.
    fn check(&self, asked: Peer, standing: Standing) -> Result<Peer, ChangeError> {
        if standing.name != asked.name {
            let there = &standing.name;
            let what = format!("at {} is `{there}`, not `{}`", asked.peer, asked.name);
            return Err(ChangeError::Unreachable(what));
        }
        self.check_level(&standing)?;
        let peer = Peer {
            disk: standing.disk,
            ..asked
        };

        // A node of this cluster has an earlier try of the same change behind it.
        let remembered = self.workbench.list.remembered()?;
        let is_known = remembered.of_disk(&peer.disk).is_some();
        let is_empty = standing
            .cluster
            .is_none_or(|cluster| cluster == self.workbench.me.cluster && is_known);
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

    /// Refuses a node whose version is too old for the cluster.
    fn check_level(&self, standing: &Standing) -> Result<(), ChangeError> {
        let agreed = self.workbench.levels.agreed();
        if standing.level >= agreed.level() {
            return Ok(());
        }
        Err(ChangeError::Refused(format!(
            "`{}` runs notty {}, which understands level {}, and the cluster stands at level {} since \
             notty {}: install that version there, or a later one",
            standing.name,
            standing.version,
            standing.level,
            agreed.level(),
            agreed.version
        )))
    }

    /// The member that was taken in under a name and has another now. Its record keeps the name: to
    /// admit another disk under it would dismiss that member.
    fn taken_in_as(&self, remembered: &Nodes, peer: &Peer) -> Option<Peer> {
        let members = self.workbench.consensus.members();
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
            cluster: self.workbench.me.cluster.clone(),
            node,
            members: self.workbench.consensus.members(),
        };
        let peers = &self.workbench.peers;
        let invited = peers.call(&peer.peer, Invite(invitation), ANSWER).await;
        invited.map_err(|error| ChangeError::Unreachable(error.to_string()))
    }

    /// Makes step after step until a member votes.
    async fn bring_level(&self, name: &str) -> Result<(), ChangeError> {
        while let Some((node, _)) = self.workbench.consensus.member_called(name)
            && !self.workbench.consensus.voters().contains_key(&node)
        {
            self.completion.step().await?;
            sleep(LOOK).await;
        }
        Ok(())
    }
}

/// The reason why a node at an address cannot be taken in, from the call that failed.
fn not_reached(error: CallError, name: &str) -> ChangeError {
    match error {
        // It knows the secret and speaks with another cluster only.
        CallError::Refused { .. } => ChangeError::NotEmpty(name.to_owned()),
        error => ChangeError::Unreachable(error.to_string()),
    }
}

/// The answer to a repeat: the name is a member's already.
fn already_added(member: &Peer, asked: Peer, disk: Option<String>) -> Result<String, ChangeError> {
    let has_other_disk = disk.is_some_and(|disk| disk != member.disk);
    if member.peer == asked.peer && !has_other_disk {
        Ok(asked.name)
    } else {
        Err(ChangeError::Exists(asked.name))
    }
}
