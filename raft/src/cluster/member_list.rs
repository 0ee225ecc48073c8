//! Single steps of the leader: on the list of members, which is openraft's, and on the numbers and
//! disks of nodes, which are in the state.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use notty_storage::{
    command::{AdmitNode, DismissNode},
    query,
    records::Nodes,
};
use openraft::{
    ChangeMembers,
    error::{ChangeMembershipError, ClientWriteError, RaftError},
};
use tokio::time::timeout;

use crate::{
    cluster::change::ChangeError,
    consensus::{handle::Consensus, proposals::Proposals},
    state::node_state::NodeState,
    types::{NodeId, Peer},
};

/// Longest wait for one change of the members to be agreed on.
pub(super) const AGREE: Duration = Duration::from_secs(10);

/// The list of members, and the numbers and disks that the state remembers.
pub(crate) struct MemberList {
    consensus: Arc<Consensus>,
    proposals: Arc<Proposals>,
    state: Arc<NodeState>,
}

impl MemberList {
    pub(crate) fn new(
        consensus: Arc<Consensus>,
        proposals: Arc<Proposals>,
        state: Arc<NodeState>,
    ) -> Self {
        Self {
            consensus,
            proposals,
            state,
        }
    }

    /// Numbers given and disks dismissed, as the state here has them.
    pub(crate) fn remembered(&self) -> Result<Nodes, ChangeError> {
        let view = self.state.view();
        let nodes = self.state.checked(query::nodes::nodes(&view.read()));
        nodes.map_err(|error| ChangeError::Refused(error.to_string()))
    }

    /// Makes one step of a change of the members, as the leader. A voter that is removed from the
    /// voters leaves the members too.
    pub(crate) async fn change(
        &self,
        changes: ChangeMembers<NodeId, Peer>,
    ) -> Result<(), ChangeError> {
        let changing = self.consensus.raft().change_membership(changes, false);
        let changed = timeout(AGREE, changing).await;

        // Without an answer in time it may be agreed on yet: a repeat finds out.
        match changed.map_err(|_| ChangeError::Unknown)? {
            Ok(_) => Ok(()),
            Err(error) => Err(not_agreed(error)),
        }
    }

    /// Replaces name and addresses of a member.
    pub(crate) async fn set(&self, node: NodeId, peer: Peer) -> Result<(), ChangeError> {
        let nodes = BTreeMap::from([(node, peer)]);
        self.change(ChangeMembers::SetNodes(nodes)).await
    }

    /// Gives a disk that is to be taken in its number, or returns the one that it has.
    pub(crate) async fn admit(&self, peer: &Peer) -> Result<NodeId, ChangeError> {
        let members = self.consensus.members();
        let admit = AdmitNode {
            name: peer.name.clone(),
            disk: peer.disk.clone(),
            above: members.last_key_value().map_or(0, |(node, _)| *node),
        };
        let admitted = self.proposals.act_as_leader(admit).await?;
        Ok(admitted.reply.node)
    }

    /// Notes in the state that a disk belongs to the cluster no more, for good.
    pub(crate) async fn dismiss(&self, node: NodeId, member: &Peer) -> Result<(), ChangeError> {
        let dismiss = DismissNode {
            node,
            name: member.name.clone(),
            disk: member.disk.clone(),
        };
        self.proposals.act_as_leader(dismiss).await?;
        Ok(())
    }
}

/// The reason why openraft did not make a change of the members.
fn not_agreed(error: RaftError<NodeId, ClientWriteError<NodeId, Peer>>) -> ChangeError {
    match error {
        RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => match error {
            ChangeMembershipError::InProgress(_) => ChangeError::Busy,
            error => ChangeError::Refused(error.to_string()),
        },
        RaftError::APIError(ClientWriteError::ForwardToLeader(_)) | RaftError::Fatal(_) => {
            ChangeError::NoLeader
        }
    }
}
