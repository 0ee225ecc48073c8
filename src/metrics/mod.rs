//! Metrics in Prometheus form: their names and descriptions, and the counters behind them.
//!
//! Counters are made here, and are given to the parts that count. Figures that can be read from the
//! node or the state are read when somebody asks for the metrics.

mod node;
mod requests;
mod sending;
mod state;

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use notty_raft::NodeStatus;
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::MetricConstructor, histogram::Histogram, info::Info},
    registry::Registry,
};

use self::{node::NodeMetrics, requests::RequestMetrics, state::StateMetrics};
pub use self::{sending::SendingMetrics, state::StateFigures};

/// Makes histograms of seconds, from a tenth of a millisecond to half a minute.
#[derive(Clone, Copy, Debug)]
struct Seconds;

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        let bounds = [
            0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0,
        ];
        Histogram::new(bounds)
    }
}

/// All metrics of a process.
pub struct Metrics {
    registry: Registry,
    requests: RequestMetrics,
    state: StateMetrics,
    node: NodeMetrics,
    log_lines_dropped: Counter,
    /// The counters of this node's postman.
    pub sending: SendingMetrics,
    /// Times that rounds of applying took.
    pub apply_rounds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("notty"),
            requests: RequestMetrics::default(),
            state: StateMetrics::default(),
            node: NodeMetrics::default(),
            log_lines_dropped: Counter::default(),
            sending: SendingMetrics::default(),
            apply_rounds: node::apply_rounds(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "Version of the running notty", Info::new(version));
        let dropped = "Log lines that were dropped because nobody read stderr";
        registry.register("log_lines_dropped", dropped, self.log_lines_dropped.clone());

        self.state.register(registry);
        self.sending.register(registry);
        self.requests.register(registry);
        self.node.register(registry);
        node::register_rounds(&self.apply_rounds, registry);
    }

    /// Counts one request to the API.
    pub fn requested(&self, method: &str, route: &str, status: u16, took: Duration) {
        self.requests.count(method, route, status, took);
    }

    /// All metrics in the text form that Prometheus reads.
    pub fn text(&self, node: &NodeStatus, state: &StateFigures) -> String {
        self.state.set(state);
        self.node.set(node);
        let dropped = crate::telemetry::dropped_lines();
        self.log_lines_dropped.inner().store(dropped, Relaxed);

        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to memory cannot fail");
        text
    }
}
