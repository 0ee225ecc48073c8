//! Connections that are kept: their age, and whatever happens to them meanwhile.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use notty_raft::{Clock, SystemClock};
use notty_storage::Timestamp;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};

use super::support::{
    OK, answer_all, courier, envelope, gateway, listener, read_request, send, soon,
};
use crate::gateway::{
    ByteStream, Connecting, Connector, Courier, Gateway, GatewayOutcome, HttpGateway,
    PreparedCourier,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// Serves for ever; returns the count of connections so far.
async fn serve(answer: &'static str) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let (listener, at) = listener().await;
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(answer_all(stream, answer));
        }
    });
    (at, connections)
}

#[tokio::test]
async fn a_connection_is_used_again_while_it_is_young() {
    let (at, connections) = serve(OK).await;
    let mut courier = courier(gateway("http", at, HOUR));
    for _ in 0..3 {
        assert_eq!(send(&mut courier).await, GatewayOutcome::Done);
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_connection_closes_by_itself_once_it_was_idle_for_too_long() {
    let (at, connections) = serve(OK).await;
    let mut courier = courier(gateway("http", at, Duration::from_millis(50)));
    assert_eq!(send(&mut courier).await, GatewayOutcome::Done);
    soon(courier.rest()).await;
    assert!(!courier.is_connected());
    assert_eq!(send(&mut courier).await, GatewayOutcome::Done);
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_connection_that_is_too_old_is_not_used_although_nobody_looked_after_it() {
    let (at, connections) = serve(OK).await;
    let mut courier = courier(gateway("http", at, Duration::from_millis(50)));
    assert_eq!(send(&mut courier).await, GatewayOutcome::Done);
    // The passing of time is the condition itself.
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(send(&mut courier).await, GatewayOutcome::Done);
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

/// This machine's clocks, after a sleep that only the boot clock has counted.
#[derive(Default)]
struct AfterSleep(AtomicU64);

impl Clock for AfterSleep {
    fn wall(&self) -> Timestamp {
        SystemClock.wall()
    }

    fn boot(&self) -> Duration {
        SystemClock.boot() + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn a_connection_from_before_a_sleep_of_the_machine_is_not_used() {
    let (at, connections) = serve(OK).await;
    let mut gateway = gateway("http", at, HOUR);
    let clock = Arc::<AfterSleep>::default();
    gateway.clock = clock.clone();
    let mut courier = courier(gateway);
    for slept_s in [0, 3_000, 3 * 3_600] {
        clock.0.store(slept_s, Ordering::Relaxed);
        assert_eq!(send(&mut courier).await, GatewayOutcome::Done);
    }
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn without_an_idle_time_each_request_has_its_own_connection() {
    let (at, connections) = serve(OK).await;
    let mut courier = courier(gateway("http", at, Duration::ZERO));
    for _ in 0..3 {
        assert_eq!(send(&mut courier).await, GatewayOutcome::Done);
        assert!(!courier.is_connected());
    }
    assert_eq!(connections.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn the_gateways_keep_alive_shortens_the_time_and_never_lengthens_it() {
    let short = "HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 2\r\n\r\n{}";
    let (at, _) = serve(short).await;
    let mut courier = courier(gateway("http", at, HOUR));
    assert_eq!(send(&mut courier).await, GatewayOutcome::Done);
    soon(courier.rest()).await;

    let long = "HTTP/1.1 200 OK\r\nkeep-alive: timeout=3600\r\ncontent-length: 2\r\n\r\n{}";
    let (at, _) = serve(long).await;
    let mut courier = super::support::courier(gateway("http", at, Duration::from_millis(50)));
    assert_eq!(send(&mut courier).await, GatewayOutcome::Done);
    soon(courier.rest()).await;
}

#[tokio::test]
async fn a_connection_that_the_gateway_closes_is_noticed_at_any_moment_of_its_rest() {
    let (listener, at) = listener().await;
    let close = Arc::new(tokio::sync::Notify::new());
    let closes = close.clone();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        read_request(&mut stream).await?;
        stream.write_all(OK.as_bytes()).await?;
        closes.notified().await;
        io::Result::Ok(())
    });

    let mut courier = courier(gateway("http", at, HOUR));
    assert_eq!(send(&mut courier).await, GatewayOutcome::Done);
    {
        let mut rest = std::pin::pin!(courier.rest());
        let early = futures_util::FutureExt::now_or_never(rest.as_mut());
        assert!(early.is_none(), "it is open");
        close.notify_one();
        soon(rest).await;
    }
    assert!(!courier.is_connected());
}

#[tokio::test]
async fn bytes_that_nobody_asked_for_end_an_idle_connection_and_answer_no_request() {
    let (listener, at) = listener().await;
    let late = Arc::new(tokio::sync::Notify::new());
    let says = late.clone();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        read_request(&mut stream).await?;
        stream.write_all(OK.as_bytes()).await?;
        says.notified().await;
        let timeout = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(timeout).await?;
        // The first stays open meanwhile.
        let (second, _) = listener.accept().await?;
        answer_all(second, OK).await
    });

    let mut courier = courier(gateway("http", at, HOUR));
    assert_eq!(send(&mut courier).await, GatewayOutcome::Done);
    late.notify_one();
    soon(courier.rest()).await;
    assert_eq!(send(&mut courier).await, GatewayOutcome::Done);
}

/// A stream of whose end the system knows, and the runtime does not yet.
struct Unnoticed {
    stream: TcpStream,
    has_ended: Arc<AtomicBool>,
}

impl ByteStream for Unnoticed {
    fn has_news(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }
}

impl AsyncRead for Unnoticed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Unnoticed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.has_ended.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Connects to a server; the first connection has ended once the test says so.
struct Unnoticing {
    at: std::net::SocketAddr,
    has_ended: Arc<AtomicBool>,
    connections: AtomicUsize,
}

impl Connector for Unnoticing {
    fn connect(&self, _host: &str, _port: u16, _within: Duration) -> Connecting {
        let at = self.at;
        let has_ended = match self.connections.fetch_add(1, Ordering::Relaxed) {
            0 => self.has_ended.clone(),
            _ => Arc::default(),
        };
        Box::pin(async move {
            let stream = TcpStream::connect(at).await?;
            Ok(Box::new(Unnoticed { stream, has_ended }) as Box<dyn ByteStream>)
        })
    }
}

/// A gateway over such streams, and the switch that ends the first one.
async fn unnoticing() -> (Arc<HttpGateway>, Arc<AtomicBool>) {
    let (at, _) = serve(OK).await;
    let has_ended = Arc::new(AtomicBool::new(false));
    let mut gateway = gateway("http", at, HOUR);
    gateway.connector = Arc::new(Unnoticing {
        at,
        has_ended: has_ended.clone(),
        connections: AtomicUsize::new(0),
    });
    (Arc::new(gateway), has_ended)
}

#[tokio::test]
async fn the_system_is_asked_before_an_idle_connection_is_used() {
    let (gateway, has_ended) = unnoticing().await;
    let mut courier = gateway.courier();
    assert_eq!(send(&mut courier).await, GatewayOutcome::Done);
    has_ended.store(true, Ordering::Relaxed);
    // Below a millisecond nothing is asked: the passing of time is the condition itself.
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(send(&mut courier).await, GatewayOutcome::Done);
}

#[tokio::test]
async fn a_first_write_that_fails_has_sent_nothing() {
    let (gateway, has_ended) = unnoticing().await;
    let mut courier = gateway.courier();
    let prepared = courier.prepare().await.expect("a connection");
    has_ended.store(true, Ordering::Relaxed);
    assert_eq!(prepared.send(envelope()).await, GatewayOutcome::NotSent);
}
