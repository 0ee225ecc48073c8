//! One open connection to the gateway: whether another request may use it, and what became of one that
//! got no answer.
//!
//! A connection does not stay good while it is idle. The gateway may close it, which the system knows at
//! once; or something on the way, such as a balancer or a NAT, forgets it without a word, and the next
//! request would be lost. So it is used only while it is young, and closed by itself after that. Its age is
//! measured by the boot clock, which goes on while the machine sleeps, as the far end's clock does.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use notty_raft::Clock;
use tokio::time::{Instant, Sleep};

use super::{super::GatewayOutcome, connect::ByteStream, flagged::Flag};

/// Bytes of an answer's head, at most.
const HEAD_BYTES: usize = 32 * 1024;
/// Idle time after which the system is asked for news before a request. Below that the runtime has just
/// read from the connection, and a message at full rate costs no call for it.
const LOOK_AFTER: Duration = Duration::from_millis(1);

/// The HTTP connection below a courier.
pub(super) type HttpConnection = Connection<TokioIo<Box<dyn ByteStream>>, Full<Bytes>>;

/// An open connection to the gateway.
pub(super) struct OpenConnection {
    pub(super) sender: SendRequest<Full<Bytes>>,
    pub(super) connection: HttpConnection,
    /// Set by the first byte that is written.
    pub(super) flag: Flag,
    /// Longest idle time before it ends.
    limit: Duration,
    /// The time of the last answer, or of connecting, by the boot clock.
    idle_since: Duration,
    /// Ends the connection when it was idle for too long. It is set again when it fires, not with each
    /// request, so that it costs little at full rate. It stands still while the machine sleeps, and may be
    /// late therefore.
    timer: Pin<Box<Sleep>>,
}

impl OpenConnection {
    /// A connection over a stream, whose lowest layer sets the flag, at a time of the boot clock.
    pub(super) async fn over(
        stream: Box<dyn ByteStream>,
        flag: Flag,
        idle_timeout: Duration,
        now: Duration,
    ) -> hyper::Result<Self> {
        // Bounded, so that a head without an end cannot fill the memory.
        let (sender, connection) = Builder::new()
            .max_buf_size(HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;

        Ok(Self {
            sender,
            connection,
            flag,
            limit: idle_timeout,
            idle_since: now,
            timer: Box::pin(tokio::time::sleep(idle_timeout)),
        })
    }

    /// Notes the end of an exchange at a time, with the longest idle time that the gateway named. Returns
    /// whether the connection can serve another request.
    pub(super) fn answered(
        &mut self,
        kept_for: Option<Duration>,
        idle_timeout: Duration,
        now: Duration,
    ) -> bool {
        self.idle_since = now;
        let limit = kept_for.map_or(self.limit, |kept_for| kept_for.min(idle_timeout));
        // The timer may be late for a shorter time, and sets itself again for a longer one.
        if limit < self.limit {
            self.timer.as_mut().reset(Instant::now() + limit);
        }
        self.limit = limit;
        !limit.is_zero()
    }

    /// True if the connection may serve a request at a time: it is young, and has not ended.
    pub(super) async fn is_good(&mut self, now: Duration) -> bool {
        let idle = now.saturating_sub(self.idle_since);
        if idle >= self.limit {
            return false;
        }

        self.flag.set_look(idle >= LOOK_AFTER);
        let has_ended = poll_fn(|cx| Poll::Ready(self.has_ended(cx))).await;
        self.flag.set_look(false);
        !has_ended
    }

    /// Waits until the connection ends, or has been idle for too long.
    pub(super) async fn until_over(&mut self, clock: &dyn Clock) {
        poll_fn(|cx| {
            if self.has_ended(cx) {
                return Poll::Ready(());
            }
            self.poll_timer(cx, clock)
        })
        .await
    }

    /// Finds out whether the connection has ended since its last request.
    fn has_ended(&mut self, cx: &mut Context<'_>) -> bool {
        Pin::new(&mut self.connection).poll(cx).is_ready() || !self.sender.is_ready()
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, clock: &dyn Clock) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let idle = clock.boot().saturating_sub(self.idle_since);
            let left = self.limit.saturating_sub(idle);
            if left.is_zero() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(Instant::now() + left);
        }
        Poll::Pending
    }

    /// Closes a connection whose request got no answer. Returns whether the gateway may have read any of
    /// it.
    pub(super) fn give_up(self) -> GatewayOutcome {
        let flag = self.flag.clone();
        // Only once the connection is gone is it certain that nothing more is written.
        drop(self);
        if flag.may_be_read() {
            GatewayOutcome::Unsure
        } else {
            GatewayOutcome::NotSent
        }
    }
}
