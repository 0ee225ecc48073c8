//! Leadership handed over to another node.
//!
//! openraft 0.9 has no leader transfer, and a voter refuses votes as long as it heard its leader
//! lately. So a leader that hands over takes no more proposals, lets its followers have all that it
//! has, keeps still until that lease has run out, and has one of them stand for election.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use crate::{
    cluster::{
        change::ChangeError,
        myself::Myself,
        survey::{Sight, Surveyor},
    },
    consensus::handle::{Consensus, ELECTION_MS, HandingOver},
    peers::{client::Peers, protocol::StandForElection},
    types::Peer,
};

/// Time limit of the chosen node for the answer that it stands for election.
const ANSWER: Duration = Duration::from_millis(500);
/// Longest wait for followers to get what the leader has.
const LEVEL: Duration = Duration::from_millis(700);
/// Longest wait for another node to lead.
const ELECTED: Duration = Duration::from_millis(2_000);
/// Wait beyond the lease: a follower may have heard the leader a little later.
const SPARE: Duration = Duration::from_millis(100);
/// Between two looks at the followers' logs.
const LOOK: Duration = Duration::from_millis(20);

/// Reason why leadership was not handed over.
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

/// Hands leadership over to another node.
pub(crate) struct Handover {
    pub(crate) me: Arc<Myself>,
    pub(crate) consensus: Arc<Consensus>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) surveyor: Arc<Surveyor>,
}

impl Handover {
    /// Hands leadership over for a change of the cluster; returns the name of the new leader.
    pub(crate) async fn hand_over_to(&self, to: Option<&str>) -> Result<String, ChangeError> {
        let my_name = &self.me.peer.name;
        if to == Some(my_name.as_str()) {
            return Ok(my_name.clone());
        }

        let mut handed = self.transfer(to).await;
        // Followers that were slow just then may have missed it.
        if matches!(handed, Err(TransferError::NotElected(_))) && self.consensus.leads_now() {
            handed = self.transfer(to).await;
        }
        handed.map_err(|error| match error {
            TransferError::NotLeader => ChangeError::NoLeader,
            error => ChangeError::NotTransferred(error.to_string()),
        })
    }

    /// Hands leadership over once, to a member by name or to the follower that has most; returns the
    /// name of the new leader.
    pub(crate) async fn transfer(&self, to: Option<&str>) -> Result<String, TransferError> {
        if !self.consensus.leads_now() {
            return Err(TransferError::NotLeader);
        }
        // Before anything stops: a node by itself, or cut off, goes on.
        self.successor(to).await?;

        let Some(handing_over) = self.consensus.begin_handover() else {
            return Err(TransferError::Nobody(
                "leadership is being handed over already".into(),
            ));
        };
        self.hand_over(to, &handing_over).await
    }

    async fn hand_over(
        &self,
        to: Option<&str>,
        handing_over: &HandingOver<'_>,
    ) -> Result<String, TransferError> {
        // Heartbeats go on meanwhile: they bring on followers that lag. If none is level in time, the
        // election is tried all the same.
        let _ = timeout(LEVEL, self.until_level(to)).await;
        let chosen = self.successor(to).await?;

        // A voter refuses its vote until the lease of this leader has run out.
        handing_over.stop_heartbeats();
        sleep(Duration::from_millis(ELECTION_MS.end) + SPARE).await;
        let standing = self.peers.call_member(&chosen, StandForElection, ANSWER);
        if let Err(error) = standing.await {
            let Peer { name, peer, .. } = &chosen;
            let what = format!("`{name}` at {peer} {}", error.reason());
            return Err(TransferError::Nobody(what));
        }

        // Another than the chosen one may win.
        match self.next_leader().await {
            Some(winner) if to.is_none_or(|name| name == winner.name) => Ok(winner.name),
            _ => Err(TransferError::NotElected(chosen.name)),
        }
    }

    /// Waits until a follower, or the named one, has all that this leader has.
    async fn until_level(&self, to: Option<&str>) {
        while !self.consensus.has_level_follower(to) {
            sleep(LOOK).await;
        }
    }

    /// Waits until another node leads; `None` if none does in time.
    async fn next_leader(&self) -> Option<Peer> {
        let mut metrics = self.consensus.raft().server_metrics();
        let me = self.me.node;
        let another = metrics.wait_for(|now| now.current_leader.is_some_and(|id| id != me));
        let now = timeout(ELECTED, another).await.ok()?.ok()?;
        let members = now.membership_config.membership();
        members.get_node(&now.current_leader?).cloned()
    }

    /// The member to hand over to: the named one, or the reachable voter that has most.
    async fn successor(&self, to: Option<&str>) -> Result<Peer, TransferError> {
        let mut seen = self.surveyor.survey().await;
        seen.retain(|sight| sight.member.peer.disk != self.me.peer.disk);
        if seen.is_empty() {
            return Err(TransferError::Alone);
        }

        // A name that nobody has is another mistake than a node that cannot lead now.
        if let Some(name) = to {
            seen.retain(|sight| sight.member.peer.name == name);
            if seen.is_empty() {
                let what = format!("no other node of the cluster is called `{name}`");
                return Err(TransferError::Nobody(what));
            }
        }

        furthest(seen)
            .ok_or_else(|| TransferError::Nobody("no voter to hand over to can be reached".into()))
    }
}

/// The reachable voter that has most: one with a shorter log gets no vote from it.
fn furthest(mut seen: Vec<Sight>) -> Option<Peer> {
    seen.retain(|sight| sight.reachable && sight.member.voter);
    let most = seen.into_iter().max_by_key(|sight| sight.last_index);
    most.map(|sight| sight.member.peer)
}
