//! The node itself: health, readiness, metrics.
//!
//! The health checks are for probes of Kubernetes and load balancers, and need no token.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use notty_raft::NotReady;
use notty_storage::query;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api, ApiError, ApiResult,
    code::Code,
    endpoint::{Access, Effect, Endpoint, endpoint},
};
use crate::config::Role;
use crate::metrics::{MetricsForm, NodeFigures, StateFigures};

/// Answer of a health check that succeeded.
#[derive(Serialize, ToSchema)]
pub(super) struct HealthBody {
    /// Always the word `ok`.
    #[schema(example = "ok")]
    status: String,
}

pub(super) fn routes() -> Vec<Endpoint> {
    let meaning = "the node has no leader, still applies what was committed, or does not believe its clock; \
                   `detail` names what is missing";
    let example = "the node has no leader that a majority follows: 1 of 3 voters answer and 2 are needed; \
                   `notty-1` at 10.0.0.2:7080 cannot be reached: Connection refused; `notty-2` at \
                   10.0.0.3:7080 cannot be reached: it does not know cluster.secret of this node";
    vec![
        endpoint!(healthz, Access::Open, Effect::Health),
        endpoint!(readyz, Access::Open, Effect::Health)
            .codes(&[Code::NotReady])
            .says(Code::NotReady, meaning, example),
        endpoint!(metrics, Role::Reader, Effect::Reads).ignores_parameters(),
    ]
}

/// The answer of a health check that succeeded.
pub(super) fn ok() -> Response {
    Json(HealthBody {
        status: "ok".to_owned(),
    })
    .into_response()
}

/// Alive
///
/// Returns 200 as long as the process answers, whatever the state of the cluster is. Needs no token.
#[utoipa::path(get, path = "/healthz", tag = "node", operation_id = "getHealth", security(()),
    responses((status = 200, body = HealthBody)))]
async fn healthz() -> Response {
    ok()
}

/// Ready
///
/// 200 once the node can serve: it has a leader, has applied nearly all that the leader has and what was
/// committed more than two seconds ago, and its clock is not in doubt. Otherwise `detail` gives the
/// reasons: the voters that do not answer by name and address, another secret, how far the state has
/// come, the error of the clock. Needs no token.
#[utoipa::path(get, path = "/readyz", tag = "node", operation_id = "getReadiness", security(()),
    responses((status = 200, body = HealthBody)))]
async fn readyz(State(api): State<Api>) -> ApiResult {
    let reasons = api.node.unready_reasons().await;
    if reasons.is_empty() {
        return Ok(ok());
    }

    let detail = not_ready_text(&reasons);
    Err(ApiError::unavailable(Code::NotReady, detail))
}

/// All reasons why a node is not ready, in one text.
pub(super) fn not_ready_text(reasons: &[NotReady]) -> String {
    let texts: Vec<_> = reasons.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// Metrics
///
/// For Prometheus, each with a description: as OpenMetrics if `Accept` prefers it, otherwise in the text
/// format 0.0.4. Needs no token with `[metrics] open = true`.
#[utoipa::path(get, path = "/metrics", tag = "node", operation_id = "getMetrics",
    responses((status = 200, content(
        (String = "text/plain; version=0.0.4; charset=utf-8"),
        (String = "application/openmetrics-text; version=1.0.0; charset=utf-8")))))]
async fn metrics(State(api): State<Api>, headers: HeaderMap) -> ApiResult {
    // One reader for all of them, so that they belong to one position.
    let state = api.ask(|reader| {
        Ok(StateFigures {
            counts: query::stats::overall(reader)?,
            delivery: query::stats::overall_delivery(reader)?,
            customers: query::customers::count(reader)?,
            mailings_open: query::work::open_mailings(reader).len() as u64,
            leases_open: query::leases::open(reader)?.len() as u64,
        })
    })?;
    let figures = NodeFigures {
        node: api.node.status(),
        seen: api.node.survey().await,
        state,
    };

    let accept = headers.get(header::ACCEPT);
    let form = MetricsForm::accepted(accept.and_then(|accept| accept.to_str().ok()));
    let text = api.metrics.text(&figures, form);
    let content_type = [(header::CONTENT_TYPE, form.content_type())];
    Ok((content_type, text).into_response())
}
