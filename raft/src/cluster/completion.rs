//! The next step towards the members that are wanted, whoever began.
//!
//! What the state and the list of members want is made so by the leader, one step at a time. A change
//! that its leader left half done is completed by the next. Here a learner becomes a voter.

use std::{collections::BTreeSet, sync::Arc};

use openraft::ChangeMembers;

use crate::{
    cluster::{change::ChangeError, handover::Handover, member_list::MemberList, myself::Myself},
    consensus::handle::Consensus,
    disk::own_identity::OwnIdentity,
    types::NodeId,
};

/// Completes changes, as the leader.
pub(crate) struct Completion {
    pub(super) me: Arc<Myself>,
    pub(super) own: Arc<OwnIdentity>,
    pub(super) consensus: Arc<Consensus>,
    pub(super) list: Arc<MemberList>,
    pub(super) handover: Arc<Handover>,
}

impl Completion {
    /// Makes one step; none where nothing is left to do.
    pub(crate) async fn step(&self) -> Result<(), ChangeError> {
        let membership = self.consensus.membership();
        if membership.get_joint_config().len() > 1 {
            // Left between two steps: the second is made now.
            let nothing = ChangeMembers::AddVoterIds(BTreeSet::new());
            return self.list.change(nothing).await;
        }

        let remembered = self.list.remembered()?;
        let members = self.consensus.members();
        let dismissed = members
            .iter()
            .find(|(_, peer)| remembered.is_dismissed(&peer.disk));
        if let Some((node, _)) = dismissed {
            let is_voter = membership.voter_ids().any(|voter| voter == *node);
            return self.remove(*node, is_voter).await;
        }

        if let Some(moved) = self.me.moved(&members) {
            let is_taken = members
                .iter()
                .any(|(node, peer)| *node != self.me.node && peer.name == moved.name);
            if is_taken {
                return Err(ChangeError::Exists(moved.name));
            }
            return self.list.set(self.me.node, moved).await;
        }

        let level = self.consensus.level_learners();
        // Those whom a restored node takes in vote together or not at all: one that voted before the
        // others are known could come to lead a cluster that nobody completes.
        if level.is_empty() || self.own.data_dir().is_restored() {
            Ok(())
        } else {
            self.list.change(ChangeMembers::AddVoterIds(level)).await
        }
    }

    async fn remove(&self, node: NodeId, is_voter: bool) -> Result<(), ChangeError> {
        if node == self.me.node {
            // Its successor completes what was begun.
            let handed = self.handover.transfer(None).await;
            return handed
                .map(drop)
                .map_err(|error| ChangeError::NotTransferred(error.to_string()));
        }

        let nodes = BTreeSet::from([node]);
        let change = if is_voter {
            ChangeMembers::RemoveVoters(nodes)
        } else {
            ChangeMembers::RemoveNodes(nodes)
        };
        self.list.change(change).await
    }
}
