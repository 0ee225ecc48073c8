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
    consensus::{handle::Consensus, reads::Reads},
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
    #[error("the node has started and still applies what was committed before")]
    Starting,
    /// No leader has a majority, as far as it knows.
    #[error("the node has no leader that a majority follows")]
    NoLeader,
    /// Its state does not keep up; the text says by how much.
    #[error("the node's state does not keep up: {0}")]
    Behind(String),
    /// Its leader has much that it has not.
    #[error("the node still applies what the leader has")]
    FarFromLeader,
    /// Its clock is in doubt; the text says what to do about it.
    #[error("{0}")]
    Clock(String),
}

/// Decides whether a node can serve.
pub(super) struct Readiness {
    consensus: Arc<Consensus>,
    reads: Arc<Reads>,
    state: Arc<NodeState>,
    clock: Arc<dyn Clock>,
    stamp: Stamp,
    lag: Mutex<Lag>,
    /// True once all that had been committed before the start was applied again.
    caught_up: AtomicBool,
}

impl Readiness {
    pub(super) fn new(
        consensus: Arc<Consensus>,
        reads: Arc<Reads>,
        state: Arc<NodeState>,
        (clock, stamp): (Arc<dyn Clock>, Stamp),
    ) -> Self {
        Self {
            consensus,
            reads,
            state,
            clock,
            stamp,
            lag: Mutex::default(),
            caught_up: AtomicBool::new(false),
        }
    }

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
        // Known here, without asking anybody.
        let mut reasons = Vec::new();
        if let Some(reason) = self.lag.lock().reason() {
            reasons.push(NotReady::Behind(reason));
        }
        if self.consensus.leader().is_none() {
            reasons.push(NotReady::NoLeader);
        }
        if !self.has_caught_up() {
            reasons.push(NotReady::Starting);
        }

        let asked = self.clock.boot();
        let leader = self.reads.point_of_leader().await;
        if leader.is_some_and(|point| self.state.applied_index() + CLOSE < point.index) {
            reasons.push(NotReady::FarFromLeader);
        }

        // The leader's time is as old as its answer took, at most.
        let took = self.clock.boot().saturating_sub(asked).as_millis() as i64;
        let clock = self.clock_reason(leader.map(|point| point.wall), took);
        reasons.extend(clock.map(NotReady::Clock));
        reasons
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
                "the clock is in doubt: it is {} s from the leader's, and this node sends nothing; put \
                 it right (NTP)",
                apart / 1_000
            )
        })
    }
}
