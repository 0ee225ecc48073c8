//! The members of the cluster as this node sees them, and the handing over of leadership.
//!
//! openraft 0.9 has no leader transfer, and a voter refuses votes as long as it heard its leader
//! lately. So a leader that hands over takes no more proposals, lets its followers have all that it
//! has, keeps still until that lease has run out, and has one of them stand for election.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::future::join_all;

use crate::{
    node::{ELECTION_MS, Member, Node},
    peers::protocol::{PeerStatus, Request, Response},
    types::{NodeId, Peer},
};

/// How long a peer may take to say how it stands.
const ANSWER: Duration = Duration::from_millis(500);
/// How long followers may take to get what the leader has.
const LEVEL: Duration = Duration::from_millis(700);
/// How long the chosen one may take to lead.
const ELECTED: Duration = Duration::from_millis(2_000);
/// What the lease is given beyond its length: a follower may have heard the leader a little later.
const SPARE: Duration = Duration::from_millis(100);
/// Between two looks at how things stand.
const LOOK: Duration = Duration::from_millis(20);

/// A member as this node sees it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Who it is.
    pub member: Member,
    /// Whether it answers this node.
    pub reachable: bool,
    /// The last position of its log; 0 while it does not answer.
    pub last_index: u64,
    /// The position that its state reflects; 0 while it does not answer.
    pub applied_index: u64,
}

/// Why leadership was not handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// Only the leader can hand over.
    #[error("this node does not lead")]
    NotLeader,
    /// It is a cluster of this one node.
    #[error("there is no other node")]
    Alone,
    /// Nobody is there to hand over to.
    #[error("{0}")]
    Nobody(String),
    /// It was tried, and this node may lead still.
    #[error("`{0}` was not elected in time")]
    NotElected(String),
}

/// The time in which a node hands over. However that ends, and also where nobody waits for its end:
/// should this node lead (again), it has to behave like a leader.
struct Stillness<'n>(&'n Node);

impl Drop for Stillness<'_> {
    fn drop(&mut self) {
        self.0.raft.runtime_config().heartbeat(true);
        self.0.handing_over.store(false, Ordering::Release);
    }
}

impl Node {
    /// All members, the others asked how they stand.
    pub async fn survey(&self) -> Vec<Sight> {
        let status = self.status();
        let looks = status.members.iter().map(|member| async {
            let (reachable, last_index, applied_index) = if member.peer.disk == self.identity.disk {
                (true, status.last_index, status.applied_index)
            } else {
                let seen = self.standing(&member.peer).await;
                let PeerStatus {
                    last_index,
                    applied_index,
                    ..
                } = seen.unwrap_or_default();
                (seen.is_some(), last_index, applied_index)
            };
            Sight {
                member: member.clone(),
                reachable,
                last_index,
                applied_index,
            }
        });
        join_all(looks).await
    }

    async fn standing(&self, peer: &Peer) -> Option<PeerStatus> {
        match self.peers.call_member(peer, &Request::Status, ANSWER).await {
            Ok(Response::Status(status)) => Some(status),
            _ => None,
        }
    }

    /// Hands leadership over, to a member by name or to the follower that has most; its name.
    pub async fn transfer_leader(&self, to: Option<&str>) -> Result<String, TransferError> {
        if !self.leads_now() {
            return Err(TransferError::NotLeader);
        }
        // Before anything stops: a node by itself, or cut off, goes on.
        self.successor(to).await?;
        if self.handing_over.swap(true, Ordering::AcqRel) {
            return Err(TransferError::Nobody(
                "leadership is being handed over already".into(),
            ));
        }
        let _stillness = Stillness(self);
        self.hand_over(to).await
    }

    async fn hand_over(&self, to: Option<&str>) -> Result<String, TransferError> {
        let level = async {
            while !self.is_level(to) {
                tokio::time::sleep(LOOK).await;
            }
        };
        // Heartbeats go on meanwhile: they bring on who lags.
        let _ = tokio::time::timeout(LEVEL, level).await;
        let chosen = self.successor(to).await?;
        self.raft.runtime_config().heartbeat(false);
        let lease = Duration::from_millis(ELECTION_MS.end) + SPARE;
        tokio::time::sleep(lease).await;
        let stands = self
            .peers
            .call_member(&chosen, &Request::Elect, ANSWER)
            .await;
        if let Err(error) = stands {
            return Err(TransferError::Nobody(error.to_string()));
        }
        let mut metrics = self.raft.server_metrics();
        let me = self.identity.node;
        let another = metrics.wait_for(|now| now.current_leader.is_some_and(|id| id != me));
        let Ok(Ok(now)) = tokio::time::timeout(ELECTED, another).await else {
            return Err(TransferError::NotElected(chosen.name));
        };
        // Another than the chosen one may have won.
        let members = now.membership_config.membership();
        let winner = now.current_leader.and_then(|id| members.get_node(&id));
        match winner {
            Some(winner) if to.is_none_or(|name| name == winner.name) => Ok(winner.name.clone()),
            _ => Err(TransferError::NotElected(chosen.name)),
        }
    }

    /// Whether the others that count have the whole log.
    fn is_level(&self, to: Option<&str>) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let members = metrics.membership_config.membership();
        let Some(replication) = &metrics.replication else {
            return true;
        };
        let named = |id: &NodeId| members.get_node(id).map(|peer| peer.name.as_str());
        let mut others = replication.iter().filter(|(id, _)| **id != metrics.id);
        let whole = |matched: &Option<crate::types::LogId>| {
            matched.map(|matched| matched.index) >= metrics.last_log_index
        };
        match to {
            Some(name) => others.any(|(id, matched)| named(id) == Some(name) && whole(matched)),
            None => others.any(|(_, matched)| whole(matched)),
        }
    }

    async fn successor(&self, to: Option<&str>) -> Result<Peer, TransferError> {
        let mut seen = self.survey().await;
        seen.retain(|sight| sight.member.peer.disk != self.identity.disk);
        if seen.is_empty() {
            return Err(TransferError::Alone);
        }
        if let Some(name) = to {
            seen.retain(|sight| sight.member.peer.name == name);
            if seen.is_empty() {
                let what = format!("no other node of the cluster is called `{name}`");
                return Err(TransferError::Nobody(what));
            }
        }
        seen.retain(|sight| sight.reachable && sight.member.voter);
        let most = seen.into_iter().max_by_key(|sight| sight.last_index);
        most.map(|sight| sight.member.peer)
            .ok_or_else(|| TransferError::Nobody("no voter to hand over to can be reached".into()))
    }
}
