//! Candidacy: a node stands for election only with the support of a majority, which it asks first.
//!
//! openraft 0.9 has no such question. There, a node that heard no leader for a while begins a new term
//! at once, and the leader that everybody else follows has to resign for it. So openraft's own elections
//! are off, and this file begins them. A voter supports a candidate that has no less than itself, while
//! it hears no leader either; support binds nobody, the vote is asked for afterwards.
//!
//! Elections that need no support are elsewhere: the first of a new cluster, that of a node which votes
//! alone at its start, and that of the node to which a leader hands over.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures_util::{
    future::{Either, select},
    stream::{FuturesUnordered, StreamExt},
};
use openraft::Membership;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    consensus::{
        handle::{Consensus, ELECTION_MS},
        silence::{Silence, draw, draw_patience},
    },
    log::log_store::LogStore,
    peers::{client::Peers, protocol::AskSupport},
    runtime::blocking,
    types::{LogId, NodeId, Peer},
};

/// Between two looks at the silence of the leader.
const LOOK: Duration = Duration::from_millis(50);
/// Time in which a voter that heard its leader grants nobody its vote, as openraft has it.
const LEASE: Duration = Duration::from_millis(ELECTION_MS.end);
/// Time limit of the voters for saying whom they support.
const ANSWER: Duration = Duration::from_millis(500);
/// Between two rounds of questions without success, in milliseconds.
const AGAIN_MS: std::ops::Range<u64> = 100..300;

/// Decides whether this node stands for election, and whom it supports.
pub(crate) struct Candidacy {
    pub(crate) consensus: Arc<Consensus>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) log: LogStore,
}

/// The part of raft's state that elections depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outlook {
    /// True if this node leads.
    leads: bool,
    /// True if the vote given last is for a leader, and not for a candidate.
    has_leader: bool,
    /// The time when this node last heard of the one that it voted for.
    heard: Option<Instant>,
}

/// The silence of the leader, and the time that this node waits in it.
struct LeaderWatch {
    silence: Silence,
    patience: Duration,
}

impl Default for LeaderWatch {
    fn default() -> Self {
        Self {
            silence: Silence::default(),
            patience: draw_patience(),
        }
    }
}

/// One look at the leader.
struct LeaderLook {
    outlook: Outlook,
    /// True if it was silent for so long that this node would stand.
    is_due: bool,
}

impl Candidacy {
    /// Watches the leader, and has this node stand when there is none, until raft has ended.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut watch = LeaderWatch::default();
        while let Some(look) = self.look(&mut watch).await {
            if !look.is_due || !self.may_stand() {
                continue;
            }

            if self.attempt_while_due(look.outlook, &mut watch).await {
                watch.patience = draw_patience();
            }
        }
    }

    /// Stands for election, or gives up as soon as a leader or a candidate is heard; false after a while
    /// if it had to go on without either.
    async fn attempt_while_due(&self, outlook: Outlook, watch: &mut LeaderWatch) -> bool {
        // The leader is watched beside: another node may be elected, and a question to a dead one takes
        // its time.
        let attempt = pin!(self.attempt(outlook));
        let is_over = pin!(self.until_not_due(watch));
        match select(attempt, is_over).await {
            Either::Left((stands, _)) => stands,
            Either::Right(((), _)) => true,
        }
    }

    /// Looks a moment later, and notes whether the leader is silent; `None` once raft has ended.
    async fn look(&self, watch: &mut LeaderWatch) -> Option<LeaderLook> {
        sleep(LOOK).await;
        let outlook = self.outlook().await?;

        let silent = watch.silence.note(Instant::now(), outlook.heard);
        let is_due = !outlook.leads && silent >= outlook.wait(watch.patience);
        self.consensus.note_silence(is_due);
        Some(LeaderLook { outlook, is_due })
    }

    /// Ends once a leader or a candidate is heard, or raft has ended.
    async fn until_not_due(&self, watch: &mut LeaderWatch) {
        while self.look(watch).await.is_some_and(|look| look.is_due) {}
    }

    /// Stands for election; false after a while if that was not possible.
    async fn attempt(&self, outlook: Outlook) -> bool {
        let stands = self.stand(outlook).await;
        if !stands {
            sleep(draw(AGAIN_MS)).await;
        }
        stands
    }

    /// True if this node supports a candidate with a log that ends there: it hears no leader, and
    /// does not have more.
    pub(crate) async fn supports(&self, last: Option<LogId>) -> bool {
        let Some(outlook) = self.outlook().await else {
            return false;
        };
        !self.hears_leader(outlook) && last >= self.last()
    }

    fn hears_leader(&self, outlook: Outlook) -> bool {
        if !outlook.leads {
            let age = outlook.heard.map(|heard| heard.elapsed());
            return outlook.has_leader && age.is_some_and(|age| age <= LEASE);
        }

        // The leader itself is one for the others only as long as a majority answers it.
        !self.consensus.is_handing_over() && self.consensus.was_answered_within(LEASE)
    }

    fn may_stand(&self) -> bool {
        let members = self.consensus.membership();
        let mut voters = members.voter_ids();
        self.consensus.may_stand() && voters.any(|voter| voter == self.consensus.me())
    }

    /// Asks for support, and stands with it; false if it has none, or a leader was heard meanwhile.
    async fn stand(&self, before: Outlook) -> bool {
        if !self.has_support().await {
            tracing::debug!("no leader is heard, and no majority supports an election");
            return false;
        }
        if self.outlook().await != Some(before) || !self.consensus.may_stand() {
            return false;
        }

        let stands = self.consensus.raft().trigger().elect().await;
        stands.is_ok()
    }

    /// Asks all voters at once; true as soon as enough of them support this node.
    async fn has_support(&self) -> bool {
        let members = self.consensus.membership();
        let last = self.last();
        let others = self.other_voters();
        let mut asked: FuturesUnordered<_> = others
            .iter()
            .map(|(voter, peer)| async move { (*voter, self.is_supported_by(peer, last).await) })
            .collect();

        let mut supporters = BTreeSet::from([self.consensus.me()]);
        while !is_majority(&members, &supporters) {
            let Some((voter, supports)) = asked.next().await else {
                return false;
            };
            if supports {
                supporters.insert(voter);
            }
        }
        true
    }

    async fn is_supported_by(&self, voter: &Peer, last: Option<LogId>) -> bool {
        let call = AskSupport { last };
        // The limit is for opening a session too, which a dead host would hold up.
        let asking = timeout(ANSWER, self.peers.call_member(voter, call, ANSWER));
        matches!(asking.await, Ok(Ok(true)))
    }

    fn other_voters(&self) -> BTreeMap<NodeId, Peer> {
        let mut voters = self.consensus.voters();
        voters.remove(&self.consensus.me());
        voters
    }

    /// The end of the log here. Waits for a write that is under way.
    fn last(&self) -> Option<LogId> {
        blocking(|| self.log.last())
    }

    /// Raft's state now; `None` once raft has ended.
    async fn outlook(&self) -> Option<Outlook> {
        let raft = self.consensus.raft();
        let outlook = raft.with_raft_state(|state| Outlook {
            leads: state.server_state.is_leader(),
            has_leader: state.vote_ref().is_committed(),
            heard: state.vote_last_modified(),
        });
        outlook.await.ok()
    }
}

impl Outlook {
    /// The silence after which this node stands: a leader that was heard has its lease first.
    fn wait(self, patience: Duration) -> Duration {
        if self.has_leader {
            LEASE + patience
        } else {
            patience
        }
    }
}

/// True if some nodes are a majority of the voters. While the voters change, they have to be one of the
/// old voters and of the new ones.
fn is_majority(members: &Membership<NodeId, Peer>, nodes: &BTreeSet<NodeId>) -> bool {
    let mut configs = members.get_joint_config().iter();
    configs.all(|voters| voters.intersection(nodes).count() > voters.len() / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voters(configs: &[&[NodeId]]) -> Membership<NodeId, Peer> {
        let configs = configs.iter().map(|ids| ids.iter().copied().collect());
        let nodes: BTreeMap<NodeId, Peer> = (1..=5).map(|node| (node, Peer::default())).collect();
        Membership::new(configs.collect(), nodes)
    }

    #[test]
    fn a_majority_is_more_than_half_of_the_voters() {
        let three = voters(&[&[1, 2, 3]]);
        assert!(!is_majority(&three, &BTreeSet::from([1])));
        assert!(!is_majority(&three, &BTreeSet::from([1, 4])));
        assert!(is_majority(&three, &BTreeSet::from([1, 3])));
        assert!(is_majority(&voters(&[&[1]]), &BTreeSet::from([1])));
        assert!(!is_majority(&voters(&[&[1, 2]]), &BTreeSet::from([1])));
    }

    #[test]
    fn while_voters_change_a_majority_of_both_is_needed() {
        let changing = voters(&[&[1, 2, 3], &[3, 4, 5]]);
        assert!(!is_majority(&changing, &BTreeSet::from([1, 2, 3])));
        assert!(is_majority(&changing, &BTreeSet::from([1, 3, 4])));
    }

    #[test]
    fn a_leader_that_was_heard_has_its_lease_before_anybody_stands() {
        let outlook = |has_leader| Outlook {
            leads: false,
            has_leader,
            heard: None,
        };
        let patience = Duration::from_millis(700);
        assert_eq!(outlook(true).wait(patience), LEASE + patience);
        assert_eq!(outlook(false).wait(patience), patience);
    }
}
