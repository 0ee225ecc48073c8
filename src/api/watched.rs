//! The stream and the bodies of a connection, which note what the client does.
//!
//! [`WatchedStream`] notes what the client takes, and ends a connection whose client takes too
//! little of its answer. [`WatchedRequest`] notes when the body of a request is awaited,
//! [`WatchedResponse`] when an answer has ended. Nothing is decided here about other connections.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use notty_raft::Io;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use super::activity::Activity;

/// The largest head of a request, in bytes.
pub(super) const HEAD_BYTES: usize = 32 * 1024;
/// Bytes of an answer that a client must take within [`PIECE_TIME`], unless less is left.
const PIECE: usize = 16 * 1024;
/// Time for one piece: a download of a kilobyte a second goes on.
const PIECE_TIME: Duration = Duration::from_secs(20);
/// Bytes that are still read, at most, after a head that was refused. If the connection closed while
/// the client still sends, the client would be reset and never see the answer.
const LINGER_BYTES: usize = 1024 * 1024;
/// Time for the bytes after a head that was refused.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// The body of a request; notes when more of it is awaited.
pub(super) struct WatchedRequest {
    body: Incoming,
    activity: Arc<Activity>,
}

impl WatchedRequest {
    /// Watches the body of one request of a connection.
    pub(super) fn new(body: Incoming, activity: Arc<Activity>) -> Self {
        Self { body, activity }
    }
}

impl Drop for WatchedRequest {
    fn drop(&mut self) {
        self.activity.uploads(false);
    }
}

impl HttpBody for WatchedRequest {
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

/// The body of an answer; notes its end when it is dropped.
pub(super) struct WatchedResponse {
    body: Body,
    activity: Arc<Activity>,
}

impl WatchedResponse {
    /// Watches the answer to one request of a connection.
    pub(super) fn new(body: Body, activity: Arc<Activity>) -> Self {
        Self { body, activity }
    }

    /// Replaces the body, once the real one is known.
    pub(super) fn set(&mut self, body: Body) {
        self.body = body;
    }
}

impl Drop for WatchedResponse {
    fn drop(&mut self) {
        self.activity.end();
    }
}

impl HttpBody for WatchedResponse {
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

/// The bytes that are read from a client after its head was refused.
struct Linger {
    bytes: usize,
    timer: Pin<Box<Sleep>>,
}

impl Linger {
    fn begin() -> Self {
        Self {
            bytes: 0,
            timer: Box::pin(tokio::time::sleep(LINGER_TIME)),
        }
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
    /// Bytes read since the head of the last request was complete.
    unparsed: usize,
    /// Present once the connection closes after a head that was refused.
    linger: Option<Linger>,
}

impl WatchedStream {
    /// Watches the stream of one connection.
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

    /// Notes the outcome of a write. Fails once the client has not taken the present piece in time.
    fn wrote(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.note_taken(bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),

            Poll::Pending => {
                // From now on the client counts as the one that is waited for.
                self.activity.blocks();
                ready!(self.poll_piece_timer(cx));
                let detail = "the client took too little of its answer for too long";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, detail)))
            }
        }
    }

    fn note_taken(&mut self, bytes: usize) {
        self.activity.took();
        self.taken += bytes;
        if self.taken >= PIECE {
            self.end_piece();
        }
    }

    /// The timer starts with the first wait of a piece, so that the node's own pauses between two
    /// answers do not count against the client.
    fn poll_piece_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let start = || Box::pin(tokio::time::sleep(PIECE_TIME));
        self.piece_timer.get_or_insert_with(start).as_mut().poll(cx)
    }

    fn end_piece(&mut self) {
        self.piece_timer = None;
        self.taken = 0;
    }

    /// Reads and drops what the client still sends, to its end or to a limit.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger.get_or_insert_with(Linger::begin);
        let mut bytes = [0; 4 * 1024];
        while linger.bytes < LINGER_BYTES && linger.timer.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => linger.bytes += buffer.filled().len(),
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

        // While a request is being answered, the bytes belong to its body.
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

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        // All that there is was written: the client holds up nothing, however small the piece.
        self.end_piece();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        // hyper has refused a head of this size; the client may still be sending it.
        if self.unparsed >= HEAD_BYTES {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
