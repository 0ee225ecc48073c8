//! The members of the cluster and their positions, as this node sees them now.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use notty_storage::level::VERSION;

use crate::{
    cluster::myself::Myself,
    consensus::handle::{Consensus, Member, roster},
    peers::{
        client::Peers,
        protocol::{AskStatus, PeerStatus},
    },
    state::node_state::NodeState,
    types::Peer,
};

/// Time limit of a peer for the answer with its position.
const ANSWER: Duration = Duration::from_millis(500);

/// A member as this node sees it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The member, as the members' list has it.
    pub member: Member,
    /// False if it does not answer this node.
    pub reachable: bool,
    /// The reason why it does not answer, as text for people.
    pub reason: Option<String>,
    /// The last position of its log; 0 while it does not answer.
    pub last_index: u64,
    /// The position that its state reflects; 0 while it does not answer.
    pub applied_index: u64,
    /// The level that it understands; 0 while it does not answer.
    pub level: u32,
    /// Its version of notty; empty while it does not answer.
    pub version: String,
    /// The commit that it was built from; empty while it does not answer or does not say it.
    pub commit: String,
}

/// Asks all members for their positions.
pub(crate) struct Surveyor {
    pub(crate) me: Arc<Myself>,
    pub(crate) consensus: Arc<Consensus>,
    pub(crate) state: Arc<NodeState>,
    pub(crate) peers: Arc<Peers>,
    /// The level that this node understands.
    pub(crate) level: u32,
    /// The commit that this node was built from.
    pub(crate) commit: String,
}

impl Surveyor {
    /// All members, this node among them.
    pub(crate) async fn survey(&self) -> Vec<Sight> {
        let leader = self.consensus.leader();
        let members = roster(&self.consensus.raft().metrics().borrow(), leader);
        join_all(members.into_iter().map(|member| self.look(member))).await
    }

    async fn look(&self, member: Member) -> Sight {
        let seen = if member.peer.disk == self.me.peer.disk {
            Ok(self.my_positions())
        } else {
            self.ask(&member.peer).await
        };
        let (status, reason) = match seen {
            Ok(status) => (status, None),
            Err(reason) => (PeerStatus::default(), Some(reason)),
        };
        Sight {
            member,
            reachable: reason.is_none(),
            reason,
            level: status.level,
            version: status.version,
            commit: status.commit,
            last_index: status.last_index,
            applied_index: status.applied_index,
        }
    }

    fn my_positions(&self) -> PeerStatus {
        let last_index = self.consensus.raft().metrics().borrow().last_log_index;
        PeerStatus {
            last_index: last_index.unwrap_or(0),
            applied_index: self.state.applied_index(),
            level: self.level,
            version: VERSION.to_owned(),
            commit: self.commit.clone(),
            ..PeerStatus::default()
        }
    }

    async fn ask(&self, peer: &Peer) -> Result<PeerStatus, String> {
        let asking = self.peers.call_member(peer, AskStatus, ANSWER);
        asking.await.map_err(|error| error.reason())
    }
}
