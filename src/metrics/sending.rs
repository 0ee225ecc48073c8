//! The counters of a postman: answers of the gateway, and what is in its hands.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
    },
    registry::{Registry, Unit},
};

use super::{PostmanStanding, Seconds};
use crate::gateway::GatewayOutcome;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    answer: &'static str,
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
    /// Leases that the postman holds.
    pub leases: Gauge,
    /// State of the breaker: 0 closed, 1 open, 2 probing.
    pub breaker: Gauge,
    /// 1 while the gateway has asked this postman to send nothing.
    pub paused: Gauge,
    /// 1 while the gateway is halted for this postman.
    pub halted: Gauge,
    /// Mailings that this postman does not send because the gateway halted them.
    pub mailings_halted: Gauge,
    /// Second reports of a message that differ from the first.
    pub conflicts: Counter,
    /// The standing of the postman with its cluster.
    pub standing: PostmanStanding,
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
            paused: Gauge::default(),
            halted: Gauge::default(),
            mailings_halted: Gauge::default(),
            conflicts: Counter::default(),
            standing: PostmanStanding::default(),
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

    /// Adds these metrics to a registry, for a postman on a node or by itself.
    pub(super) fn register(&self, registry: &mut Registry) {
        let answers = "Answers of the gateway by their meaning: done, invalid (refused for good), \
                       not_taken (tried again), halted (no money, a wrong key and the like: handed back \
                       untried), not_sent (nothing was written), unsure (it may have been taken); \
                       their rate is the sending rate";
        registry.register("gateway_answers", answers, self.answers.clone());
        let latency = "Time from the first byte of a request to the complete answer of the gateway";
        registry.register_with_unit("gateway", latency, Unit::Seconds, self.latency.clone());

        let held = "Messages that this postman has under lease and has not reported yet";
        registry.register("postman_messages_held", held, self.held.clone());
        let in_flight = "Requests of this postman to the gateway that are in flight";
        registry.register(
            "postman_requests_in_flight",
            in_flight,
            self.in_flight.clone(),
        );
        let leases = "Leases that this postman holds";
        registry.register("postman_leases", leases, self.leases.clone());

        let breaker = "State of this postman's breaker: 0 closed, 1 open, 2 probing";
        registry.register("postman_breaker", breaker, self.breaker.clone());
        let paused = "State of the pause that the gateway asked this postman for (429 or 503 with \
                      Retry-After): 0 none, 1 it holds";
        registry.register("postman_paused", paused, self.paused.clone());
        let halted =
            "1 while the gateway is halted for this postman: no money, a wrong key and the like";
        registry.register("postman_halted", halted, self.halted.clone());
        let mailings =
            "Mailings that the gateway halted for this postman, because of their text or sender";
        registry.register(
            "postman_mailings_halted",
            mailings,
            self.mailings_halted.clone(),
        );
        let conflicts = "Reports of a message that differ from its first one";
        registry.register("report_conflicts", conflicts, self.conflicts.clone());
    }
}
