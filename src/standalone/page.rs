//! The page of a standalone postman, for probes and for Prometheus: `/healthz`, `/readyz`, `/metrics`.
//!
//! It needs no token: it has figures, and no phones, names or texts.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::get,
};
use notty_raft::{Clock, Transport};
use serde_json::json;
use tokio::sync::watch;

use crate::{
    api::{self, ApiError, Code, ServedRoutes},
    config::ConfigError,
    metrics::{MetricsForm, PostmanMetrics},
};

/// Connections at once: for a probe and a scraper, with room for a few more.
const CONNECTIONS: usize = 32;

/// The sources of the answers.
#[derive(Clone)]
struct PageSources {
    metrics: Arc<PostmanMetrics>,
    clock: Arc<dyn Clock>,
}

/// Serves the page until it is stopped. It is reachable when this returns; a fault of the address is one
/// of the command line.
pub(super) async fn open(
    address: SocketAddr,
    transport: &Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    metrics: Arc<PostmanMetrics>,
    stop: watch::Receiver<bool>,
) -> Result<(), ConfigError> {
    let fault = |error| {
        ConfigError(format!(
            "--metrics: {address} cannot be listened on: {error}"
        ))
    };
    let listener = transport
        .listen(&address.to_string())
        .await
        .map_err(fault)?;
    let bound = listener.address().map_err(fault)?;
    tracing::info!("health and metrics of this postman: http://{bound}/metrics");

    let routes = ServedRoutes::new(router(PageSources { metrics, clock }));
    tokio::spawn(api::serve(CONNECTIONS, listener, routes, stop));
    Ok(())
}

fn router(page: PageSources) -> Router {
    Router::new()
        .route("/healthz", get(async || ok()))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(async || {
            let detail =
                "a standalone postman has /healthz, /readyz and /metrics; nodes have the API";
            ApiError::new(Code::UnknownRoute, detail)
        })
        .with_state(page)
}

fn ok() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

async fn ready(State(page): State<PageSources>) -> Response {
    let standing = &page.metrics.sending.standing;
    match standing.unready(page.clock.boot()) {
        None => ok(),
        Some(why) => ApiError::new(Code::NotReady, why)
            .retry_after(1)
            .into_response(),
    }
}

async fn metrics(State(page): State<PageSources>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT);
    let form = MetricsForm::accepted(accept.and_then(|accept| accept.to_str().ok()));
    let text = page.metrics.text(page.clock.boot(), form);
    ([(header::CONTENT_TYPE, form.content_type())], text).into_response()
}
