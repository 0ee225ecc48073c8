//! Figures of the state: messages, customers, mailings, leases.

use notty_storage::model::{Counts, DELIVERIES, DeliveryCounts, STATUSES};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    delivery: &'static str,
}

/// Figures that are read from the state.
#[derive(Clone, Copy, Debug, Default)]
pub struct StateFigures {
    /// Number of messages by status.
    pub counts: Counts,
    /// Number of messages by delivery.
    pub delivery: DeliveryCounts,
    /// Number of customers that exist.
    pub customers: u64,
    /// Number of mailings that are not settled.
    pub mailings_open: u64,
    /// Number of open leases.
    pub leases_open: u64,
}

/// Gauges that show the figures of the state.
#[derive(Default)]
pub(super) struct StateMetrics {
    messages: Family<StatusLabels, Gauge>,
    deliveries: Family<DeliveryLabels, Gauge>,
    customers: Gauge,
    mailings_open: Gauge,
    leases_open: Gauge,
}

impl StateMetrics {
    /// Adds these metrics to a registry.
    pub(super) fn register(&self, registry: &mut Registry) {
        let messages = "Number of messages, by status";
        registry.register("messages", messages, self.messages.clone());
        let deliveries = "Number of messages that gateways reported of later, by delivery";
        registry.register("deliveries", deliveries, self.deliveries.clone());
        let customers = "Number of customers that exist";
        registry.register("customers", customers, self.customers.clone());
        let mailings = "Number of mailings that are not settled";
        registry.register("mailings_open", mailings, self.mailings_open.clone());
        let leases = "Number of open leases, of all postmen";
        registry.register("leases_open", leases, self.leases_open.clone());
    }

    /// Shows figures that were read just now.
    pub(super) fn set(&self, state: &StateFigures) {
        for status in STATUSES {
            let labels = StatusLabels {
                status: status.name(),
            };
            let count = state.counts.of(status) as i64;
            self.messages.get_or_create(&labels).set(count);
        }
        for delivery in DELIVERIES {
            let labels = DeliveryLabels {
                delivery: delivery.name(),
            };
            let count = state.delivery.of(delivery) as i64;
            self.deliveries.get_or_create(&labels).set(count);
        }
        self.customers.set(state.customers as i64);
        self.mailings_open.set(state.mailings_open as i64);
        self.leases_open.set(state.leases_open as i64);
    }
}
