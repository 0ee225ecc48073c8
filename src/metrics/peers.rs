//! Figures of the other nodes, as this node sees them.

use notty_raft::Sight;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PeerLabels {
    peer: String,
}

/// Gauges of each other node; none on a node by itself.
#[derive(Default)]
pub(super) struct PeerMetrics {
    reachable: Family<PeerLabels, Gauge>,
    lag: Family<PeerLabels, Gauge>,
}

impl PeerMetrics {
    /// Adds these metrics to a registry.
    pub(super) fn register(&self, registry: &mut Registry) {
        let reachable = "1 if this node reaches the other node, otherwise 0";
        registry.register("peer_reachable", reachable, self.reachable.clone());
        let lag = "Entries of the most advanced log that the other node has not applied; absent while \
                   it is not reached";
        registry.register("peer_lag_entries", lag, self.lag.clone());
    }

    /// Shows what the node of a name sees now.
    pub(super) fn set(&self, me: &str, seen: &[Sight]) {
        // Nodes that left the cluster go from the metrics too.
        self.reachable.clear();
        self.lag.clear();
        let last = seen.iter().map(|sight| sight.last_index).max();

        for sight in seen.iter().filter(|sight| sight.member.peer.name != me) {
            let peer = sight.member.peer.name.clone();
            let labels = PeerLabels { peer };
            let reachable = self.reachable.get_or_create(&labels);
            reachable.set(i64::from(sight.reachable));

            if sight.reachable {
                let lag = last.unwrap_or(0).saturating_sub(sight.applied_index);
                self.lag.get_or_create(&labels).set(lag as i64);
            }
        }
    }
}
