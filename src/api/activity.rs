//! What one connection to the API is doing, and the stream that finds out.
//!
//! A client can hold a connection by doing nothing: it sends no request, sends a body slowly, or
//! does not take its answer. [`Activity`] tells these apart from a connection that waits for the
//! node. [`WatchedStream`] ends a connection whose client takes too little of its answer;
//! [`Upload`] and [`Answered`] note when a request's body is awaited and when its answer has ended.

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use notty_raft::Io;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};
use tokio_util::sync::CancellationToken;

/// Bytes of a request's head, at most.
pub(super) const HEAD_BYTES: usize = 32 * 1024;
/// A client must take so many bytes of its answer, or all that is there, ...
const PIECE: usize = 16 * 1024;
/// ... in this time. A download of a kilobyte a second goes on.
const PIECE_TIME: Duration = Duration::from_secs(20);
/// A client that takes or sends nothing for so long is one that could make room for another.
const SLOW: Duration = Duration::from_secs(1);
/// Bytes that are read after a head that was refused, at most, and for how long: a client that
/// still sends when the connection closes would never see why.
const LINGER: (usize, Duration) = (1024 * 1024, Duration::from_secs(2));

/// Where a connection comes from, for the share that one client may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source(IpAddr);

impl Source {
    /// Of an address with a port. Of IPv6 only the network counts: a machine has all of its 2^64
    /// addresses.
    pub(super) fn of(address: &str) -> Self {
        let parsed = address
            .parse::<SocketAddr>()
            .map(|address| address.ip().to_canonical());
        Self(match parsed {
            Ok(IpAddr::V6(ip)) => {
                let network = u128::from(ip) >> 64 << 64;
                IpAddr::V6(Ipv6Addr::from(network))
            }
            Ok(v4) => v4,
            Err(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        })
    }
}

/// How easily a connection can be done without; the first are the easiest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Waits {
    /// For a request, since then.
    Request(Instant),
    /// For its client to take or send more, since then.
    Client(Instant),
}

#[derive(Debug)]
struct State {
    /// True from a request's head to the end of its answer.
    is_asked: bool,
    /// True while the client does not take what there is of its answer.
    is_blocked: bool,
    /// True while the request's body is awaited.
    is_uploading: bool,
    /// When the client last did something.
    since: Instant,
    is_evicted: bool,
}

/// What one connection is doing.
#[derive(Debug)]
pub(super) struct Activity {
    /// Where it comes from.
    pub(super) source: Source,
    state: Mutex<State>,
    ended: CancellationToken,
}

impl Activity {
    /// Of a new connection.
    pub(super) fn new(source: Source) -> Arc<Self> {
        let state = State {
            is_asked: false,
            is_blocked: false,
            is_uploading: false,
            since: Instant::now(),
            is_evicted: false,
        };
        Arc::new(Self {
            source,
            state: Mutex::new(state),
            ended: CancellationToken::new(),
        })
    }

    /// What it waits for, if that is its client.
    pub(super) fn waits(&self) -> Option<Waits> {
        let state = self.state.lock();
        if state.is_blocked || state.is_uploading {
            (state.since.elapsed() >= SLOW).then_some(Waits::Client(state.since))
        } else {
            (!state.is_asked).then_some(Waits::Request(state.since))
        }
    }

    /// Ends the connection, unless it has begun to be served since it was looked at.
    pub(super) fn evict(&self, seen: Waits) -> bool {
        let mut state = self.state.lock();
        if matches!(seen, Waits::Request(_)) && state.is_asked {
            return false;
        }
        state.is_evicted = true;
        self.ended.cancel();
        true
    }

    /// Returns once the connection is to end.
    pub(super) async fn evicted(&self) {
        self.ended.cancelled().await;
    }

    /// A request has come; false if the connection ends without an answer to it.
    pub(super) fn begin(&self) -> bool {
        let mut state = self.state.lock();
        state.is_asked = true;
        state.since = Instant::now();
        !state.is_evicted
    }

    fn end(&self) {
        let mut state = self.state.lock();
        state.is_asked = false;
        state.is_uploading = false;
        state.since = Instant::now();
    }

    fn is_asked(&self) -> bool {
        self.state.lock().is_asked
    }

    /// The client took bytes.
    fn took(&self) {
        let mut state = self.state.lock();
        state.is_blocked = false;
        state.since = Instant::now();
    }

    /// The client does not take what is there for it.
    fn blocks(&self) {
        self.state.lock().is_blocked = true;
    }

    /// A piece of the request's body has come, or is awaited.
    fn uploads(&self, is_awaited: bool) {
        let mut state = self.state.lock();
        if !is_awaited || !state.is_uploading {
            state.since = Instant::now();
        }
        state.is_uploading = is_awaited;
    }
}

/// The body of a request, of which it is noted when it is awaited.
pub(super) struct Upload {
    body: Incoming,
    activity: Arc<Activity>,
}

impl Upload {
    /// Of a connection's request.
    pub(super) fn new(body: Incoming, activity: Arc<Activity>) -> Self {
        Self { body, activity }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.activity.uploads(false);
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.activity.uploads(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer, whose end is noted.
pub(super) struct Answered {
    body: Body,
    activity: Arc<Activity>,
}

impl Answered {
    /// Of a connection's answer.
    pub(super) fn new(body: Body, activity: Arc<Activity>) -> Self {
        Self { body, activity }
    }

    /// Puts in the body that there is in the end.
    pub(super) fn set(&mut self, body: Body) {
        self.body = body;
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.activity.end();
    }
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The stream under HTTP: notes what the client takes, and fails when that is too little.
pub(super) struct WatchedStream {
    stream: Box<dyn Io>,
    activity: Arc<Activity>,
    /// Runs while the client has not taken the present piece.
    piece_timer: Option<Pin<Box<Sleep>>>,
    /// Bytes of the present piece that were taken.
    taken: usize,
    /// Bytes read since the last request's head was whole.
    unparsed: usize,
    /// Once the connection closes: bytes read since, and the time for them.
    linger: Option<(usize, Pin<Box<Sleep>>)>,
}

impl WatchedStream {
    /// Over a stream.
    pub(super) fn new(stream: Box<dyn Io>, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            activity,
            piece_timer: None,
            taken: 0,
            unparsed: 0,
            linger: None,
        }
    }

    /// Notes what came of a write.
    fn wrote(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.activity.took();
                self.taken += bytes;
                if self.taken >= PIECE {
                    self.end_piece();
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.activity.blocks();
                let timer = || Box::pin(tokio::time::sleep(PIECE_TIME));
                let timer = self.piece_timer.get_or_insert_with(timer);
                ready!(timer.as_mut().poll(cx));
                let detail = "the client took too little of its answer for too long";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, detail)))
            }
        }
    }

    fn end_piece(&mut self) {
        self.piece_timer = None;
        self.taken = 0;
    }

    /// Reads what the client still sends, and drops it; to its end or to a limit.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = || (0, Box::pin(tokio::time::sleep(LINGER.1)));
        let (read, timer) = self.linger.get_or_insert_with(timer);
        let mut bytes = [0; 4 * 1024];
        while *read < LINGER.0 && timer.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => *read += buffer.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        self.unparsed = if self.activity.is_asked() {
            0
        } else {
            self.unparsed + read
        };
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.wrote(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called once all that there is was written: the client holds up nothing.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.end_piece();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        if self.unparsed >= HEAD_BYTES {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    /// A watched stream whose client has a buffer of so many bytes, and the client.
    fn stream(buffer: usize) -> (WatchedStream, Arc<Activity>, DuplexStream) {
        let (server, client) = tokio::io::duplex(buffer);
        let activity = Activity::new(Source::of("192.0.2.1:1"));
        (
            WatchedStream::new(Box::new(server), activity.clone()),
            activity,
            client,
        )
    }

    #[test]
    fn addresses_of_one_network_are_one_source() {
        let same = |a, b| Source::of(a) == Source::of(b);
        assert!(same("192.0.2.1:1", "192.0.2.1:2") && !same("192.0.2.1:1", "192.0.2.2:1"));
        assert!(same("[2001:db8::1]:1", "[2001:db8::2]:1"));
        assert!(!same("[2001:db8::1]:1", "[2001:db8:0:1::1]:1"));
        assert!(same("[::ffff:192.0.2.1]:1", "192.0.2.1:1"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up_and_one_that_takes_a_little_is_not() {
        let (mut server, _, _client) = stream(1_024);
        let began = Instant::now();
        let error = server
            .write_all(&[0; 2 * 1_024])
            .await
            .expect_err("too slow");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), PIECE_TIME.as_secs());

        let (mut server, _, mut client) = stream(1_024);
        let reading = async move {
            let mut read = [0; 1_024];
            while client.read_exact(&mut read).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let writing = async move {
            server
                .write_all(&[0; 200 * 1_024])
                .await
                .expect("a kilobyte a second goes on");
            drop(server);
        };
        let began = Instant::now();
        tokio::join!(reading, writing);
        assert!(began.elapsed() > PIECE_TIME * 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_a_byte_now_and_then_is_given_up() {
        let (mut server, _, mut client) = stream(1_024);
        tokio::spawn(async move {
            while client.read_u8().await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let error = server
            .write_all(&[0; 64 * 1_024])
            .await
            .expect_err("too slow");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_between_two_answers_is_no_slowness() {
        let (mut server, _, mut client) = stream(1_024);
        for _ in 0..3 {
            let mut answer = [0; 2 * 1_024];
            let written = async {
                server.write_all(&[0; 2 * 1_024]).await?;
                server.flush().await
            };
            let (written, read) = tokio::join!(written, client.read_exact(&mut answer));
            written.and(read).expect("taken");
            tokio::time::sleep(PIECE_TIME * 2).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_whom_is_known() {
        let (mut server, activity, mut client) = stream(1_024);
        assert!(matches!(activity.waits(), Some(Waits::Request(_))));
        assert!(activity.begin());
        assert_eq!(activity.waits(), None, "the node is at work");
        let writing = tokio::spawn(async move {
            server.write_all(&[0; 3 * 1_024]).await.expect("taken");
            server
        });
        tokio::time::sleep(SLOW / 2).await;
        assert_eq!(
            activity.waits(),
            None,
            "a client may take its time for a moment"
        );
        tokio::time::sleep(SLOW).await;
        assert!(matches!(activity.waits(), Some(Waits::Client(_))));
        client.read_exact(&mut [0; 3 * 1_024]).await.expect("read");
        let _server = writing.await.expect("written");
        assert_eq!(activity.waits(), None);
        activity.end();
        let idle = activity.waits().expect("it is idle");
        // A request that came since it was looked at is served.
        assert!(activity.begin());
        assert!(!activity.evict(idle));
        activity.end();
        assert!(activity.evict(idle));
        assert!(!activity.begin());
        activity.evicted().await;
    }
}
