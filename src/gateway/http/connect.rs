//! Connections to the gateway, as a seam: TCP or simulated ones, and TLS over either.

use std::{future::Future, io, pin::Pin, sync::Arc, time::Duration};

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    alert::AlertWatch,
    flagged::{Flag, Flagged},
};

/// The error of a machine without certificate authorities.
const NO_AUTHORITIES: &str = "no certificate authorities were found on this machine; install \
                              ca-certificates, or name a file of them in SSL_CERT_FILE";

/// A stream of bytes both ways. A write that fails, or has to wait, has written nothing.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {
    /// True if the system knows, without waiting, that something came on an idle stream: its end, an
    /// error, or bytes. Readiness that a runtime remembers may be older than that.
    fn has_news(&self) -> bool {
        false
    }
}

/// A connection that is being made.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn ByteStream>>> + Send>>;

/// Makes connections to gateways.
pub trait Connector: Send + Sync + 'static {
    /// Connects to a host and port. The caller gives up after the time `within`.
    fn connect(&self, host: &str, port: u16, within: Duration) -> Connecting;
}

/// A host without the brackets in which an IPv6 address stands in a URL.
pub(super) fn without_brackets(host: &str) -> String {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned()
}

/// The certificate authorities of this machine.
fn authorities() -> Result<rustls::RootCertStore, String> {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    // Machines have a few that cannot be parsed: the others are enough.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(NO_AUTHORITIES.to_owned());
    }
    Ok(roots)
}

fn client_config(roots: rustls::RootCertStore) -> Result<rustls::ClientConfig, String> {
    // Named here: the process may have another default.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The name or address that the certificate must bear.
fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    let host = without_brackets(host);
    ServerName::try_from(host).map_err(|error| error.to_string())
}

/// TLS with the gateway, whose certificate must come from one of this machine's authorities.
pub(super) struct GatewayTls {
    connector: tokio_rustls::TlsConnector,
    name: ServerName<'static>,
}

impl GatewayTls {
    /// TLS with a host; certificate authorities come from the system, or from `SSL_CERT_FILE`.
    pub(super) fn new(host: &str) -> Result<Self, String> {
        Self::trusting(host, authorities()?)
    }

    /// TLS with a host whose certificate comes from one of these authorities.
    pub(super) fn trusting(host: &str, roots: rustls::RootCertStore) -> Result<Self, String> {
        let config = client_config(roots)?;
        Ok(Self {
            connector: tokio_rustls::TlsConnector::from(Arc::new(config)),
            name: server_name(host)?,
        })
    }

    /// Makes the handshake over a stream. A late refusal of it is noted in the flag.
    pub(super) async fn wrap(
        &self,
        stream: Flagged,
        flag: Flag,
    ) -> io::Result<Box<dyn ByteStream>> {
        let stream = self.connector.connect(self.name.clone(), stream).await?;
        Ok(Box::new(AlertWatch::new(stream, flag)))
    }
}
