//! Tests of serving connections, over real sockets.

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
async fn served(connections: usize) -> (std::net::SocketAddr, Arc<Notify>, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("an address");
    let slow = Arc::new(Notify::new());
    let waiting = slow.clone();
    let routes = ServedRoutes::waiting(notty_raft::WaitingReason::default());
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
