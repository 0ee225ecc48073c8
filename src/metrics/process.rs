//! Figures of the process itself, under the names that all exporters use: `process_…`.
//!
//! They come from `/proc`, so only Linux has them.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry, Unit},
};

/// Figures that the system has of this process.
#[derive(Default)]
pub(super) struct ProcessMetrics {
    cpu_seconds: Counter<f64, AtomicU64>,
    resident_bytes: Gauge,
    open_files: Gauge,
    max_files: Gauge,
    start_seconds: Gauge<f64, AtomicU64>,
}

impl ProcessMetrics {
    /// Adds these metrics to a registry without a prefix; none on other systems than Linux.
    pub(super) fn register(&self, registry: &mut Registry) {
        if !cfg!(target_os = "linux") {
            return;
        }

        let cpu = "Time of processors that the process has used, of user and system";
        let counter = self.cpu_seconds.clone();
        registry.register_with_unit("process_cpu", cpu, Unit::Seconds, counter);
        let resident = "Memory of the process that is in RAM";
        let gauge = self.resident_bytes.clone();
        registry.register_with_unit("process_resident_memory", resident, Unit::Bytes, gauge);

        let open = "Open file descriptors of the process";
        registry.register("process_open_fds", open, self.open_files.clone());
        let most = "The most file descriptors that the process may open";
        registry.register("process_max_fds", most, self.max_files.clone());

        let start = "Start of the process, in seconds since 1970";
        let gauge = self.start_seconds.clone();
        registry.register_with_unit("process_start_time", start, Unit::Seconds, gauge);
    }

    /// Reads the figures anew. One that cannot be read keeps its last value.
    #[cfg(target_os = "linux")]
    pub(super) fn refresh(&self) {
        use std::sync::atomic::Ordering::Relaxed;

        let Ok(process) = procfs::process::Process::myself() else {
            return;
        };
        if let Ok(stat) = process.stat() {
            let ticks = stat.utime + stat.stime;
            let seconds = ticks as f64 / procfs::ticks_per_second() as f64;
            self.cpu_seconds.inner().store(seconds.to_bits(), Relaxed);
            let resident = stat.rss.saturating_mul(procfs::page_size());
            self.resident_bytes.set(resident as i64);
            self.start_seconds.set(start_time(stat.starttime));
        }

        if let Ok(open) = process.fd_count() {
            self.open_files.set(open as i64);
        }
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let most = limit.current.unwrap_or(u64::MAX);
        self.max_files.set(i64::try_from(most).unwrap_or(i64::MAX));
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn refresh(&self) {}
}

/// Seconds since 1970, from ticks since the boot of the machine.
#[cfg(target_os = "linux")]
fn start_time(ticks: u64) -> f64 {
    let boot = procfs::boot_time_secs().unwrap_or(0);
    boot as f64 + ticks as f64 / procfs::ticks_per_second() as f64
}
