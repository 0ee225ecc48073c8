//! Connections to the gateway, as a seam: TCP here, simulated ones elsewhere; TLS over either.

use std::{future::Future, io, pin::Pin, sync::Arc};

use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// A stream of bytes both ways.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for T {}

/// A connection that is being made.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn ByteStream>>> + Send>>;

/// Makes connections to gateways.
pub trait Connector: Send + Sync + 'static {
    /// Connects to a host and port.
    fn connect(&self, host: &str, port: u16) -> Connecting;
}

/// Connections over this machine's network, without a proxy.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpConnector;

impl Connector for TcpConnector {
    fn connect(&self, host: &str, port: u16) -> Connecting {
        let host = without_brackets(host);
        Box::pin(async move {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

/// A host without the brackets in which an IPv6 address stands in a URL.
fn without_brackets(host: &str) -> String {
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
        let what = "no certificate authorities were found on this machine; install \
                    ca-certificates, or name a file of them in SSL_CERT_FILE";
        return Err(what.to_owned());
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

/// TLS with the gateway, whose certificate must come from one of this machine's authorities.
pub(super) struct GatewayTls {
    connector: tokio_rustls::TlsConnector,
    name: ServerName<'static>,
}

impl GatewayTls {
    /// TLS with a host; certificate authorities come from the system, or from `SSL_CERT_FILE`.
    pub(super) fn new(host: &str) -> Result<Self, String> {
        let config = client_config(authorities()?)?;
        let host = without_brackets(host);
        let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
        Ok(Self {
            connector: tokio_rustls::TlsConnector::from(Arc::new(config)),
            name,
        })
    }

    pub(super) async fn wrap(
        &self,
        stream: Box<dyn ByteStream>,
    ) -> io::Result<Box<dyn ByteStream>> {
        let stream = self.connector.connect(self.name.clone(), stream).await?;
        Ok(Box::new(stream))
    }
}
