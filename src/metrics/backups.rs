//! Figures of the backups that a node makes by itself.

use std::{sync::atomic::AtomicU64, time::Duration};

use notty_storage::Timestamp;
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry, Unit},
};

/// Counters of a node's own backups.
#[derive(Clone, Debug, Default)]
pub struct BackupMetrics {
    failures: Counter,
    last_success: Gauge,
    bytes: Gauge,
    took: Gauge<f64, AtomicU64>,
}

impl BackupMetrics {
    /// Adds these metrics to a registry, for a node that makes backups by itself.
    pub(super) fn register(&self, registry: &mut Registry) {
        let failures = "Backups by this node itself that failed since its start";
        registry.register("backup_failures", failures, self.failures.clone());
        let last = "Time of the last good backup by this node itself, in seconds since 1970; 0 if there \
                    is none";
        let gauge = self.last_success.clone();
        registry.register_with_unit("backup_last_success_timestamp", last, Unit::Seconds, gauge);

        let bytes = "Length of the last good backup by this node itself";
        registry.register_with_unit("backup_size", bytes, Unit::Bytes, self.bytes.clone());
        let took = "Time that the last good backup of this run took, reading it back included";
        let gauge = self.took.clone();
        registry.register_with_unit("backup_duration", took, Unit::Seconds, gauge);
    }

    /// Shows a good backup of a time, from this run or an earlier one.
    pub(crate) fn found(&self, at: Timestamp, bytes: u64) {
        self.last_success.set(at.as_millis() / 1_000);
        self.bytes.set(bytes as i64);
    }

    /// Counts a backup that was made now.
    pub(crate) fn made(&self, at: Timestamp, bytes: u64, took: Duration) {
        self.found(at, bytes);
        self.took.set(took.as_secs_f64());
    }

    /// Counts a backup that failed.
    pub(crate) fn failed(&self) {
        self.failures.inc();
    }
}
