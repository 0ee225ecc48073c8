//! One connection to the gateway, and one request at a time on it.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderValue, Method, Request, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName},
};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{Builder, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use notty_storage::model::{MessageId, Phone};
use sha2::{Digest, Sha256};

use super::{
    Answer,
    answer::{by_body, by_status},
    connect::{Connector, Tls},
    flagged::{Flag, Flagged},
};

/// Bytes of an answer's body, at most; a longer one is unreadable.
const ANSWER_BYTES: usize = 64 * 1024;
/// Bytes of an answer's head, at most.
const HEAD_BYTES: usize = 32 * 1024;

/// How the gateway is reached.
#[derive(Clone)]
pub struct GatewayOptions {
    /// Messages go to `{url}/{id}`; `http` or `https`.
    pub url: String,
    /// Sent as `Authorization: Bearer {token}`; none if empty.
    pub token: String,
    /// How long connecting may take, TLS included.
    pub connect_timeout: Duration,
    /// From the first byte written to the whole answer.
    pub timeout: Duration,
    /// Answers that leave open whether the message was taken.
    pub unsure_statuses: Vec<u16>,
}

/// The gateway: where it is and how it is spoken to.
pub struct Gateway {
    options: GatewayOptions,
    host: String,
    port: u16,
    path: String,
    host_header: HeaderValue,
    authorization: Option<HeaderValue>,
    tls: Option<Tls>,
    connector: Arc<dyn Connector>,
}

/// One message as it goes out.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Its id.
    pub id: MessageId,
    /// The body of the request.
    pub body: Bytes,
}

impl Envelope {
    /// For a message; the text is given as JSON, quotes included ([`Envelope::quote`]).
    pub fn new(id: MessageId, phone: Phone, quoted_text: &str) -> Self {
        use std::fmt::Write as _;
        let mut body = String::with_capacity(quoted_text.len() + 64);
        let digits = phone.digits();
        write!(
            body,
            r#"{{"id":{id},"phone":{digits},"text":{quoted_text}}}"#
        )
        .expect("writing to memory cannot fail");
        Self {
            id,
            body: Bytes::from(body),
        }
    }

    /// A text as JSON.
    pub fn quote(text: &str) -> String {
        serde_json::Value::from(text).to_string()
    }
}

/// Where a URL leads.
struct Place {
    is_tls: bool,
    host: String,
    port: u16,
    path: String,
    host_header: HeaderValue,
}

impl Place {
    fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("not a URL: {error}"))?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("a URL that starts with http:// or https:// is needed".to_owned()),
        };
        if uri.query().is_some() {
            return Err("a URL without a query is needed: the message's id follows it".to_owned());
        }
        let host = uri.host().ok_or("the URL has no host")?.to_owned();
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let authority = uri.authority().ok_or("the URL has no host")?.as_str();
        if authority.contains('@') {
            return Err("a URL without a password is needed: use gateway.token".to_owned());
        }
        let host_header = header(authority).map_err(|()| "the host cannot stand in a header")?;
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self {
            is_tls,
            host,
            port,
            path,
            host_header,
        })
    }
}

fn header(text: &str) -> Result<HeaderValue, ()> {
    HeaderValue::from_str(text).map_err(drop)
}

impl Gateway {
    /// For what the configuration says; an error names the option, and what is wrong with it.
    pub fn new(
        options: GatewayOptions,
        connector: Arc<dyn Connector>,
    ) -> Result<Self, (&'static str, String)> {
        let bearer = format!("Bearer {}", options.token);
        let mut authorization = (!options.token.is_empty())
            .then(|| header(&bearer))
            .transpose()
            .map_err(|()| ("token", "it cannot stand in a header".to_owned()))?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        let place = Place::parse(&options.url).map_err(|what| ("url", what))?;
        let tls = place.is_tls.then(|| Tls::new(&place.host)).transpose();
        let tls = tls.map_err(|what| ("url", what))?;
        let Place {
            host,
            port,
            path,
            host_header,
            ..
        } = place;
        Ok(Self {
            options,
            host,
            port,
            path,
            host_header,
            authorization,
            tls,
            connector,
        })
    }

    /// A number for this gateway and this account, the same wherever a postman of the cluster is
    /// configured so. Another token is another account, as far as anybody can tell; the token does not
    /// show in it. How the host is written, and a port that goes without saying, make no difference.
    pub fn identity(&self, cluster: &str) -> u64 {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let place = format!(
            "{scheme}://{}:{}{}",
            self.host.to_lowercase(),
            self.port,
            self.path
        );
        let mut hasher = Sha256::new_with_prefix("notty gateway and account");
        for part in [cluster, &place, &self.options.token] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let hash = hasher.finalize();
        hash.first_chunk()
            .map_or(0, |first| u64::from_be_bytes(*first))
    }

    fn request(&self, envelope: &Envelope) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(envelope.body.clone()));
        *request.method_mut() = Method::POST;
        let path = format!("{}/{}", self.path, envelope.id);
        *request.uri_mut() = path
            .parse()
            .expect("a path of a URL and a number is a path");
        let headers = request.headers_mut();
        headers.reserve(4);
        headers.insert(HOST, self.host_header.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        let key = HeaderValue::from(envelope.id.as_u64());
        headers.insert(HeaderName::from_static("idempotency-key"), key);
        request
    }

    async fn connect(&self) -> Option<Open> {
        let flag = Flag::default();
        let connecting = async {
            let stream = self.connector.connect(&self.host, self.port).await.ok()?;
            let stream = match &self.tls {
                Some(tls) => tls.wrap(stream).await.ok()?,
                None => stream,
            };
            let io = TokioIo::new(Flagged::new(stream, flag.clone()));
            let (sender, connection) = Builder::new()
                .max_buf_size(HEAD_BYTES)
                .handshake(io)
                .await
                .ok()?;
            Some(Open {
                sender,
                connection,
                flag: flag.clone(),
            })
        };
        tokio::time::timeout(self.options.connect_timeout, connecting)
            .await
            .ok()
            .flatten()
    }
}

/// An open connection.
struct Open {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<TokioIo<Flagged>, Full<Bytes>>,
    flag: Flag,
}

/// One connection to the gateway, opened when it is needed.
#[derive(Default)]
pub struct Slot {
    open: Option<Open>,
}

impl Slot {
    /// A slot without a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is a connection, as far as is known.
    pub fn is_connected(&self) -> bool {
        self.open.is_some()
    }

    /// Makes sure that there is a connection, so that connecting need not count against a
    /// message's time; false if there is none to be had. Nothing of a message is written.
    pub async fn ensure_connected(&mut self, gateway: &Gateway) -> bool {
        if let Some(open) = &mut self.open {
            // A connection that the gateway closed meanwhile is found out here.
            let ended = std::future::poll_fn(|cx| {
                let ended = Pin::new(&mut open.connection).poll(cx).is_ready();
                Poll::Ready(ended || !open.sender.is_ready())
            });
            if !ended.await {
                return true;
            }
        }
        self.open = gateway.connect().await;
        self.open.is_some()
    }

    /// Sends one message over the connection that there is, and waits for the answer. Where there
    /// is none, or it has ended, nothing is sent: connecting takes time, after which whether the
    /// message may still be sent must be looked at again.
    pub async fn send(&mut self, gateway: &Gateway, envelope: &Envelope) -> Answer {
        let Some(mut open) = self.open.take() else {
            return Answer::NotSent;
        };
        open.flag.clear();
        let exchange = exchange(&mut open, gateway, envelope);
        let answered = tokio::time::timeout(gateway.options.timeout, exchange).await;
        let flag = open.flag.clone();
        match answered {
            Ok(Some((answer, reusable))) => {
                if reusable {
                    self.open = Some(open);
                }
                answer
            }
            // Only once the connection is gone is it certain that nothing more is written.
            Ok(None) | Err(_) => {
                drop(open);
                if flag.is_set() {
                    Answer::Unsure
                } else {
                    Answer::NotSent
                }
            }
        }
    }
}

/// The answer and whether the connection may serve another request; none if there is no answer.
async fn exchange(
    open: &mut Open,
    gateway: &Gateway,
    envelope: &Envelope,
) -> Option<(Answer, bool)> {
    let Open {
        sender, connection, ..
    } = open;
    let request = gateway.request(envelope);
    let talk = async {
        let response = sender.send_request(request).await.ok()?;
        let (head, body) = response.into_parts();
        let by_status = by_status(head.status, &head.headers, &gateway.options.unsure_statuses);
        match (by_status, read_body(body).await) {
            (Some(answer), Some(_)) => Some((answer, true)),
            (None, Some(body)) => Some((by_body(&body), true)),
            // An answer that breaks off, or never ends, is none.
            (_, None) => None,
        }
    };
    drive(connection, talk).await
}

/// Runs a talk over a connection: both in this task, so that neither outlives it.
async fn drive<T>(
    connection: &mut Connection<TokioIo<Flagged>, Full<Bytes>>,
    talk: impl Future<Output = Option<T>>,
) -> Option<T> {
    let mut talk = pin!(talk);
    let mut ended = false;
    std::future::poll_fn(|cx| {
        // The talk first: it hands the request over and takes the answer out.
        if let Poll::Ready(done) = talk.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        if !ended && Pin::new(&mut *connection).poll(cx).is_ready() {
            ended = true;
        }
        // What the connection just read may be what the talk waits for; and once the connection
        // has ended, the talk ends too.
        talk.as_mut().poll(cx)
    })
    .await
}

async fn read_body(mut body: Incoming) -> Option<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.ok()?.into_data() {
            if bytes.len() + data.len() > ANSWER_BYTES {
                return None;
            }
            bytes.extend_from_slice(&data);
        }
    }
    Some(bytes.freeze())
}
