//! The next step towards the wanted members, whoever began the change.
//!
//! The leader brings the members to what the state and their own list want, one step at a time: it ends
//! a change of voters that an earlier leader left half done, removes a dismissed node, puts its own new
//! address into the list, and makes learners voters.

use std::collections::BTreeSet;

use openraft::ChangeMembers;

use crate::{
    cluster::{change::ChangeError, workbench::Workbench},
    types::{NodeId, Peer},
};

/// Completes changes, as the leader.
pub(crate) struct Completion(Workbench);

impl Completion {
    pub(super) fn new(workbench: Workbench) -> Self {
        Self(workbench)
    }

    /// Makes one step; none where nothing is left to do.
    pub(crate) async fn step(&self) -> Result<(), ChangeError> {
        if self.is_between_two_steps() {
            return self.make_second_step().await;
        }

        // Before anything is added: a dismissed disk has no place among the members that are wanted.
        if let Some(node) = self.dismissed_member()? {
            return self.remove(node).await;
        }
        let members = self.0.consensus.members();
        if let Some(moved) = self.0.me.moved(&members) {
            return self.relocate_me(moved).await;
        }
        self.let_learners_vote().await
    }

    fn is_between_two_steps(&self) -> bool {
        let membership = self.0.consensus.membership();
        membership.get_joint_config().len() > 1
    }

    /// openraft changes voters in two steps: an empty change makes the second.
    async fn make_second_step(&self) -> Result<(), ChangeError> {
        let nothing = ChangeMembers::AddVoterIds(BTreeSet::new());
        self.0.list.change(nothing).await
    }

    /// A member whose disk was dismissed, and who is to leave the members.
    fn dismissed_member(&self) -> Result<Option<NodeId>, ChangeError> {
        let remembered = self.0.list.remembered()?;
        let members = self.0.consensus.members();
        let mut dismissed = members
            .iter()
            .filter(|(_, peer)| remembered.is_dismissed(&peer.disk));
        Ok(dismissed.next().map(|(node, _)| *node))
    }

    async fn remove(&self, node: NodeId) -> Result<(), ChangeError> {
        if node == self.0.me.node {
            return self.leave_it_to_successor().await;
        }

        let is_voter = self.0.consensus.voters().contains_key(&node);
        let nodes = BTreeSet::from([node]);
        let change = if is_voter {
            ChangeMembers::RemoveVoters(nodes)
        } else {
            ChangeMembers::RemoveNodes(nodes)
        };
        self.0.list.change(change).await
    }

    /// Hands over, because this leader is to go: a leader cannot remove itself. The next one removes it.
    async fn leave_it_to_successor(&self) -> Result<(), ChangeError> {
        let handed = self.0.handover.transfer(None).await;
        handed
            .map(drop)
            .map_err(|error| ChangeError::NotTransferred(error.to_string()))
    }

    /// Puts this leader's own name and addresses into the members.
    async fn relocate_me(&self, moved: Peer) -> Result<(), ChangeError> {
        let me = self.0.me.node;
        let named = self.0.consensus.member_called(&moved.name);
        if named.is_some_and(|(node, _)| node != me) {
            return Err(ChangeError::Exists(moved.name));
        }
        self.0.list.set(me, moved).await
    }

    /// Gives learners that have the log a vote.
    async fn let_learners_vote(&self) -> Result<(), ChangeError> {
        let level = self.0.consensus.level_learners();
        // A restored node makes no single learner a voter: one that votes before the others are known
        // could come to lead a cluster that nobody completes. They become voters together
        // ([`super::take_in`]).
        if level.is_empty() || self.0.own.data_dir().is_restored() {
            return Ok(());
        }
        self.0.list.change(ChangeMembers::AddVoterIds(level)).await
    }
}
