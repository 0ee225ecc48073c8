//! Connections to the API: accepted up to a bound, served, and ended gracefully when the node stops.
//!
//! [`places`](super::places) decides which connections stay, [`watched`](super::watched) observes
//! what their clients do. HTTP itself is hyper's, with a time limit for the head of each request and
//! a bound on its size.

use std::{convert::Infallible, fmt::Display, io, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, header},
    response::{IntoResponse, Response},
    routing,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use notty_raft::{Io, Listener, WaitingReason};
use parking_lot::RwLock;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};
use tower_service::Service as _;

use super::{
    ApiError, Code,
    activity::{Activity, ClientAddress},
    input::drain,
    node,
    places::{ConnectionPlace, Places},
    table,
    watched::{HEAD_BYTES, WatchedRequest, WatchedResponse, WatchedStream},
};

/// Time for the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// The largest buffers of a connection, in bytes: a head that is refused, and parts of bodies.
const BUFFER_BYTES: usize = 2 * HEAD_BYTES;
/// Time that requests in progress get to end when the node stops.
const STOP_TIME: Duration = Duration::from_secs(5);
/// The most connections at the same time: far more than the programs of one service need.
pub const CONNECTIONS: usize = 1_024;
/// Connections beyond the bound that may be closing: those that were evicted for another.
const LEAVING: usize = 16;
/// Pause after a failed accept: without file descriptors, the next one would fail too.
const PAUSE: Duration = Duration::from_millis(50);
/// The shortest time between two log lines about the same trouble with connections.
const LOG_PERIOD: Duration = Duration::from_secs(60);

/// The router that is served. Until the node is open, a provisional one answers health checks, and
/// everything else with 503.
#[derive(Clone)]
pub struct ServedRoutes(Arc<RwLock<Router>>);

impl ServedRoutes {
    /// The routes of a node that is not open yet, which name the reason why it waits.
    pub fn waiting(reason: WaitingReason) -> Self {
        let alive = routing::get(|| async { node::ok() });
        let router = Router::new()
            .route("/healthz", alive)
            .fallback(move || refuse_to_wait(reason.clone()));
        Self::new(router)
    }

    /// Routes that are served from the beginning.
    pub fn new(router: Router) -> Self {
        Self(Arc::new(RwLock::new(router)))
    }

    /// Replaces the router, for open connections too.
    pub fn set(&self, router: Router) {
        *self.0.write() = router;
    }

    async fn answer(&self, request: Request<Body>) -> Response {
        let mut router = self.0.read().clone();
        router
            .call(request)
            .await
            .unwrap_or_else(|never| match never {})
    }
}

/// The answer of a node that is not open yet.
async fn refuse_to_wait(reason: WaitingReason) -> ApiError {
    ApiError::unavailable(Code::NotReady, text_of_wait(&reason))
}

fn text_of_wait(reason: &WaitingReason) -> String {
    match reason.text() {
        Some(why) => format!("the node is not a member of a cluster yet: {why}"),
        None => "the node still opens its data".to_owned(),
    }
}

/// Serves up to so many connections at the same time until it is stopped. Requests in progress then
/// get some time to end.
pub async fn serve(
    connections: usize,
    mut listener: Box<dyn Listener>,
    routes: ServedRoutes,
    mut stop: watch::Receiver<bool>,
) {
    let mut front = FrontDoor::new(connections, routes);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };

        // Taking a connection in may wait for evicted ones to close: a stop ends that wait too.
        tokio::select! {
            () = front.take(accepted) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }

    drop(listener);
    // Requests that take longer are cut off: nothing that follows needs them.
    let _ = tokio::time::timeout(STOP_TIME, front.graceful.shutdown()).await;
}

/// Limits a log line that may be due often to one in each period.
#[derive(Default)]
struct SparseLog(Option<Instant>);

impl SparseLog {
    fn is_due(&mut self) -> bool {
        let is_due = self.0.is_none_or(|last| last.elapsed() >= LOG_PERIOD);
        if is_due {
            self.0 = Some(Instant::now());
        }
        is_due
    }
}

/// Accepts connections and starts serving them.
struct FrontDoor {
    places: Arc<Places>,
    /// A permit for each open connection, also for evicted ones that have not closed yet.
    open: Arc<Semaphore>,
    routes: ServedRoutes,
    graceful: GracefulShutdown,
    accept_log: SparseLog,
    full_log: SparseLog,
}

impl FrontDoor {
    fn new(connections: usize, routes: ServedRoutes) -> Self {
        Self {
            places: Places::new(connections),
            open: Arc::new(Semaphore::new(connections + LEAVING)),
            routes,
            graceful: GracefulShutdown::new(),
            accept_log: SparseLog::default(),
            full_log: SparseLog::default(),
        }
    }

    /// Serves a connection that was accepted. If accepting failed, frees a file and pauses.
    async fn take(&mut self, accepted: io::Result<(Box<dyn Io>, String)>) {
        match accepted {
            Ok((stream, from)) => self.let_in(stream, from).await,
            Err(error) => self.recover(&error).await,
        }
    }

    /// Most likely the process has no file descriptor left: an idle connection gives its own back.
    async fn recover(&mut self, error: &io::Error) {
        self.places.evict_one();
        if self.accept_log.is_due() {
            tracing::warn!(%error, "a connection to the API could not be accepted");
        }
        tokio::time::sleep(PAUSE).await;
    }

    async fn let_in(&mut self, stream: Box<dyn Io>, from: String) {
        let place = self.places.admit(ClientAddress::of(&from));
        if place.is_reserved() && self.full_log.is_due() {
            tracing::warn!(
                "all connections to the API are in use; until one ends, further ones get health \
                 checks and 503 only"
            );
        }

        // Evicted connections still hold their files until they have closed, which is soon. If many
        // were evicted at once, this waits for one of them.
        let Ok(file) = self.open.clone().acquire_owned().await else {
            return;
        };
        self.serve_connection(stream, from, place, file);
    }

    fn serve_connection(
        &self,
        stream: Box<dyn Io>,
        from: String,
        place: ConnectionPlace,
        file: OwnedSemaphorePermit,
    ) {
        let activity = place.activity.clone();
        // All requests of the connection share its place, which is free again when the last has gone.
        let place = Arc::new(place);
        let routes = self.routes.clone();

        let service = service_fn(move |request| answer(routes.clone(), place.clone(), request));
        let stream = WatchedStream::new(stream, activity.clone());
        let served = http().serve_connection(TokioIo::new(stream), service);
        let connection = self.graceful.watch(served);

        tokio::spawn(async move {
            run_connection(connection, &activity, &from).await;
            // The connection is closed, and with it its file.
            drop(file);
        });
    }
}

/// HTTP/1 with a time limit and size limits.
fn http() -> http1::Builder {
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(BUFFER_BYTES);
    server
}

/// Runs a connection until it ends by itself or is evicted, and drops it.
async fn run_connection<E: Display>(
    connection: impl Future<Output = Result<(), E>>,
    activity: &Activity,
    from: &str,
) {
    tokio::select! {
        ended = connection => {
            if let Err(error) = ended {
                tracing::debug!(%error, %from, "a connection to the API ended early");
            }
        }
        () = activity.evicted() => {
            tracing::debug!(%from, "a connection to the API made room for another");
        }
    }
}

/// Answers one request of a connection.
async fn answer(
    routes: ServedRoutes,
    place: Arc<ConnectionPlace>,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let activity = place.activity.clone();
    // Made before anything can fail: when it is dropped, it notes the end of the answer, also if
    // there never is one.
    let mut ending = WatchedResponse::new(Body::empty(), activity.clone());
    let may_begin = activity.begin();
    let is_reserved = place.is_reserved();

    let request = request.map(|body| Body::new(WatchedRequest::new(body, activity)));
    let mut response = if may_begin && (!is_reserved || table::is_health(request.uri().path())) {
        routes.answer(request).await
    } else {
        drain(request.into_body()).await;
        too_many().into_response()
    };

    // A client must not stay on a reserved place: the next health check needs it.
    if is_reserved {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    Ok(response.map(|body| {
        ending.set(body);
        Body::new(ending)
    }))
}

fn too_many() -> ApiError {
    let detail = "this node has as many connections to its API as it may have; close those that \
                  are not needed, or try again";
    ApiError::unavailable(Code::TooManyConnections, detail)
}

#[cfg(test)]
mod tests;
