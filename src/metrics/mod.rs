//! Metrics in Prometheus form: their names and descriptions, and the counters behind them.
//!
//! Counters are made here, and are given to the parts that count. Figures that can be read from the
//! node or the state are read when somebody asks for the metrics.

mod backups;
mod certificate;
mod disk;
mod form;
mod node;
mod peers;
mod postman;
mod process;
mod receipts;
mod requests;
mod sending;
mod standing;
mod state;

use std::{path::Path, sync::atomic::Ordering::Relaxed, time::Duration};

use notty_raft::{NodeStatus, Sight};
use prometheus_client::{
    encoding::text::encode_registry,
    metrics::{counter::Counter, family::MetricConstructor, histogram::Histogram, info::Info},
    registry::Registry,
};

pub use self::{
    backups::BackupMetrics, form::MetricsForm, postman::PostmanMetrics, receipts::ReceiptMetrics,
    sending::SendingMetrics, standing::PostmanStanding, state::StateFigures,
};
use self::{
    disk::DiskMetrics, node::NodeMetrics, peers::PeerMetrics, process::ProcessMetrics,
    requests::RequestMetrics, state::StateMetrics,
};

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

/// All metrics of a node.
pub struct Metrics {
    registry: Registry,
    /// Metrics whose names have no prefix.
    own: Registry,
    process: ProcessMetrics,
    disk: DiskMetrics,
    peers: PeerMetrics,
    requests: RequestMetrics,
    state: StateMetrics,
    node: NodeMetrics,
    log_lines_dropped: Counter,
    /// The counters of this node's postman.
    pub sending: SendingMetrics,
    /// The counters of receipts.
    pub receipts: ReceiptMetrics,
    /// Times that rounds of applying took.
    pub apply_rounds: Histogram,
}

/// Figures that are read when somebody asks for the metrics.
pub struct NodeFigures {
    /// Status of the node.
    pub node: NodeStatus,
    /// The members of the cluster as this node sees them.
    pub seen: Vec<Sight>,
    /// Figures of the state.
    pub state: StateFigures,
}

/// Adds what every process shows of the program itself.
fn register_program(registry: &mut Registry, log_lines_dropped: &Counter) {
    let version = vec![("version", env!("CARGO_PKG_VERSION"))];
    registry.register("build", "Version of the running notty", Info::new(version));
    let dropped = "Log lines that were dropped because nobody read stderr";
    registry.register("log_lines_dropped", dropped, log_lines_dropped.clone());
}

impl Metrics {
    /// The metrics of a node with its data in a directory.
    pub fn of_node(data_dir: &Path) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("notty"),
            own: Registry::default(),
            process: ProcessMetrics::default(),
            disk: DiskMetrics::of(data_dir.to_owned()),
            peers: PeerMetrics::default(),
            requests: RequestMetrics::default(),
            state: StateMetrics::default(),
            node: NodeMetrics::default(),
            log_lines_dropped: Counter::default(),
            sending: SendingMetrics::default(),
            receipts: ReceiptMetrics::default(),
            apply_rounds: node::apply_rounds(),
        };
        metrics.register();
        metrics
    }

    /// The counters of backups, on a node that makes them by itself.
    pub fn register_backups(&mut self) -> BackupMetrics {
        let backups = BackupMetrics::default();
        backups.register(&mut self.registry);
        backups
    }

    /// Adds the time at which the certificate for peers expires, if there is one.
    pub fn register_certificate(&mut self, expires_at: Option<i64>) {
        certificate::register(expires_at, &mut self.registry);
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        register_program(registry, &self.log_lines_dropped);

        self.state.register(registry);
        self.sending.register(registry);
        self.receipts.register(registry);
        self.requests.register(registry);
        self.node.register(registry);
        node::register_rounds(&self.apply_rounds, registry);

        self.peers.register(registry);
        self.disk.register(registry);
        self.process.register(&mut self.own);
    }

    /// Counts one request to the API.
    pub fn requested(&self, method: &str, route: &str, status: u16, took: Duration) {
        self.requests.count(method, route, status, took);
    }

    /// All metrics in a text form.
    pub fn text(&self, figures: &NodeFigures, form: MetricsForm) -> String {
        self.state.set(&figures.state);
        self.node.set(&figures.node);
        self.peers.set(&figures.node.name, &figures.seen);
        self.disk.refresh();
        self.process.refresh();
        let dropped = crate::telemetry::dropped_lines();
        self.log_lines_dropped.inner().store(dropped, Relaxed);

        let mut text = String::new();
        for registry in [&self.registry, &self.own] {
            encode_registry(&mut text, registry).expect("writing to memory cannot fail");
        }
        form.finish(text)
    }
}
