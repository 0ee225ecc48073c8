//! One HTTP request over the simulated network, on a connection of its own.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use turmoil::net::TcpStream;

/// How long a client waits for an answer.
const ANSWER: Duration = Duration::from_secs(15);
/// How long a client tries to connect.
const CONNECT: Duration = Duration::from_secs(2);

/// What a client asks.
#[derive(Clone, Debug)]
pub struct Ask {
    /// How.
    pub method: Method,
    /// What.
    pub path: String,
    /// The content's type and the content.
    pub body: Option<(&'static str, String)>,
    /// Its `Idempotency-Key`.
    pub key: Option<String>,
}

/// What a client was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    /// The status.
    pub status: StatusCode,
    /// The position that it reflects.
    pub index: Option<u64>,
    /// The body.
    pub body: String,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Nothing was sent.
    NotSent,
    /// It may have been taken.
    Unanswered,
}

/// Asks a host.
pub async fn ask(host: &str, token: &str, ask: &Ask) -> Result<Got, Lost> {
    let connecting = async {
        let stream = TcpStream::connect((host, 8080)).await.ok()?;
        hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .ok()
    };
    let connected = tokio::time::timeout(CONNECT, connecting)
        .await
        .ok()
        .flatten();
    let (mut sender, connection) = connected.ok_or(Lost::NotSent)?;
    let driver = tokio::spawn(connection);
    let answered = tokio::time::timeout(ANSWER, async {
        let response = sender.send_request(request(host, token, ask)).await.ok()?;
        got(response).await
    });
    let answered = answered.await.ok().flatten();
    driver.abort();
    answered.ok_or(Lost::Unanswered)
}

fn request(host: &str, token: &str, ask: &Ask) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(ask.method.clone()).uri(&ask.path);
    request = request
        .header("host", host)
        .header("authorization", format!("Bearer {token}"));
    if let Some((kind, _)) = &ask.body {
        request = request.header("content-type", *kind);
    }
    if let Some(key) = &ask.key {
        request = request.header("idempotency-key", key);
    }
    let body = ask
        .body
        .as_ref()
        .map_or_else(Bytes::new, |(_, body)| body.clone().into());
    request
        .body(Full::new(body))
        .expect("all of its parts are valid")
}

async fn got(response: hyper::Response<Incoming>) -> Option<Got> {
    let status = response.status();
    let index = response.headers().get("notty-index");
    let index = index.and_then(|value| value.to_str().ok()?.parse().ok());
    let body = response.into_body().collect().await.ok()?.to_bytes();
    Some(Got {
        status,
        index,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
