//! Metrics in Prometheus form: their names, what each says, and where they are counted.
//!
//! Counters live here and are handed to whoever counts; figures that can be read from the node are
//! read when they are asked for.

use std::{sync::atomic::AtomicU64, time::Duration};

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

use crate::gateway::Answer;

/// One label: what kind of thing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    answer: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InStatus {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
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

/// Bounds of a round of applying, in seconds: fine about the hundredth of a second that snapshots may
/// cost.
const ROUNDS: [f64; 14] = [
    0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0,
];

/// A method as a label: whoever sends requests must not be able to make series without end.
fn method_label(method: &str) -> &'static str {
    const KNOWN: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

/// What a postman counts.
#[derive(Clone, Debug)]
pub struct SendingMetrics {
    answers: Family<Answered, Counter>,
    latency: Histogram,
    /// Microseconds waited for answers, and how many there were.
    waited: Counter,
    waits: Counter,
    /// Messages taken under a lease and not yet reported.
    pub held: Gauge,
    /// Requests on their way to the gateway.
    pub in_flight: Gauge,
    /// Leases that this postman holds.
    pub leases: Gauge,
    /// 0 closed, 1 open, 2 probing.
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
    /// Counts one answer of the gateway, and how long it took.
    pub fn answered(&self, answer: Answer, took: Duration) {
        self.answers
            .get_or_create(&Answered {
                answer: answer.name(),
            })
            .inc();
        if answer != Answer::NotSent {
            self.latency.observe(took.as_secs_f64());
            self.waited.inc_by(took.as_micros() as u64);
            self.waits.inc();
        }
    }

    /// How long the gateway needs for an answer, in seconds; none while it gave none.
    pub fn mean_latency(&self) -> Option<f64> {
        let waits = self.waits.get();
        (waits > 0).then(|| self.waited.get() as f64 / 1e6 / waits as f64)
    }
}

/// All metrics of a process.
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    request_seconds: Family<Route, Histogram, Seconds>,
    /// What the postman counts.
    pub sending: SendingMetrics,
    messages: Family<InStatus, Gauge>,
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
    /// How long rounds of applying took.
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
    /// Mailings that are not settled.
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
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        let sending = &self.sending;
        registry.register("messages", "Messages by status", self.messages.clone());
        registry.register("customers", "Customers that exist", self.customers.clone());
        registry.register(
            "mailings_open",
            "Mailings that have not ended, or have messages without a final status",
            self.mailings_open.clone(),
        );
        registry.register(
            "leases_open",
            "Open leases, of all postmen",
            self.leases_open.clone(),
        );
        let answers = "Answers of the gateway by what they mean: done, invalid (400), not_taken (any \
                       other status), not_sent (nothing was written), unsure (it may have been \
                       taken); their rate is the sending rate";
        registry.register("gateway_answers", answers, sending.answers.clone());
        let latency = "Time from the first byte of a request to the complete answer of the gateway";
        registry.register_with_unit("gateway", latency, Unit::Seconds, sending.latency.clone());
        let held = "Messages that this postman holds under lease and has not reported yet";
        registry.register("postman_messages_held", held, sending.held.clone());
        let in_flight = "Requests to the gateway in flight from this postman";
        registry.register(
            "postman_requests_in_flight",
            in_flight,
            sending.in_flight.clone(),
        );
        registry.register(
            "postman_leases",
            "Leases that this postman holds",
            sending.leases.clone(),
        );
        let breaker = "The breaker for the gateway: 0 closed, 1 open, 2 probing";
        registry.register("postman_breaker", breaker, sending.breaker.clone());
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "Version of this notty", Info::new(version));
        let conflicts = "Reports of a message that differ from its first one";
        registry.register("report_conflicts", conflicts, sending.conflicts.clone());
        registry.register(
            "http_requests",
            "Requests to the API",
            self.requests.clone(),
        );
        let seconds = "Time from the head of a request to the head of its answer";
        let family = self.request_seconds.clone();
        registry.register_with_unit("http_request", seconds, Unit::Seconds, family);
        registry.register("raft_term", "Current raft term", self.term.clone());
        registry.register(
            "raft_leader",
            "1 if this node leads",
            self.is_leader.clone(),
        );
        registry.register(
            "raft_last_index",
            "Last position in the log",
            self.last_index.clone(),
        );
        let applied = "Last position applied to the state";
        registry.register("raft_applied_index", applied, self.applied_index.clone());
        let doubt = "1 while this node does not believe its clock: time stands still, and /readyz has \
                     the reason";
        registry.register("clock_in_doubt", doubt, self.clock_in_doubt.clone());
        let snapshot = "Position of the last snapshot";
        registry.register("raft_snapshot_index", snapshot, self.snapshot_index.clone());
        let bytes = "Bytes of the log on the disk";
        registry.register_with_unit("raft_log", bytes, Unit::Bytes, self.log_bytes.clone());
        let appended = "Bytes appended to the log";
        let counter = self.appended_bytes.clone();
        registry.register_with_unit("raft_log_appended", appended, Unit::Bytes, counter);
        let apply = "Time spent applying entries since the start";
        let gauge = self.apply_seconds.clone();
        registry.register_with_unit("raft_apply", apply, Unit::Seconds, gauge);
        let rounds = "Duration of applying the entries that came together, including waits for a \
                      snapshot in progress";
        let histogram = self.apply_rounds.clone();
        registry.register_with_unit("raft_apply_round", rounds, Unit::Seconds, histogram);
        let dropped = "Log lines dropped because the reader of stderr was too slow";
        registry.register("log_lines_dropped", dropped, self.log_lines_dropped.clone());
    }

    /// Counts one request to the API.
    pub fn requested(&self, method: &str, route: &str, status: u16, took: Duration) {
        let (method, route) = (method_label(method), route.to_owned());
        let seconds = self.request_seconds.get_or_create(&Route {
            route: route.clone(),
        });
        seconds.observe(took.as_secs_f64());
        drop(seconds);
        self.requests
            .get_or_create(&Request {
                method,
                route,
                status,
            })
            .inc();
    }

    /// Everything, as Prometheus reads it.
    pub fn text(&self, node: &NodeStatus, state: &StateFigures) -> String {
        use std::sync::atomic::Ordering::Relaxed;
        for status in STATUSES {
            let gauge = self.messages.get_or_create(&InStatus {
                status: status.name(),
            });
            gauge.set(state.counts.of(status) as i64);
        }
        self.customers.set(state.customers as i64);
        self.mailings_open.set(state.mailings_open as i64);
        self.leases_open.set(state.leases_open as i64);
        self.term.set(node.term as i64);
        self.is_leader
            .set(i64::from(node.leader.as_deref() == Some(&node.name)));
        self.last_index.set(node.last_index as i64);
        self.applied_index.set(node.applied_index as i64);
        self.clock_in_doubt
            .set(i64::from(node.clock_doubt.is_some()));
        self.snapshot_index.set(node.snapshot_index as i64);
        self.log_bytes.set(node.log_bytes as i64);
        self.appended_bytes
            .inner()
            .store(node.appended_bytes, Relaxed);
        let apply_seconds = node.apply_micros as f64 / 1e6;
        self.apply_seconds
            .inner()
            .store(apply_seconds.to_bits(), Relaxed);
        self.log_lines_dropped
            .inner()
            .store(crate::telemetry::dropped_lines(), Relaxed);
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to memory cannot fail");
        text
    }
}
