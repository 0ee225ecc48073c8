//! The comparison of clocks among voters: once a second, by the leader, and by a node in doubt.
//!
//! Every node looks whether its own clock can be believed ([`super::trust`]). The leader also asks the
//! other voters, first of all when it comes to lead; a node in doubt asks them because their clocks may
//! agree with its own. A node whose clock contradicts its own machine has no say. The consequences for
//! entries are in [`super::stamp`].

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};

use super::{
    doubt::ClockDoubt,
    lead::{LeadChange, LeadNews, TimeLead},
    moment::APART_MS,
    stamp::Stamp,
    state_time::state_time,
};
use crate::{
    peers::{client::Peers, protocol::AskStatus},
    runtime::blocking,
    state::node_state::NodeState,
    types::{Peer, Raft},
};

/// Time between two comparisons.
const COMPARE: Duration = Duration::from_secs(1);
/// Time for a peer to answer with its clock.
const ANSWER: Duration = Duration::from_millis(500);

/// Compares the clocks of voters for as long as this node lives.
pub(crate) async fn compare(raft: Raft, peers: Arc<Peers>, shared: Arc<NodeState>, stamp: Stamp) {
    let mut metrics = raft.server_metrics();
    let mut comparing = Comparing {
        peers,
        shared,
        stamp,
        news: LeadNews::default(),
    };

    loop {
        let voters = {
            let metrics = metrics.borrow_and_update();
            let members = metrics.membership_config.membership();
            let others = members.voter_ids().filter(|id| *id != metrics.id);
            Voters {
                is_leader: metrics.state.is_leader(),
                others: others
                    .filter_map(|id| members.get_node(&id).cloned())
                    .collect(),
            }
        };
        comparing.once(&voters).await;

        // A new leader or member is compared with at once: entries wait for it.
        let changed = async {
            tokio::select! {
                changed = metrics.changed() => changed.is_ok(),
                () = comparing.stamp.hurried() => true,
            }
        };
        if tokio::time::timeout(COMPARE, changed).await == Ok(false) {
            return;
        }
    }
}

/// The voters, as this node sees them.
struct Voters {
    /// True if this node leads.
    is_leader: bool,
    /// All voters but this node.
    others: Vec<Peer>,
}

/// All that a comparison needs.
struct Comparing {
    peers: Arc<Peers>,
    shared: Arc<NodeState>,
    stamp: Stamp,
    news: LeadNews,
}

impl Comparing {
    async fn once(&mut self, voters: &Voters) {
        let began = self.stamp.moment();
        let mut doubt = self.look();
        let is_in_doubt = doubt.is_some_and(ClockDoubt::is_about_the_clock);
        let has_others = !voters.others.is_empty();
        if !voters.is_leader && (!is_in_doubt || !has_others) {
            return self.stamp.forget();
        }

        let readings = voters
            .others
            .iter()
            .map(|peer| distance(&self.peers, peer, &self.stamp));
        let agree = judge(voters.others.len(), readings.collect()).await;

        // A node by itself agrees with itself, which proves nothing about its clock.
        if agree == Some(true) && is_in_doubt && has_others {
            self.stamp.trust().confirm(began);
            doubt = self.look();
        }

        if voters.is_leader {
            self.stamp.note(agree, doubt.is_none());
            self.log_lead(doubt);
        } else {
            self.stamp.forget();
        }
    }

    /// Logs that the leader's clock has yet to come to the time of the state, and that it has.
    fn log_lead(&mut self, doubt: Option<ClockDoubt>) {
        let state = state_time(&self.shared).at;
        let lead = TimeLead::of(state, self.stamp.moment().wall);
        match (self.news.note(lead, doubt), lead) {
            (Some(LeadChange::Begun), Some(lead)) => tracing::warn!("{lead}"),
            (Some(LeadChange::Ended), None) => {
                tracing::info!("this node's clock has come to the cluster's time: time goes on");
            }
            _ => {}
        }
    }

    /// Judges this node's clock by what its machine knows.
    fn look(&self) -> Option<ClockDoubt> {
        blocking(|| self.stamp.trust().look(state_time(&self.shared)))
    }
}

/// True if a majority of the voters agrees with this one; known as soon as enough have answered.
async fn judge<R>(others: usize, mut readings: FuturesUnordered<R>) -> Option<bool>
where
    R: Future<Output = Option<i64>>,
{
    // Of the others: this node agrees with itself.
    let majority = others.div_ceil(2);
    let mut agree = 0;
    let mut differ = 0;

    loop {
        if agree >= majority {
            return Some(true);
        }
        // Those that are left are too few for a majority.
        if differ > others - majority {
            return Some(false);
        }

        match readings.next().await? {
            Some(apart) if apart <= APART_MS => agree += 1,
            Some(_) => differ += 1,
            None => {}
        }
    }
}

/// Distance of a peer's clock from this one's, in milliseconds, less the time for asking, which may
/// explain as much of it; `None` if the peer has no say.
async fn distance(peers: &Peers, peer: &Peer, stamp: &Stamp) -> Option<i64> {
    let offset = offset(peers, peer, stamp).await?;
    Some(offset.ahead_ms.abs() - offset.took_ms)
}

/// A peer's clock, against this node's.
pub(super) struct ClockOffset {
    /// Milliseconds by which the peer's clock is ahead.
    pub(super) ahead_ms: i64,
    /// Milliseconds from the question to the answer.
    took_ms: i64,
}

/// Asks a peer for its clock; `None` if it does not answer or has no say.
pub(super) async fn offset(peers: &Peers, peer: &Peer, stamp: &Stamp) -> Option<ClockOffset> {
    let before = stamp.moment();
    let answer = peers.call_member(peer, AskStatus, ANSWER).await;
    let now = stamp.moment();

    let status = answer.ok().filter(|status| status.has_say)?;
    Some(ClockOffset {
        ahead_ms: status.wall.since(now.wall),
        took_ms: now.passed_since(before).as_millis() as i64,
    })
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};

    use super::*;

    /// The result of `judge` for readings that are all there.
    async fn judged(readings: &[Option<i64>]) -> Option<bool> {
        let ready: FuturesUnordered<Ready<_>> = readings.iter().copied().map(ready).collect();
        judge(readings.len(), ready).await
    }

    #[tokio::test]
    async fn a_majority_of_all_voters_decides_and_silence_decides_nothing() {
        let (near, far) = (Some(0), Some(3_600_000));
        assert_eq!(judged(&[]).await, Some(true), "a node by itself");
        assert_eq!(judged(&[near, far]).await, Some(true));
        assert_eq!(judged(&[far, far]).await, Some(false));
        assert_eq!(judged(&[None, near]).await, Some(true));
        assert_eq!(
            judged(&[None, far]).await,
            None,
            "one of three may be either"
        );
        assert_eq!(judged(&[None, None]).await, None);
        assert_eq!(judged(&[near, far, far, far]).await, Some(false));
        assert_eq!(judged(&[near, near, far, far]).await, Some(true));
        assert_eq!(judged(&[near, None, far, far]).await, None);
    }
}
