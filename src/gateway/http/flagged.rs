//! A stream that notes when a byte of a request goes out.
//!
//! It lies below everything else, below TLS too: no byte of a request leaves the machine unless one is
//! written here. Bytes that TLS writes by itself set the flag as well, which only ever makes the answer
//! less certain; a handshake is over before the flag is cleared for the first request.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{alert::is_alert_record, connect::ByteStream};

/// Bytes of a TLS record with an alert, all of which must be there to know it.
const ALERT_BYTES: usize = 7;

/// Marks that the layers of one connection share.
#[derive(Debug, Default)]
struct ConnectionMarks {
    /// A byte was written since the flag was cleared.
    is_set: AtomicBool,
    /// The far end has proved that it read nothing of the request.
    is_unread: AtomicBool,
    /// The next read asks the system for news first.
    looks: AtomicBool,
}

/// A flag that the first byte sets which is written after it was cleared.
#[derive(Clone, Debug, Default)]
pub(super) struct Flag(Arc<ConnectionMarks>);

impl Flag {
    pub(super) fn clear(&self) {
        self.0.is_set.store(false, Ordering::Relaxed);
    }

    /// True if the gateway may have read a part of the request: a byte went out, and nothing proves that
    /// it was not read.
    pub(super) fn may_be_read(&self) -> bool {
        self.0.is_set.load(Ordering::Relaxed) && !self.0.is_unread.load(Ordering::Relaxed)
    }

    /// Notes a proof that the far end read nothing of the request.
    pub(super) fn set_unread(&self) {
        self.0.is_unread.store(true, Ordering::Relaxed);
    }

    /// Makes the next reads ask the system for news, or not. For idle connections alone: news while an
    /// answer is awaited would be that answer.
    pub(super) fn set_look(&self, looks: bool) {
        self.0.looks.store(looks, Ordering::Relaxed);
    }

    fn looks(&self) -> bool {
        self.0.looks.load(Ordering::Relaxed)
    }
}

/// The stream at the bottom of a connection.
pub(super) struct Flagged {
    stream: Box<dyn ByteStream>,
    flag: Flag,
    /// The first bytes that came; `None` once they are no matter, as under TLS.
    first: Option<Vec<u8>>,
}

impl Flagged {
    /// A stream whose bytes are HTTP itself.
    pub(super) fn plain(stream: Box<dyn ByteStream>, flag: Flag) -> Self {
        let first = Some(Vec::new());
        Self {
            stream,
            flag,
            first,
        }
    }

    /// A stream under TLS.
    pub(super) fn under_tls(stream: Box<dyn ByteStream>, flag: Flag) -> Self {
        Self {
            stream,
            flag,
            first: None,
        }
    }

    /// Set only by bytes that went out: a write that fails has written nothing.
    fn note(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(1..)) = written {
            self.flag.0.is_set.store(true, Ordering::Relaxed);
        }
    }

    /// Looks at the first bytes of a connection: a TLS server that is asked in clear answers by an alert,
    /// and has read no request.
    fn note_first(&mut self, bytes: &[u8]) {
        let Some(first) = &mut self.first else {
            return;
        };

        // They may come one at a time, and a part of an alert proves nothing.
        let missing = ALERT_BYTES - first.len();
        first.extend_from_slice(&bytes[..bytes.len().min(missing)]);
        if first.len() < ALERT_BYTES {
            return;
        }

        // Before the layers above see these bytes, and ask the flag.
        if is_alert_record(first) {
            self.flag.set_unread();
        }
        self.first = None;
    }
}

impl AsyncRead for Flagged {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Whatever came on an idle connection ends it: to the layers above it looks like its end.
        if self.flag.looks() && self.stream.has_news() {
            return Poll::Ready(Ok(()));
        }

        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if self.first.is_some() {
            self.note_first(&buf.filled()[before..]);
        }
        read
    }
}

impl AsyncWrite for Flagged {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl ByteStream for Flagged {}
