//! Figures of the node: its log, its state's position, its clock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use notty_raft::{NodeStatus, TimeLead};
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Upper bounds of the histogram of a round of applying, in seconds. They are close together around
/// 0.01 s, the time that a snapshot in progress may cost.
const ROUNDS: [f64; 14] = [
    0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0,
];

/// Gauges and counters that show the status of the node.
#[derive(Default)]
pub(super) struct NodeMetrics {
    term: Gauge,
    is_leader: Gauge,
    leader_changes: Counter,
    last_index: Gauge,
    applied_index: Gauge,
    clock_in_doubt: Gauge,
    time_lead: Gauge<f64, AtomicU64>,
    snapshot_index: Gauge,
    log_bytes: Gauge,
    appended_bytes: Counter,
    apply_seconds: Counter<f64, AtomicU64>,
}

impl NodeMetrics {
    /// Adds these metrics to a registry.
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("raft_term", "Term of the log", self.term.clone());
        let leads = "1 if this node leads, otherwise 0";
        registry.register("raft_leader", leads, self.is_leader.clone());
        let changes = "Changes of the leader that this node has seen since its start";
        let counter = self.leader_changes.clone();
        registry.register("raft_leader_changes", changes, counter);
        let last = "Last position in the log";
        registry.register("raft_last_index", last, self.last_index.clone());
        let applied = "Position that the state reflects";
        registry.register("raft_applied_index", applied, self.applied_index.clone());
        let doubt = "1 while this node's clock is in doubt: time stands still meanwhile, and \
                     /readyz gives the reason";
        registry.register("clock_in_doubt", doubt, self.clock_in_doubt.clone());
        let lead = "Time by which the cluster's time is ahead of this node's clock, after a clock that was \
                    ahead; time stands still until the clock reaches it, or an admin runs notty \
                    cluster set-time; 0 otherwise";
        let gauge = self.time_lead.clone();
        registry.register_with_unit("cluster_time_lead", lead, Unit::Seconds, gauge);
        let snapshot = "Position of the last snapshot";
        registry.register("raft_snapshot_index", snapshot, self.snapshot_index.clone());

        let bytes = "Length of the log on the disk";
        registry.register_with_unit("raft_log", bytes, Unit::Bytes, self.log_bytes.clone());
        let appended = "Bytes appended to the log since the start";
        let counter = self.appended_bytes.clone();
        registry.register_with_unit("raft_log_appended", appended, Unit::Bytes, counter);

        let apply = "Time spent applying entries since the start";
        let gauge = self.apply_seconds.clone();
        registry.register_with_unit("raft_apply", apply, Unit::Seconds, gauge);
    }

    /// Shows a status that was read just now.
    pub(super) fn set(&self, node: &NodeStatus) {
        let is_leader = node.leader.as_deref() == Some(&node.name);
        self.is_leader.set(i64::from(is_leader));
        let leader_changes = self.leader_changes.inner();
        leader_changes.store(node.leader_changes, Relaxed);
        self.term.set(node.term as i64);
        self.last_index.set(node.last_index as i64);
        self.applied_index.set(node.applied_index as i64);
        self.snapshot_index.set(node.snapshot_index as i64);
        let is_in_doubt = node.clock_doubt.is_some();
        self.clock_in_doubt.set(i64::from(is_in_doubt));
        let lead_ms = node.time_lead.map_or(0, TimeLead::ms);
        self.time_lead.set(lead_ms as f64 / 1e3);

        // The node counts these itself; a counter of the library can only be raised, but its value
        // can be set.
        self.log_bytes.set(node.log_bytes as i64);
        let appended = self.appended_bytes.inner();
        appended.store(node.appended_bytes, Relaxed);
        let apply_seconds = node.apply_micros as f64 / 1e6;
        let seconds = self.apply_seconds.inner();
        seconds.store(apply_seconds.to_bits(), Relaxed);
    }
}

/// A histogram for the rounds of applying.
pub(super) fn apply_rounds() -> Histogram {
    Histogram::new(ROUNDS)
}

/// Adds the histogram of the rounds of applying to a registry.
pub(super) fn register_rounds(rounds: &Histogram, registry: &mut Registry) {
    let help = "Time of one round of applying, for the entries that came together; waiting for a \
                snapshot in progress is part of it";
    registry.register_with_unit("raft_apply_round", help, Unit::Seconds, rounds.clone());
}
