//! Connections to the API: taken in up to a bound, served, and let end when the node stops.
//!
//! Who gets a place is decided in [`places`](super::places), what a connection is doing in
//! [`activity`](super::activity). HTTP itself is hyper's, with a time for each request's head and a
//! bound on its size.

use std::{convert::Infallible, sync::Arc, time::Duration};

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
use notty_raft::{Io, Listener};
use parking_lot::RwLock;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};
use tower_service::Service as _;

use super::{
    ApiError, Code,
    activity::{Answered, HEAD_BYTES, Source, Upload, WatchedStream},
    input::drain,
    node,
    places::{Place, Places},
    table,
};

/// How long a connection may take to send a request's head.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Bytes of a connection's buffers, at most: a head that is refused, and parts of bodies.
const BUFFER_BYTES: usize = 2 * HEAD_BYTES;
/// How long stopping waits for requests under way.
const STOP_TIME: Duration = Duration::from_secs(5);
/// Connections at once, at most. Far more than the programs of one service need.
pub const CONNECTIONS: usize = 1_024;
/// Connections beyond the bound that end just now: those who were evicted for another.
const LEAVING: usize = 16;
/// Pause after a connection could not be accepted: without files, the next one cannot be either.
const PAUSE: Duration = Duration::from_millis(50);
/// Time between two log lines about the same trouble with connections.
const LOG_PERIOD: Duration = Duration::from_secs(60);

/// The routes that are served; while the node waits for its cluster, they say so.
#[derive(Clone)]
pub struct Routes(Arc<RwLock<Router>>);

impl Default for Routes {
    fn default() -> Self {
        let alive = routing::get(|| async { node::ok() });
        let router = Router::new().route("/healthz", alive).fallback(|| async {
            let detail = "the node waits for its cluster, or still opens its data";
            ApiError::new(Code::NotReady, detail).retry_after(1)
        });
        Self(Arc::new(RwLock::new(router)))
    }
}

impl Routes {
    /// From now on these are served.
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

/// Serves so many connections at once until told to stop; then lets requests under way end, for a
/// while.
pub async fn serve(
    connections: usize,
    mut listener: Box<dyn Listener>,
    routes: Routes,
    mut stop: watch::Receiver<bool>,
) {
    let mut front = FrontDoor::new(connections, routes);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, from)) => {
                tokio::select! {
                    () = front.let_in(stream, from) => {}
                    _ = stop.wait_for(|stop| *stop) => break,
                }
            }
            Err(error) => {
                // Too many open files, most likely: one that is idle gives its own back.
                front.places.evict_one();
                if front.accept_log.is_due() {
                    tracing::warn!(%error, "a connection to the API could not be accepted");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    // The time is for requests on their way, and nothing follows that would need more.
    let _ = tokio::time::timeout(STOP_TIME, front.graceful.shutdown()).await;
}

/// A log line that may be due often is logged now and then.
#[derive(Default)]
struct SparseLog(Option<Instant>);

impl SparseLog {
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let is_due = self.0.is_none_or(|last| now - last >= LOG_PERIOD);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }
}

/// Lets connections in and starts serving them.
struct FrontDoor {
    places: Arc<Places>,
    /// Connections that are open, evicted ones that still close among them.
    open: Arc<Semaphore>,
    routes: Routes,
    graceful: GracefulShutdown,
    accept_log: SparseLog,
    full_log: SparseLog,
}

impl FrontDoor {
    fn new(connections: usize, routes: Routes) -> Self {
        Self {
            places: Places::new(connections),
            open: Arc::new(Semaphore::new(connections + LEAVING)),
            routes,
            graceful: GracefulShutdown::new(),
            accept_log: SparseLog::default(),
            full_log: SparseLog::default(),
        }
    }

    async fn let_in(&mut self, stream: Box<dyn Io>, from: String) {
        let place = self.places.admit(Source::of(&from));
        if place.is_reserved() && self.full_log.is_due() {
            tracing::warn!(
                "all connections to the API are taken and at work; until one ends, further ones \
                 get health checks and 503 only"
            );
        }
        // Those who were evicted close soon; this waits for one of them where many were.
        let Ok(file) = self.open.clone().acquire_owned().await else {
            return;
        };
        self.serve_connection(stream, from, place, file);
    }

    fn serve_connection(
        &self,
        stream: Box<dyn Io>,
        from: String,
        place: Place,
        file: OwnedSemaphorePermit,
    ) {
        let activity = place.activity.clone();
        let place = Arc::new(place);
        let routes = self.routes.clone();
        let service = service_fn(move |request| answer(routes.clone(), place.clone(), request));
        let stream = WatchedStream::new(stream, activity.clone());
        let connection = http().serve_connection(TokioIo::new(stream), service);
        let connection = self.graceful.watch(connection);
        tokio::spawn(async move {
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
            drop(file);
        });
    }
}

/// HTTP with its bounds.
fn http() -> http1::Builder {
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(BUFFER_BYTES);
    server
}

/// Answers one request of a connection.
async fn answer(
    routes: Routes,
    place: Arc<Place>,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let activity = place.activity.clone();
    // Notes the end also where no answer comes of it.
    let mut ending = Answered::new(Body::empty(), activity.clone());
    let may_begin = activity.begin();
    let is_reserved = place.is_reserved();

    let request = request.map(|body| Body::new(Upload::new(body, activity)));
    let mut response = if may_begin && (!is_reserved || table::is_health(request.uri().path())) {
        routes.answer(request).await
    } else {
        drain(request.into_body()).await;
        too_many().into_response()
    };
    if is_reserved {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }

    Ok(response.map(|body| {
        ending.set(body);
        Body::new(ending)
    }))
}

fn too_many() -> ApiError {
    let detail = "this node has as many connections to its API as it may have; close those that \
                  are not needed, or try again";
    ApiError::new(Code::TooManyConnections, detail).retry_after(1)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        sync::Notify,
    };

    use super::*;

    /// A connection that sends a request; what is answered, to the end of its head.
    struct Client(TcpStream);

    impl Client {
        async fn connect(address: std::net::SocketAddr) -> Self {
            Self(TcpStream::connect(address).await.expect("connected"))
        }

        async fn send(&mut self, path: &str) {
            let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            self.0.write_all(request.as_bytes()).await.expect("written");
        }

        async fn head(&mut self) -> String {
            let mut answer = [0; 4_096];
            let read = self.0.read(&mut answer).await.unwrap_or_default();
            String::from_utf8_lossy(&answer[..read]).into_owned()
        }

        async fn ask(&mut self, path: &str) -> String {
            self.send(path).await;
            self.head().await
        }
    }

    /// Serves few connections: `/` at once, `/slow` once it is told to.
    async fn served(
        connections: usize,
    ) -> (std::net::SocketAddr, Arc<Notify>, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        let slow = Arc::new(Notify::new());
        let waiting = slow.clone();
        let routes = Routes::default();
        let router = Router::new()
            .route("/", get(|| async {}))
            .route("/healthz", get(|| async {}))
            .route(
                "/slow",
                get(move || async move { waiting.notified().await }),
            );
        routes.set(router);
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(serve(connections, Box::new(listener), routes, stopped));
        (address, slow, stop)
    }

    #[tokio::test]
    async fn an_idle_connection_makes_room_and_one_at_work_does_not() {
        let (address, slow, _stop) = served(2).await;
        let mut first = Client::connect(address).await;
        assert!(first.ask("/").await.starts_with("HTTP/1.1 200"));
        let mut second = Client::connect(address).await;
        assert!(second.ask("/").await.starts_with("HTTP/1.1 200"));
        assert_eq!(first.head().await, "", "it was idle longest");

        // The only open place is at work now.
        second.send("/slow").await;
        let mut third = Client::connect(address).await;
        let refused = loop {
            // Until the second request has come, the second connection is idle.
            let answer = third.ask("/").await;
            if !answer.starts_with("HTTP/1.1 200") {
                break answer;
            }
        };
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
        assert!(refused.contains("retry-after: 1") && refused.contains("connection: close"));
        let mut health = Client::connect(address).await;
        assert!(health.ask("/healthz").await.starts_with("HTTP/1.1 200"));
        slow.notify_one();
        assert!(second.head().await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_is_431_and_the_client_sees_it() {
        let (address, _, _stop) = served(8).await;
        for bytes in [HEAD_BYTES, 400 * 1024] {
            let mut client = Client::connect(address).await;
            let head = format!(
                "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}",
                "x".repeat(bytes)
            );
            client.0.write_all(head.as_bytes()).await.expect("written");
            let answer = client.head().await;
            assert!(answer.starts_with("HTTP/1.1 431"), "{bytes}: {answer}");
        }
        let mut client = Client::connect(address).await;
        let path = format!("/?{}", "x".repeat(HEAD_BYTES - 200));
        assert!(client.ask(&path).await.starts_with("HTTP/1.1 200"));
    }
}
