//! Connections to the API: taken in up to a bound, served, and let end when the node stops.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
    response::Response,
    routing,
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use notty_raft::{Io, Listener};
use parking_lot::RwLock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower_service::Service as _;

use super::{ApiError, node};

/// How long a connection may take to send a request's head.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long stopping waits for requests under way.
const STOP_TIME: Duration = Duration::from_secs(5);
/// Connections at once, at most; further ones wait in the queue of the system until one ends. Far
/// more than the programs of one service need, and few enough that files for the log, the state
/// and the gateway are left. One without a request ends after `HEAD_TIME`.
pub const CONNECTIONS: usize = 1_024;

/// The routes that are served; while the node waits for its cluster, they say so.
#[derive(Clone)]
pub struct Routes(Arc<RwLock<Router>>);

impl Default for Routes {
    fn default() -> Self {
        let alive = routing::get(|| async { node::ok() });
        let router = Router::new().route("/healthz", alive).fallback(|| async {
            let detail = "the node waits for its cluster, or still opens its data";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", detail).retry_after(1)
        });
        Self(Arc::new(RwLock::new(router)))
    }
}

impl Routes {
    /// From now on these are served.
    pub fn set(&self, router: Router) {
        *self.0.write() = router;
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response, Infallible> {
        let mut router = self.0.read().clone();
        router.call(request.map(Body::new)).await
    }
}

/// Serves until told to stop; then lets requests under way end, for a while.
pub async fn serve(listener: Box<dyn Listener>, routes: Routes, stop: watch::Receiver<bool>) {
    serve_at_most(CONNECTIONS, listener, routes, stop).await;
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &mut dyn Listener,
    room: &Arc<Semaphore>,
) -> io::Result<(Box<dyn Io>, String, OwnedSemaphorePermit)> {
    let place = room.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, from) = listener.accept().await?;
    Ok((stream, from, place))
}

async fn serve_at_most(
    connections: usize,
    mut listener: Box<dyn Listener>,
    routes: Routes,
    mut stop: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(connections));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&mut *listener, &room) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, from, place)) => {
                serve_connection(stream, from, place, &routes, &graceful);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the API could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(STOP_TIME, graceful.shutdown()).await;
}

fn serve_connection(
    stream: Box<dyn Io>,
    from: String,
    place: OwnedSemaphorePermit,
    routes: &Routes,
    graceful: &GracefulShutdown,
) {
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    let routes = routes.clone();
    let service = service_fn(move |request| {
        let routes = routes.clone();
        async move { routes.answer(request).await }
    });
    let connection = graceful.watch(server.serve_connection(TokioIo::new(stream), service));
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, %from, "a connection to the API ended early");
        }
        drop(place);
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    async fn ask(stream: &mut TcpStream) {
        stream.write_all(REQUEST).await.expect("written");
        let mut answer = [0; 1_024];
        let read = stream.read(&mut answer).await.expect("an answer");
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn a_connection_beyond_the_bound_waits_until_another_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        let count = move || async move {
            counted.fetch_add(1, Ordering::SeqCst);
        };
        let routes = Routes::default();
        routes.set(Router::new().route("/", get(count)));
        let (stop, stopped) = watch::channel(false);
        let served = tokio::spawn(serve_at_most(1, Box::new(listener), routes, stopped));
        let mut first = TcpStream::connect(address).await.expect("connected");
        ask(&mut first).await;
        let mut second = TcpStream::connect(address).await.expect("connected");
        second.write_all(REQUEST).await.expect("written");
        for _ in 0..50 {
            ask(&mut first).await;
        }
        assert_eq!(asked.load(Ordering::SeqCst), 51, "the second was served too early");
        drop(first);
        let mut answer = [0; 1_024];
        let read = second.read(&mut answer).await.expect("an answer");
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
        stop.send_replace(true);
        drop(second);
        served.await.expect("no panic");
    }
}
