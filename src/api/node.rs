//! The node itself: alive, ready, its metrics, its cluster.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use notty_storage::query;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answer, Api, ApiError, Problem, input::Params};
use crate::metrics::StateFigures;

/// That the node is well.
#[derive(Serialize, ToSchema)]
pub(super) struct HealthBody {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: String,
}

/// The cluster.
#[derive(Serialize, ToSchema)]
pub(super) struct ClusterBody {
    /// The leader's name; null while there is none.
    #[schema(example = "notty-0")]
    leader: Option<String>,
    /// The term.
    #[schema(example = 3)]
    term: u64,
    /// Its nodes.
    nodes: Vec<NodeBody>,
}

/// A node of the cluster.
#[derive(Serialize, ToSchema)]
pub(super) struct NodeBody {
    /// Its name.
    #[schema(example = "notty-0")]
    name: String,
    /// Where its peers reach it; empty on a node by itself.
    #[schema(example = "127.0.0.1:7080")]
    peer: String,
    /// Where clients reach it.
    #[schema(example = "http://127.0.0.1:8080")]
    api: String,
    /// `leader`, `voter` or `learner`.
    #[schema(example = "leader")]
    role: String,
    /// Whether this node reaches it.
    #[schema(example = true)]
    reachable: bool,
    /// The last position of its log, as far as this node knows.
    #[schema(example = 1234)]
    last_index: u64,
    /// The position that its state reflects, as far as this node knows.
    #[schema(example = 1234)]
    applied_index: u64,
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
        .routes(routes!(cluster))
}

pub(super) fn ok() -> Response {
    Json(HealthBody { status: "ok".to_owned() }).into_response()
}

/// Alive
///
/// Says nothing about the cluster. Needs no token.
#[utoipa::path(get, path = "/healthz", tag = "node", security(()),
    responses((status = 200, body = HealthBody)))]
async fn healthz() -> Response {
    ok()
}

/// Ready
///
/// 200 once the node can serve: it has a leader and has applied nearly all that the leader has.
/// Needs no token.
#[utoipa::path(get, path = "/readyz", tag = "node", security(()),
    responses(
        (status = 200, body = HealthBody),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    ))]
async fn readyz(State(api): State<Api>) -> Answer {
    if api.node.is_ready().await {
        return Ok(ok());
    }
    let detail = "the node has no leader, or still applies what the leader has";
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", detail).retry_after(1))
}

/// Metrics
///
/// In Prometheus form; each one says what it is.
#[utoipa::path(get, path = "/metrics", tag = "node",
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    ))]
async fn metrics(State(api): State<Api>) -> Answer {
    let figures = api.ask(|reader| {
        Ok(StateFigures {
            counts: query::stats::overall(reader)?,
            customers: query::customers::count(reader)?,
            mailings_open: query::work::roster(reader)?.open.len() as u64,
            leases_open: query::leases::open(reader)?.len() as u64,
        })
    })?;
    let text = api.metrics.text(&api.node.status(), &figures);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// The cluster
#[utoipa::path(get, path = "/cluster", tag = "node",
    responses(
        (status = 200, body = ClusterBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    ))]
async fn cluster(State(api): State<Api>, params: Params) -> Answer {
    params.finish()?;
    let status = api.node.status();
    let node = |seen: notty_raft::Sight| {
        let member = &seen.member;
        let role = match (member.leader, member.voter) {
            (true, _) => "leader",
            (false, true) => "voter",
            (false, false) => "learner",
        };
        NodeBody {
            name: member.peer.name.clone(),
            peer: member.peer.peer.clone(),
            api: member.peer.api.clone(),
            role: role.to_owned(),
            reachable: seen.reachable,
            last_index: seen.last_index,
            applied_index: seen.applied_index,
        }
    };
    let nodes = api.node.survey().await.into_iter().map(node).collect();
    let body = ClusterBody { leader: status.leader.clone(), term: status.term, nodes };
    Ok(Json(body).into_response())
}
