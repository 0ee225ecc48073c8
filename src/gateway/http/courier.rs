//! A courier: one connection to the gateway, and one request at a time on it.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::response::Parts;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{
    super::{Courier, Envelope, GatewayOutcome, PreparedCourier},
    HttpGateway,
    answer::keep_alive,
    failure::{Failure, with_causes},
    open::{HttpConnection, OpenConnection},
    own::OwnSpeech,
    speech::Speech,
};

/// Bytes of an answer's body, at most; a longer one is unreadable.
const ANSWER_BYTES: usize = 64 * 1024;

/// A courier with one connection, which is opened when it is needed.
pub struct HttpCourier<S = OwnSpeech> {
    gateway: Arc<HttpGateway<S>>,
    open: Option<OpenConnection>,
    /// The reason of the last outcome that was not good.
    failure: Option<Failure>,
}

impl<S> HttpCourier<S> {
    /// A courier without a connection.
    pub(super) fn new(gateway: Arc<HttpGateway<S>>) -> Self {
        Self {
            gateway,
            open: None,
            failure: None,
        }
    }

    async fn is_open(&mut self) -> bool {
        match &mut self.open {
            Some(open) => open.is_good(self.gateway.clock.boot()).await,
            None => false,
        }
    }

    /// True while there is a connection, also one that has ended unnoticed.
    #[cfg(test)]
    pub(super) fn is_connected(&self) -> bool {
        self.open.is_some()
    }

    async fn connect(&mut self) -> bool {
        // The old one first: it is no longer needed, and the gateway may count connections.
        self.open = None;
        match self.gateway.connect().await {
            Ok(open) => self.open = Some(open),
            Err(failure) => self.failure = Some(failure),
        }
        self.open.is_some()
    }
}

impl<S: Speech> Courier for HttpCourier<S> {
    type PreparedCourier<'c> = PreparedHttpCourier<'c, S>;

    async fn rest(&mut self) {
        if let Some(open) = &mut self.open {
            open.until_over(&*self.gateway.clock).await;
            self.open = None;
        }
    }

    async fn prepare(&mut self) -> Option<PreparedHttpCourier<'_, S>> {
        if !self.is_open().await && !self.connect().await {
            return None;
        }
        let now = Instant::now();
        Some(PreparedHttpCourier { courier: self, now })
    }

    fn describe_failure(&self, envelope: &Envelope<'_>) -> Option<String> {
        let failure = self.failure.as_ref()?;
        Some(failure.describe(envelope, self.gateway.speech.secrets()))
    }
}

/// A courier whose connection is open.
pub struct PreparedHttpCourier<'c, S = OwnSpeech> {
    courier: &'c mut HttpCourier<S>,
    /// The time of preparing: the gateway's time begins here.
    now: Instant,
}

impl<S: Speech> PreparedCourier for PreparedHttpCourier<'_, S> {
    async fn send(self, envelope: Envelope<'_>) -> GatewayOutcome {
        let HttpCourier {
            gateway,
            open,
            failure,
        } = self.courier;
        // Whoever drops this future closes the connection too: half a request must not be followed by
        // another one.
        let Some(mut connected) = open.take() else {
            return GatewayOutcome::NotSent;
        };
        // Before the first byte of this message: the handshake or the last one set the flag.
        connected.flag.clear();

        let times = &gateway.times;
        let exchange = exchange(&mut connected, gateway, &envelope);
        let answered = tokio::time::timeout_at(self.now + times.answer, exchange).await;
        match answered.unwrap_or(Err(Failure::TimedOut)) {
            Ok(answer) => {
                let now = gateway.clock.boot();
                if connected.answered(answer.kept_for, times.idle, now) {
                    *open = Some(connected);
                }
                if answer.outcome != GatewayOutcome::Done {
                    *failure = Some(answer.failure);
                }
                answer.outcome
            }
            Err(why) => {
                *failure = Some(why);
                connected.give_up()
            }
        }
    }
}

/// A whole answer of the gateway.
struct GatewayAnswer {
    outcome: GatewayOutcome,
    /// Longest idle time of the connection, if the gateway named one.
    kept_for: Option<Duration>,
    /// The answer in the form for the log.
    failure: Failure,
}

/// Sends one request. Without a whole answer the connection cannot serve another.
async fn exchange<S: Speech>(
    open: &mut OpenConnection,
    gateway: &HttpGateway<S>,
    envelope: &Envelope<'_>,
) -> Result<GatewayAnswer, Failure> {
    let request = gateway.speech.request(envelope);
    let OpenConnection {
        sender, connection, ..
    } = open;

    let talk = async {
        let sent = sender.send_request(request).await;
        let response = sent.map_err(broken)?;
        let (head, body) = response.into_parts();

        // An answer that breaks off, or never ends, is none, whatever its status.
        let body = read_body(body).await?;
        Ok(whole_answer(&gateway.speech, &head, body, envelope))
    };
    drive(connection, talk).await
}

/// The meaning of an answer that came whole.
fn whole_answer(
    speech: &impl Speech,
    head: &Parts,
    body: Bytes,
    envelope: &Envelope<'_>,
) -> GatewayAnswer {
    let verdict = speech.judge(head, &body, envelope);
    let failure = Failure::Answer {
        status: head.status.as_u16(),
        why: verdict.why.map(str::to_owned),
        body,
    };
    GatewayAnswer {
        outcome: verdict.outcome,
        kept_for: keep_alive(&head.headers),
        failure,
    }
}

fn broken(error: hyper::Error) -> Failure {
    Failure::Broken(with_causes(&error))
}

fn too_long() -> Failure {
    Failure::Broken(format!(
        "the body of the answer is longer than {ANSWER_BYTES} bytes"
    ))
}

/// Runs a talk over a connection: both in this task, so that neither outlives it.
async fn drive<T>(connection: &mut HttpConnection, talk: impl Future<Output = T>) -> T {
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

async fn read_body(mut body: Incoming) -> Result<Bytes, Failure> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // Trailers are no part of the answer.
        let Ok(data) = frame.map_err(broken)?.into_data() else {
            continue;
        };

        // Not cut but refused: the end of a body may change its meaning.
        if bytes.len() + data.len() > ANSWER_BYTES {
            return Err(too_long());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}
