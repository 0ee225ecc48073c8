//! The node itself: health, readiness, metrics.
//!
//! The health checks are for probes of Kubernetes and load balancers, and need no token.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use notty_storage::query;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api, ApiError, ApiResult,
    code::Code,
    endpoint::{Access, Effect, Endpoint, endpoint},
};
use crate::config::Role;
use crate::metrics::StateFigures;

/// Answer of a health check that succeeded.
#[derive(Serialize, ToSchema)]
pub(super) struct HealthBody {
    /// Always the word `ok`.
    #[schema(example = "ok")]
    status: String,
}

pub(super) fn routes() -> Vec<Endpoint> {
    let not_ready = "the node has no leader, or still applies what the leader has";
    vec![
        endpoint!(healthz, Access::Open, Effect::Health),
        endpoint!(readyz, Access::Open, Effect::Health)
            .codes(&[Code::NotReady])
            .says(Code::NotReady, not_ready, not_ready),
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
/// 200 as long as the process answers at all; the state of the cluster does not matter. Needs no token.
#[utoipa::path(get, path = "/healthz", tag = "node", operation_id = "getHealth", security(()),
    responses((status = 200, body = HealthBody)))]
async fn healthz() -> Response {
    ok()
}

/// Ready
///
/// 200 once the node can serve: it has a leader, has applied nearly all that the leader has and what was
/// committed more than two seconds ago, and its clock is not in doubt. Otherwise `detail` gives the
/// reasons. Needs no token.
#[utoipa::path(get, path = "/readyz", tag = "node", operation_id = "getReadiness", security(()),
    responses((status = 200, body = HealthBody)))]
async fn readyz(State(api): State<Api>) -> ApiResult {
    let reasons = api.node.unready_reasons().await;
    if reasons.is_empty() {
        return Ok(ok());
    }

    let texts: Vec<_> = reasons.iter().map(ToString::to_string).collect();
    Err(ApiError::new(Code::NotReady, texts.join("; ")).retry_after(1))
}

/// Metrics
///
/// In the text format of OpenMetrics 1.0, which Prometheus reads, each with a description.
#[utoipa::path(get, path = "/metrics", tag = "node", operation_id = "getMetrics",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
async fn metrics(State(api): State<Api>) -> ApiResult {
    let figures = api.ask(|reader| {
        Ok(StateFigures {
            counts: query::stats::overall(reader)?,
            customers: query::customers::count(reader)?,
            mailings_open: query::work::open_mailings(reader).len() as u64,
            leases_open: query::leases::open(reader)?.len() as u64,
        })
    })?;
    let text = api.metrics.text(&api.node.status(), &figures);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
