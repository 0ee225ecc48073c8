//! Space on the disk of the data directory.

use std::path::PathBuf;

use prometheus_client::{
    metrics::gauge::Gauge,
    registry::{Registry, Unit},
};

/// Gauges of the file system that holds a directory.
#[derive(Default)]
pub(super) struct DiskMetrics {
    dir: PathBuf,
    free: Gauge,
    size: Gauge,
}

impl DiskMetrics {
    /// Gauges of the file system of a directory.
    pub(super) fn of(dir: PathBuf) -> Self {
        Self {
            dir,
            ..Self::default()
        }
    }

    /// Adds these metrics to a registry.
    pub(super) fn register(&self, registry: &mut Registry) {
        let free = "Free space on the disk of the data directory, for users other than root";
        registry.register_with_unit("disk_free", free, Unit::Bytes, self.free.clone());
        let size = "Size of the disk of the data directory";
        registry.register_with_unit("disk_size", size, Unit::Bytes, self.size.clone());
    }

    /// Reads the figures anew. On a fault of the disk the last ones stay.
    pub(super) fn refresh(&self) {
        if let Ok(disk) = rustix::fs::statvfs(&self.dir) {
            let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(disk.f_frsize));
            self.free.set(bytes(disk.f_bavail).unwrap_or(i64::MAX));
            self.size.set(bytes(disk.f_blocks).unwrap_or(i64::MAX));
        }
    }
}
