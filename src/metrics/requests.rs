//! Counters of requests to the API, by route.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::Seconds;

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

/// Number and duration of requests to the API.
pub(super) struct RequestMetrics {
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, Seconds>,
}

impl Default for RequestMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(Seconds),
        }
    }
}

impl RequestMetrics {
    /// Adds these metrics to a registry.
    pub(super) fn register(&self, registry: &mut Registry) {
        let requests = "Requests to the API";
        registry.register("http_requests", requests, self.requests.clone());
        let seconds = "Time from the head of a request to the head of its answer";
        let family = self.seconds.clone();
        registry.register_with_unit("http_request", seconds, Unit::Seconds, family);
    }

    /// Counts one request and its time.
    pub(super) fn count(&self, method: &str, route: &str, status: u16, took: Duration) {
        let labels = RouteLabels {
            route: route.to_owned(),
        };
        self.seconds
            .get_or_create(&labels)
            .observe(took.as_secs_f64());

        let labels_with_status = RequestLabels {
            method: method_label(method),
            route: labels.route,
            status,
        };
        self.requests.get_or_create(&labels_with_status).inc();
    }
}

/// A method as a label. Unknown ones share a label, so that a client cannot create series without end.
fn method_label(method: &str) -> &'static str {
    const KNOWN: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}
