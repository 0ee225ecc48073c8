//! The metrics of a standalone postman.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use prometheus_client::{
    encoding::text::encode_registry,
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::{MetricsForm, SendingMetrics, certificate, process::ProcessMetrics, register_program};

/// All metrics of a process that only sends.
pub struct PostmanMetrics {
    registry: Registry,
    own: Registry,
    process: ProcessMetrics,
    log_lines_dropped: Counter,
    view_age: Gauge<f64, std::sync::atomic::AtomicU64>,
    /// The counters of sending.
    pub sending: SendingMetrics,
}

impl PostmanMetrics {
    /// The metrics of a process whose certificate for peers, if it has one, expires at a time.
    pub fn new(certificate_expires_at: Option<i64>) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("notty"),
            own: Registry::default(),
            process: ProcessMetrics::default(),
            log_lines_dropped: Counter::default(),
            view_age: Gauge::default(),
            sending: SendingMetrics::default(),
        };
        certificate::register(certificate_expires_at, &mut metrics.registry);
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        register_program(registry, &self.log_lines_dropped);
        self.sending.register(registry);

        let age = "Age of this postman's view of the cluster: it begins nothing under one older than a \
                   second";
        let gauge = self.view_age.clone();
        registry.register_with_unit("postman_view_age", age, Unit::Seconds, gauge);
        self.process.register(&mut self.own);
    }

    /// All metrics in a text form, at a time of this machine's boot clock.
    pub fn text(&self, now: Duration, form: MetricsForm) -> String {
        let age = now.saturating_sub(self.sending.standing.looked_at());
        self.view_age.set(age.as_secs_f64());
        let dropped = crate::telemetry::dropped_lines();
        self.log_lines_dropped.inner().store(dropped, Relaxed);
        self.process.refresh();

        let mut text = String::new();
        for registry in [&self.registry, &self.own] {
            encode_registry(&mut text, registry).expect("writing to memory cannot fail");
        }
        form.finish(text)
    }
}
