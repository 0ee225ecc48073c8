//! Metrics in Prometheus form: their names and descriptions, and the counters behind them.
//!
//! Counters are made here, and are given to the parts that count. Figures that can be read from the
//! node or the state are read when somebody asks for the metrics.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use notty_raft::NodeStatus;
use notty_storage::model::{Counts, STATUSES};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
        info::Info,
    },
    registry::{Registry, Unit},
};

use crate::gateway::GatewayOutcome;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    answer: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

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

/// Upper bounds of the histogram of a round of applying, in seconds. They are close together around
/// 0.01 s, the time that a snapshot in progress may cost.
const ROUNDS: [f64; 14] = [
    0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0,
];

/// A method as a label. Unknown ones share a label, so that a client cannot create series without end.
fn method_label(method: &str) -> &'static str {
    const KNOWN: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

/// The counters of a postman.
#[derive(Clone, Debug)]
pub struct SendingMetrics {
    answers: Family<AnswerLabels, Counter>,
    latency: Histogram,
    /// Time waited for answers, in microseconds.
    waited: Counter,
    /// Number of answers waited for.
    waits: Counter,
    /// Messages that the postman has under lease and has not reported yet.
    pub held: Gauge,
    /// Requests on their way to the gateway.
    pub in_flight: Gauge,
    /// Leases that this postman holds.
    pub leases: Gauge,
    /// State of the breaker: 0 closed, 1 open, 2 probing.
    pub breaker: Gauge,
    /// Second reports of a message that differ from the first.
    pub conflicts: Counter,
}

impl Default for SendingMetrics {
    fn default() -> Self {
        Self {
            answers: Family::default(),
            latency: Seconds.new_metric(),
            waited: Counter::default(),
            waits: Counter::default(),
            held: Gauge::default(),
            in_flight: Gauge::default(),
            leases: Gauge::default(),
            breaker: Gauge::default(),
            conflicts: Counter::default(),
        }
    }
}

impl SendingMetrics {
    /// Counts one answer of the gateway and the time that it took.
    pub fn answered(&self, answer: GatewayOutcome, took: Duration) {
        let labels = AnswerLabels {
            answer: answer.name(),
        };
        self.answers.get_or_create(&labels).inc();

        // Without a request there is no time from its first byte.
        if answer != GatewayOutcome::NotSent {
            self.latency.observe(took.as_secs_f64());
            self.waited.inc_by(took.as_micros() as u64);
            self.waits.inc();
        }
    }

    /// Mean time of an answer of the gateway, in seconds; `None` before the first one.
    pub fn mean_latency(&self) -> Option<f64> {
        let waits = self.waits.get();
        (waits > 0).then(|| self.waited.get() as f64 / 1e6 / waits as f64)
    }
}

/// All metrics of a process.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<RouteLabels, Histogram, Seconds>,
    /// The counters of this node's postman.
    pub sending: SendingMetrics,
    messages: Family<StatusLabels, Gauge>,
    customers: Gauge,
    mailings_open: Gauge,
    leases_open: Gauge,
    term: Gauge,
    is_leader: Gauge,
    last_index: Gauge,
    applied_index: Gauge,
    clock_in_doubt: Gauge,
    snapshot_index: Gauge,
    log_bytes: Gauge,
    appended_bytes: Counter,
    apply_seconds: Counter<f64, AtomicU64>,
    /// Times that rounds of applying took.
    pub apply_rounds: Histogram,
    log_lines_dropped: Counter,
}

/// Figures that are read from the state.
#[derive(Clone, Copy, Debug, Default)]
pub struct StateFigures {
    /// Number of messages by status.
    pub counts: Counts,
    /// Number of customers that exist.
    pub customers: u64,
    /// Number of mailings that are not settled.
    pub mailings_open: u64,
    /// Number of open leases, of all postmen.
    pub leases_open: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("notty"),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(Seconds),
            sending: SendingMetrics::default(),
            messages: Family::default(),
            customers: Gauge::default(),
            mailings_open: Gauge::default(),
            leases_open: Gauge::default(),
            term: Gauge::default(),
            is_leader: Gauge::default(),
            last_index: Gauge::default(),
            applied_index: Gauge::default(),
            clock_in_doubt: Gauge::default(),
            snapshot_index: Gauge::default(),
            log_bytes: Gauge::default(),
            appended_bytes: Counter::default(),
            apply_seconds: Counter::default(),
            apply_rounds: Histogram::new(ROUNDS),
            log_lines_dropped: Counter::default(),
        };
        metrics.register_state();
        metrics.register_sending();
        metrics.register_api();
        metrics.register_node();
        metrics
    }
}

impl Metrics {
    fn register_state(&mut self) {
        let registry = &mut self.registry;
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "Version of the running notty", Info::new(version));
        registry.register(
            "messages",
            "Number of messages, by status",
            self.messages.clone(),
        );
        registry.register(
            "customers",
            "Number of customers that exist",
            self.customers.clone(),
        );
        registry.register(
            "mailings_open",
            "Mailings that have not ended, or have messages without a final status",
            self.mailings_open.clone(),
        );
        registry.register(
            "leases_open",
            "Number of open leases, of all postmen",
            self.leases_open.clone(),
        );
    }

    fn register_sending(&mut self) {
        let registry = &mut self.registry;
        let sending = &self.sending;
        let answers = "Answers of the gateway by their meaning: done, invalid (400), not_taken (any \
                       other status), not_sent (nothing was written), unsure (it may have been \
                       taken); their rate is the sending rate";
        registry.register("gateway_answers", answers, sending.answers.clone());
        let latency = "Time from the first byte of a request to the complete answer of the gateway";
        registry.register_with_unit("gateway", latency, Unit::Seconds, sending.latency.clone());

        let held = "Messages that this postman has under lease and has not reported yet";
        registry.register("postman_messages_held", held, sending.held.clone());
        let in_flight = "Requests of this postman to the gateway that are in flight";
        registry.register(
            "postman_requests_in_flight",
            in_flight,
            sending.in_flight.clone(),
        );
        let leases = "Leases that this postman holds";
        registry.register("postman_leases", leases, sending.leases.clone());

        let breaker = "State of this postman's breaker: 0 closed, 1 open, 2 probing";
        registry.register("postman_breaker", breaker, sending.breaker.clone());
        let conflicts = "Reports of a message that differ from its first one";
        registry.register("report_conflicts", conflicts, sending.conflicts.clone());
    }

    fn register_api(&mut self) {
        let registry = &mut self.registry;
        let requests = "Requests to the API";
        registry.register("http_requests", requests, self.requests.clone());
        let seconds = "Time from the head of a request to the head of its answer";
        let family = self.request_seconds.clone();
        registry.register_with_unit("http_request", seconds, Unit::Seconds, family);
        let dropped = "Log lines that were dropped because nobody read stderr";
        registry.register("log_lines_dropped", dropped, self.log_lines_dropped.clone());
    }

    fn register_node(&mut self) {
        let registry = &mut self.registry;
        registry.register("raft_term", "Current raft term", self.term.clone());
        let leads = "1 if this node leads, otherwise 0";
        registry.register("raft_leader", leads, self.is_leader.clone());
        let last = "Last position in the log";
        registry.register("raft_last_index", last, self.last_index.clone());
        let applied = "Position that the state reflects";
        registry.register("raft_applied_index", applied, self.applied_index.clone());
        let doubt = "1 while this node's clock is in doubt: time stands still meanwhile, and \
                     /readyz gives the reason";
        registry.register("clock_in_doubt", doubt, self.clock_in_doubt.clone());
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
        let rounds = "Time of one round of applying, for the entries that came together; waiting \
                      for a snapshot in progress is part of it";
        let histogram = self.apply_rounds.clone();
        registry.register_with_unit("raft_apply_round", rounds, Unit::Seconds, histogram);
    }

    /// Counts one request to the API.
    pub fn requested(&self, method: &str, route: &str, status: u16, took: Duration) {
        let labels = RouteLabels {
            route: route.to_owned(),
        };
        // The family stays locked for as long as what this returns.
        self.request_seconds
            .get_or_create(&labels)
            .observe(took.as_secs_f64());

        let labels_with_status = RequestLabels {
            method: method_label(method),
            route: labels.route,
            status,
        };
        self.requests.get_or_create(&labels_with_status).inc();
    }

    /// All metrics in the text form that Prometheus reads.
    pub fn text(&self, node: &NodeStatus, state: &StateFigures) -> String {
        self.set_state(state);
        self.set_node(node);
        let dropped = crate::telemetry::dropped_lines();
        self.log_lines_dropped.inner().store(dropped, Relaxed);

        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to memory cannot fail");
        text
    }

    fn set_state(&self, state: &StateFigures) {
        for status in STATUSES {
            let labels = StatusLabels {
                status: status.name(),
            };
            let count = state.counts.of(status) as i64;
            self.messages.get_or_create(&labels).set(count);
        }
        self.customers.set(state.customers as i64);
        self.mailings_open.set(state.mailings_open as i64);
        self.leases_open.set(state.leases_open as i64);
    }

    fn set_node(&self, node: &NodeStatus) {
        let is_leader = node.leader.as_deref() == Some(&node.name);
        self.is_leader.set(i64::from(is_leader));
        self.term.set(node.term as i64);
        self.last_index.set(node.last_index as i64);
        self.applied_index.set(node.applied_index as i64);
        self.snapshot_index.set(node.snapshot_index as i64);
        let is_in_doubt = node.clock_doubt.is_some();
        self.clock_in_doubt.set(i64::from(is_in_doubt));

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
