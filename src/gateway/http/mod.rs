//! The HTTP gateway: one request a message, on connections of its own.
//!
//! There is one request at a time on a connection, HTTP/1.1, no redirects, no proxies, no retries. A
//! flag under the HTTP layer is set by the first byte of a request: "not sent" is said only while that
//! flag is unset and the connection is gone, or where the gateway proved that it read nothing.
//! [`address`] reads the URL, [`request`] builds the requests, [`connect`] and [`tcp`] make connections,
//! [`open`] looks after one, [`courier`] sends over it, [`answer`] holds the meaning of each answer,
//! [`alert`] that of TLS alerts, and [`failure`] has the words for the log.

mod address;
mod alert;
mod answer;
mod connect;
mod courier;
mod failure;
mod flagged;
mod open;
mod request;
mod tcp;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use notty_raft::{Clock, SystemClock};
use sha2::{Digest, Sha256};

use self::{
    address::GatewayUrl,
    connect::GatewayTls,
    courier::HttpCourier,
    failure::{Failure, with_causes},
    flagged::{Flag, Flagged},
    open::OpenConnection,
    request::RequestMaker,
};
use super::Gateway;

pub use connect::{ByteStream, Connecting, Connector};
pub use tcp::TcpConnector;

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
    /// Longest idle time of a connection that is used again; zero: each request has its own.
    pub idle_timeout: Duration,
    /// Statuses that leave open whether the message was taken.
    pub unsure_statuses: Vec<u16>,
}

/// An error of any of the layers of a connection.
type ConnectError = Box<dyn std::error::Error + Send + Sync>;

/// A gateway over HTTP, and an account there.
pub struct HttpGateway {
    options: GatewayOptions,
    url: GatewayUrl,
    requests: RequestMaker,
    tls: Option<GatewayTls>,
    connector: Arc<dyn Connector>,
    /// Measures the age of connections.
    clock: Arc<dyn Clock>,
}

impl HttpGateway {
    /// Reads the options. An error names the option, and its fault.
    pub fn new(
        options: GatewayOptions,
        connector: Arc<dyn Connector>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, (&'static str, String)> {
        let url = GatewayUrl::parse(&options.url).map_err(|fault| ("url", fault))?;
        let requests = RequestMaker::new(&url, &options.token).map_err(|fault| ("token", fault))?;
        let tls = tls_of(&url).map_err(|fault| ("url", fault))?;

        // Nothing is connected yet: a gateway that is down does not keep a node from starting.
        Ok(Self {
            options,
            url,
            requests,
            tls,
            connector,
            clock,
        })
    }

    /// The same with the network and the clocks of this machine.
    pub fn on_this_machine(options: GatewayOptions) -> Result<Self, (&'static str, String)> {
        let connector = Arc::new(TcpConnector::default());
        Self::new(options, connector, Arc::new(SystemClock))
    }

    async fn connect(&self) -> Result<OpenConnection, Failure> {
        let within = self.options.connect_timeout;
        match tokio::time::timeout(within, self.open()).await {
            Ok(opened) => opened.map_err(|error| Failure::NotConnected(with_causes(&*error))),
            Err(_) => Err(not_connected_within(within)),
        }
    }

    async fn open(&self) -> Result<OpenConnection, ConnectError> {
        let GatewayUrl { host, port, .. } = &self.url;
        let within = self.options.connect_timeout;
        let stream = self.connector.connect(host, *port, within).await?;

        // The flag lies below TLS, and is cleared before each request: a handshake is no request.
        let flag = Flag::default();
        let stream = self.flagged(stream, &flag).await?;
        let (idle_timeout, now) = (self.options.idle_timeout, self.clock.boot());
        Ok(OpenConnection::over(stream, flag, idle_timeout, now).await?)
    }

    /// Lays the flag over a stream, and TLS over the flag.
    async fn flagged(
        &self,
        stream: Box<dyn ByteStream>,
        flag: &Flag,
    ) -> std::io::Result<Box<dyn ByteStream>> {
        match &self.tls {
            Some(tls) => {
                let stream = Flagged::under_tls(stream, flag.clone());
                tls.wrap(stream, flag.clone()).await
            }
            None => Ok(Box::new(Flagged::plain(stream, flag.clone()))),
        }
    }
}

/// TLS for a URL that asks for it.
fn tls_of(url: &GatewayUrl) -> Result<Option<GatewayTls>, String> {
    url.is_tls.then(|| GatewayTls::new(&url.host)).transpose()
}

fn not_connected_within(time: Duration) -> Failure {
    let why = format!("no connection within {} ms", time.as_millis());
    Failure::NotConnected(why)
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
