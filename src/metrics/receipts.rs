//! Counters of receipts: those that were taken, and those that were refused by the reason.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WhyLabels {
    why: &'static str,
}

/// The counters of receipts that came to this node.
#[derive(Clone, Debug, Default)]
pub struct ReceiptMetrics {
    taken: Counter,
    refused: Family<WhyLabels, Counter>,
    put_off: Counter,
}

impl ReceiptMetrics {
    /// Every reason for which a receipt can be refused.
    pub const REASONS: [&'static str; 7] = [
        "unknown_gateway",
        "wrong_signature",
        "unreadable",
        "unknown_message",
        "purged",
        "never_sent",
        "not_taken",
    ];

    /// Adds these metrics to a registry; each reason is there from the beginning.
    pub(super) fn register(&self, registry: &mut Registry) {
        let taken = "Receipts of gateways that this node took, repeats among them";
        registry.register("receipts_taken", taken, self.taken.clone());
        let refused = "Receipts that this node refused, by the reason";
        registry.register("receipts_refused", refused, self.refused.clone());
        let put_off =
            "Receipts that this node could not take when they came: gateways send them again";
        registry.register("receipts_put_off", put_off, self.put_off.clone());
        for why in Self::REASONS {
            drop(self.refused.get_or_create(&WhyLabels { why }));
        }
    }

    /// Counts one receipt that was taken.
    pub fn taken(&self) {
        self.taken.inc();
    }

    /// Counts one receipt that was not taken, and may be if it comes again.
    pub fn put_off(&self) {
        self.put_off.inc();
    }

    /// Counts one receipt that was refused.
    pub fn refused(&self, why: &'static str) {
        self.refused.get_or_create(&WhyLabels { why }).inc();
    }
}
