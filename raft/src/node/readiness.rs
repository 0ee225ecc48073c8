//! Readiness of a node to serve.
//!
//! It is ready once it has caught up, there is a leader, its state is close to what is committed and to
//! what that leader has, and its clock is believed.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use notty_storage::Timestamp;
use parking_lot::Mutex;

use super::lag::Lag;
use crate::{
    cluster::reachability::{Missing, Reachability},
    consensus::{handle::Consensus, reads::Reads},
    log::log_store::LogStore,
    state::node_state::NodeState,
    time::{clock::Clock, moment::APART_MS, stamp::Stamp},
};

/// Entries by which a node may be behind its leader and still count as ready: a second or so of
/// the busiest hour.
const CLOSE: u64 = 1_000;

/// Reason why a node cannot serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// It has not applied yet what was committed before it started.
    #[error("the node has started and does not know yet what was committed before: {0}")]
    Starting(String),
    /// No leader has a majority, as far as it knows; the text names what is missing.
    #[error("the node has no leader that a majority follows: {0}")]
    NoLeader(String),
    /// Its state does not keep up; the text says by how much.
    #[error("the node's state does not keep up: {0}")]
    Behind(String),
    /// Its leader has much that it has not.
    #[error("the node still applies what the leader has: its state stands at {applied} of {last}")]
    FarFromLeader {
        /// The position of its state.
        applied: u64,
        /// The position of the leader.
        last: u64,
    },
    /// Its clock is in doubt; the text says what to do about it.
    #[error("{0}")]
    Clock(String),
}

/// Decides whether a node can serve.
pub(super) struct Readiness {
    pub(super) consensus: Arc<Consensus>,
    pub(super) reachability: Arc<Reachability>,
    pub(super) reads: Arc<Reads>,
    pub(super) state: Arc<NodeState>,
    pub(super) log: LogStore,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stamp: Stamp,
    pub(super) lag: Mutex<Lag>,
    /// True once all that had been committed before the start was applied again.
    pub(super) caught_up: AtomicBool,
}

impl Readiness {
    pub(super) fn lag(&self) -> &Mutex<Lag> {
        &self.lag
    }

    pub(super) fn has_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Acquire)
    }

    pub(super) fn note_caught_up(&self) {
        self.caught_up.store(true, Ordering::Release);
    }

    /// All reasons why the node cannot serve now.
    pub(super) async fn reasons(&self) -> Vec<NotReady> {
        let mut reasons = self.reasons_of_start();
        if let Some(reason) = self.lag.lock().reason() {
            reasons.push(NotReady::Behind(reason));
        }

        let asked = self.clock.boot();
        let leader = self.reads.point_of_leader().await;
        let applied = self.state.applied_index();
        let far = leader.filter(|point| applied + CLOSE < point.index);
        reasons.extend(far.map(|point| NotReady::FarFromLeader {
            applied,
            last: point.index,
        }));

        // The leader's time is as old as its answer took, at most.
        let took = self.clock.boot().saturating_sub(asked).as_millis() as i64;
        let clock = self.clock_reason(leader.map(|point| point.wall), took);
        reasons.extend(clock.map(NotReady::Clock));
        reasons
    }

    /// The reasons that are known here, without asking anybody, and that end once the node has caught up.
    pub(super) fn reasons_of_start(&self) -> Vec<NotReady> {
        let mut reasons = Vec::new();
        if self.consensus.leader().is_none() {
            reasons.push(NotReady::NoLeader(self.why_no_leader()));
        }
        if !self.has_caught_up() {
            reasons.push(NotReady::Starting(self.how_far()));
        }
        reasons
    }

    /// The reason why no leader is known: the voters that do not answer, or an election.
    pub(super) fn why_no_leader(&self) -> String {
        let voters = self.consensus.voters();
        if voters.is_empty() {
            return "it knows no members yet".to_owned();
        }

        let mut missing = self.reachability.missing();
        missing.retain(|missing| voters.values().any(|voter| voter.disk == missing.peer.disk));
        let count = voters.len();
        let reached = count - missing.len();
        let needed = count / 2 + 1;
        if reached >= needed && missing.is_empty() {
            return format!("an election is under way among {count} voters, all of which answer");
        }

        let texts: Vec<_> = missing.iter().map(Missing::text).collect();
        let election = if reached >= needed {
            "; an election is under way"
        } else {
            ""
        };
        format!(
            "{reached} of {count} voters answer and {needed} are needed{election}; {}",
            texts.join("; ")
        )
    }

    /// The positions of this node's log and state, for a node that has not caught up.
    fn how_far(&self) -> String {
        let applied = self.state.applied_index();
        let last = self.log.last().map_or(0, |last| last.index);
        if applied < last {
            return format!("its state stands at {applied} of {last}");
        }
        format!("its state stands at {applied}, and it waits for the leader's word")
    }

    /// The doubt about this node's clock, also by what another leader's clock says.
    fn clock_reason(&self, leader: Option<Timestamp>, took_ms: i64) -> Option<String> {
        if let Some(doubt) = self.stamp.doubt() {
            return Some(doubt.to_string());
        }

        // A leader that is in doubt itself gives nobody the time.
        let leader = leader.filter(|leader| *leader != Timestamp::default())?;
        let apart = self.clock.wall().since(leader);
        (apart.abs() - took_ms > APART_MS).then(|| {
            format!(
                "the clock is in doubt: it is {} s from the leader's, and this node sends nothing; \
                 correct the clock (NTP)",
                apart / 1_000
            )
        })
    }
}
