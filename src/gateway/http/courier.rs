//! One connection to the gateway, and one request at a time on it.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{Connection, SendRequest},
};
use hyper_util::rt::TokioIo;

use super::{
    super::{Courier, Envelope, GatewayOutcome, PreparedCourier},
    HttpGateway,
    answer::{by_body, by_status},
    flagged::{Flag, Flagged},
};

/// Bytes of an answer's body, at most; a longer one is unreadable.
const ANSWER_BYTES: usize = 64 * 1024;

/// The HTTP connection below a courier.
type HttpConnection = Connection<TokioIo<Flagged>, Full<Bytes>>;

/// An open connection to the gateway.
pub(super) struct OpenConnection {
    pub(super) sender: SendRequest<Full<Bytes>>,
    pub(super) connection: HttpConnection,
    /// Set by the first byte that is written.
    pub(super) flag: Flag,
}

impl OpenConnection {
    /// Finds out whether the gateway has closed the connection since its last request.
    async fn has_ended(&mut self) -> bool {
        std::future::poll_fn(|cx| {
            let ended = Pin::new(&mut self.connection).poll(cx).is_ready();
            Poll::Ready(ended || !self.sender.is_ready())
        })
        .await
    }
    /// Closes a connection whose request got no answer. Returns whether anything of it may have gone
    /// out.
    fn give_up(self) -> GatewayOutcome {
        let flag = self.flag.clone();
        // Only once the connection is gone is it certain that nothing more is written.
        drop(self);
        if flag.is_set() {
            GatewayOutcome::Unsure
        } else {
            GatewayOutcome::NotSent
        }
    }
}

/// A courier with one connection, which is opened when it is needed.
pub struct HttpCourier {
    gateway: Arc<HttpGateway>,
    open: Option<OpenConnection>,
}

impl HttpCourier {
    /// A courier without a connection.
    pub(super) fn new(gateway: Arc<HttpGateway>) -> Self {
        Self {
            gateway,
            open: None,
        }
    }

    async fn is_open(&mut self) -> bool {
        match &mut self.open {
            Some(open) => !open.has_ended().await,
            None => false,
        }
    }
}

impl Courier for HttpCourier {
    type PreparedCourier<'c> = PreparedHttpCourier<'c>;

    fn is_connected(&self) -> bool {
        self.open.is_some()
    }

    async fn prepare(&mut self) -> Option<PreparedHttpCourier<'_>> {
        if !self.is_open().await {
            self.open = self.gateway.connect().await;
        }

        self.open
            .is_some()
            .then_some(PreparedHttpCourier { courier: self })
    }
}

/// A courier whose connection is open.
pub struct PreparedHttpCourier<'c> {
    courier: &'c mut HttpCourier,
}

impl PreparedCourier for PreparedHttpCourier<'_> {
    async fn send(self, envelope: Envelope<'_>) -> GatewayOutcome {
        let HttpCourier { gateway, open } = self.courier;
        // Whoever drops this future closes the connection too: half a request must not be followed by
        // another one.
        let Some(mut connected) = open.take() else {
            return GatewayOutcome::NotSent;
        };
        connected.flag.clear();
        let exchange = exchange(&mut connected, gateway, &envelope);
        let answered = tokio::time::timeout(gateway.options.timeout, exchange).await;

        if let Ok(Some(outcome)) = answered {
            *open = Some(connected);
            return outcome;
        }

        connected.give_up()
    }
}

/// Sends one request; `None` if no whole answer came, and the connection cannot serve another.
async fn exchange(
    open: &mut OpenConnection,
    gateway: &HttpGateway,
    envelope: &Envelope<'_>,
) -> Option<GatewayOutcome> {
    let request = gateway.requests.request(envelope);
    let OpenConnection {
        sender, connection, ..
    } = open;

    let talk = async {
        let response = sender.send_request(request).await.ok()?;
        let (head, body) = response.into_parts();
        let unsure_statuses = &gateway.options.unsure_statuses;
        let by_status = by_status(head.status, &head.headers, unsure_statuses);
        // An answer that breaks off, or never ends, is none, whatever its status.
        let body = read_body(body).await?;
        Some(by_status.unwrap_or_else(|| by_body(&body)))
    };
    drive(connection, talk).await
}

/// Runs a talk over a connection: both in this task, so that neither outlives it.
async fn drive<T>(
    connection: &mut HttpConnection,
    talk: impl Future<Output = Option<T>>,
) -> Option<T> {
    let mut talk = pin!(talk);
    let mut has_ended = false;

    std::future::poll_fn(|cx| {
        // The talk first: it hands the request over and takes the answer out.
        if let Poll::Ready(done) = talk.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if !has_ended && Pin::new(&mut *connection).poll(cx).is_ready() {
            has_ended = true;
        }

        // The connection may just have read what the talk waits for; and once the connection has ended,
        // the talk ends too.
        talk.as_mut().poll(cx)
    })
    .await
}

async fn read_body(mut body: Incoming) -> Option<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers are no part of the answer.
        if let Ok(data) = frame.ok()?.into_data() {
            if bytes.len() + data.len() > ANSWER_BYTES {
                return None;
            }
            bytes.extend_from_slice(&data);
        }
    }
    Some(bytes.freeze())
}
