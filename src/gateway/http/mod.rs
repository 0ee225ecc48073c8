//! The HTTP gateway: one request a message, on connections of its own.
//!
//! There is one request at a time on a connection, HTTP/1.1, no redirects, no proxies, no retries. A
//! flag under the HTTP layer is set by the first byte of a request: "not sent" is said only while that
//! flag is unset and the connection is gone. [`address`] reads the URL, [`request`] builds the
//! requests, [`connect`] makes connections, [`courier`] sends over one, and [`answer`] holds the meaning
//! of each answer.

mod address;
mod answer;
mod connect;
mod courier;
mod flagged;
mod request;

use std::{sync::Arc, time::Duration};

use hyper::client::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};

use self::{
    address::GatewayUrl,
    connect::GatewayTls,
    courier::{HttpCourier, OpenConnection},
    flagged::{Flag, Flagged},
    request::RequestMaker,
};
use super::Gateway;

pub use connect::{ByteStream, Connecting, Connector, TcpConnector};

/// Bytes of an answer's head, at most.
const HEAD_BYTES: usize = 32 * 1024;

/// The settings of an HTTP gateway.
#[derive(Clone)]
pub struct GatewayOptions {
    /// Messages go to `{url}/{id}`; `http` or `https`.
    pub url: String,
    /// Sent as `Authorization: Bearer {token}`, unless it is empty.
    pub token: String,
    /// Time for connecting, TLS included.
    pub connect_timeout: Duration,
    /// Time from the first byte written to the whole answer.
    pub timeout: Duration,
    /// Statuses that leave open whether the message was taken.
    pub unsure_statuses: Vec<u16>,
}

/// A gateway over HTTP, and an account there.
pub struct HttpGateway {
    options: GatewayOptions,
    url: GatewayUrl,
    requests: RequestMaker,
    tls: Option<GatewayTls>,
    connector: Arc<dyn Connector>,
}

impl HttpGateway {
    /// Reads the options. An error names the option, and its fault.
    pub fn new(
        options: GatewayOptions,
        connector: Arc<dyn Connector>,
    ) -> Result<Self, (&'static str, String)> {
        let url = GatewayUrl::parse(&options.url).map_err(|fault| ("url", fault))?;
        let requests = RequestMaker::new(&url, &options.token).map_err(|fault| ("token", fault))?;
        let tls = url.is_tls.then(|| GatewayTls::new(&url.host));
        let tls = tls.transpose().map_err(|fault| ("url", fault))?;

        // Nothing is connected yet: a gateway that is down does not keep a node from starting.
        Ok(Self {
            options,
            url,
            requests,
            tls,
            connector,
        })
    }

    async fn connect(&self) -> Option<OpenConnection> {
        let connecting = tokio::time::timeout(self.options.connect_timeout, self.open());
        connecting.await.ok().flatten()
    }

    async fn stream(&self) -> std::io::Result<Box<dyn ByteStream>> {
        let plain = self
            .connector
            .connect(&self.url.host, self.url.port)
            .await?;
        match &self.tls {
            Some(tls) => tls.wrap(plain).await,
            None => Ok(plain),
        }
    }

    async fn open(&self) -> Option<OpenConnection> {
        let stream = self.stream().await.ok()?;
        // The flag lies above TLS: a handshake is no request.
        let flag = Flag::default();
        let io = TokioIo::new(Flagged::new(stream, flag.clone()));
        let (sender, connection) = Builder::new()
            .max_buf_size(HEAD_BYTES)
            .handshake(io)
            .await
            .ok()?;
        Some(OpenConnection {
            sender,
            connection,
            flag,
        })
    }
}

impl Gateway for HttpGateway {
    type Courier = HttpCourier;

    /// Another token is another account, as far as anybody can tell; the token does not show in the
    /// number. The writing of the host, and a port that goes without saying, make no difference.
    fn identity(&self, cluster: &str) -> u64 {
        let place = self.url.normal_form();
        let mut hasher = Sha256::new_with_prefix("notty gateway and account");
        for part in [cluster, &place, &self.options.token] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }

        let hash = hasher.finalize();
        hash.first_chunk()
            .map_or(0, |first| u64::from_be_bytes(*first))
    }

    fn courier(self: &Arc<Self>) -> HttpCourier {
        HttpCourier::new(self.clone())
    }
}
