//! The HTTP gateway: one request a message, on connections of its own.
//!
//! There is one request at a time on a connection, HTTP/1.1, no redirects, no proxies, no retries. A
//! flag under the HTTP layer is set by the first byte of a request: "not sent" is said only while that
//! flag is unset and the connection is gone, or where the gateway proved that it read nothing.
//! [`address`] reads the URL, [`connect`] and [`tcp`] make connections, [`open`] looks after one,
//! [`courier`] sends over it, [`alert`] holds the meaning of TLS alerts, and [`failure`] has the words for
//! the log. Requests and answers are a [`speech`]: [`own`] is the service's own, with [`request`] and
//! [`answer`]; [`provider`] is that of a profile.

mod address;
mod alert;
mod answer;
mod connect;
mod courier;
mod failure;
mod flagged;
mod open;
mod own;
pub mod provider;
mod request;
mod secret_forms;
mod speech;
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
};
use super::Gateway;

pub use connect::{ByteStream, Connecting, Connector};
pub use own::OwnSpeech;
pub use speech::{AnswerVerdict, Speech};
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

/// Longest times of a gateway over HTTP.
#[derive(Clone, Copy, Debug)]
pub struct HttpTimes {
    /// Time for connecting, TLS included.
    pub connect: Duration,
    /// Time from the first byte written to the whole answer.
    pub answer: Duration,
    /// Longest idle time of a connection that is used again; zero: each request has its own.
    pub idle: Duration,
}

/// A gateway over HTTP, and an account there. What is spoken with it is known at compile time, so that a
/// message costs no dynamic call.
pub struct HttpGateway<S = OwnSpeech> {
    times: HttpTimes,
    url: GatewayUrl,
    speech: S,
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
        let times = options.times();
        let speech = OwnSpeech::new(&url, options.token, options.unsure_statuses);
        let speech = speech.map_err(|fault| ("token", fault))?;
        Self::speaking(speech, url, times, connector, clock).map_err(|fault| ("url", fault))
    }

    /// The same with the network and the clocks of this machine.
    pub fn on_this_machine(options: GatewayOptions) -> Result<Self, (&'static str, String)> {
        let connector = Arc::new(TcpConnector::default());
        Self::new(options, connector, Arc::new(SystemClock))
    }
}

impl GatewayOptions {
    fn times(&self) -> HttpTimes {
        HttpTimes {
            connect: self.connect_timeout,
            answer: self.timeout,
            idle: self.idle_timeout,
        }
    }
}

impl<S> HttpGateway<S> {
    /// A gateway at a URL. The error is a fault of that, or of this machine's certificate authorities.
    fn speaking(
        speech: S,
        url: GatewayUrl,
        times: HttpTimes,
        connector: Arc<dyn Connector>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let tls = tls_of(&url)?;

        // Nothing is connected yet: a gateway that is down does not keep a node from starting.
        Ok(Self {
            times,
            url,
            speech,
            tls,
            connector,
            clock,
        })
    }

    async fn connect(&self) -> Result<OpenConnection, Failure> {
        let within = self.times.connect;
        match tokio::time::timeout(within, self.open()).await {
            Ok(opened) => opened.map_err(|error| Failure::NotConnected(with_causes(&*error))),
            Err(_) => Err(not_connected_within(within)),
        }
    }

    async fn open(&self) -> Result<OpenConnection, ConnectError> {
        let GatewayUrl { host, port, .. } = &self.url;
        let within = self.times.connect;
        let stream = self.connector.connect(host, *port, within).await?;

        // The flag lies below TLS, and is cleared before each request: a handshake is no request.
        let flag = Flag::default();
        let stream = self.flagged(stream, &flag).await?;
        let now = self.clock.boot();
        Ok(OpenConnection::over(stream, flag, self.times.idle, now).await?)
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

impl<S: Speech> Gateway for HttpGateway<S> {
    type Courier = HttpCourier<S>;

    /// Secrets do not show in the number. The writing of the host, and a port that goes without saying,
    /// make no difference.
    fn identity(&self, cluster: &str) -> u64 {
        let place = self.url.normal_form();
        let account = self.speech.account();
        let mut hasher = Sha256::new_with_prefix("notty gateway and account");
        for part in [cluster, &place].into_iter().chain(account) {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }

        let hash = hasher.finalize();
        hash.first_chunk()
            .map_or(0, |first| u64::from_be_bytes(*first))
    }

    fn courier(self: &Arc<Self>) -> HttpCourier<S> {
        HttpCourier::new(self.clone())
    }
}
