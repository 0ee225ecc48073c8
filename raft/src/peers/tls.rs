//! Mutual TLS between peers, over any other transport.
//!
//! Both ends show a certificate, and take one only that the configured authority has signed. Whoever
//! connects asks in addition that it be for the host that was dialled: so the holder of one node's
//! certificate cannot answer for another's address. Only TLS 1.3 is spoken, and no session is
//! resumed: each connection proves both ends anew. The session protocol runs on top, unchanged.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, RootCertStore, ServerConfig,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem, pem::PemObject},
    server::WebPkiClientVerifier,
    version::TLS13,
};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{
    refusals::Refusals,
    transport::{Boxed, Io, Listener, Transport},
};

/// How long a peer's handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Handshakes under way at once, at most.
const HANDSHAKES: usize = 128;

/// Where a node's certificate, its key and the peers' authority are; PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, and those between it and the authority.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities.
    pub ca: PathBuf,
}

/// What is wrong with the files, and with which.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {what}")]
pub struct TlsError {
    /// `cert`, `key` or `ca`.
    pub file: &'static str,
    /// What is wrong.
    pub what: String,
}

/// Mutual TLS over another transport.
pub struct TlsTransport {
    inner: Arc<dyn Transport>,
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

impl TlsTransport {
    /// Reads the files and checks that they fit each other: the key to the certificate, the
    /// certificate to the authority, and to the host at which peers find this node, if it has one.
    pub fn new(
        inner: Arc<dyn Transport>,
        files: &TlsFiles,
        host: Option<&str>,
    ) -> Result<Self, TlsError> {
        let fault = |file, what: String| TlsError { file, what };
        let ca = certificates("ca", &files.ca)?;
        let chain = certificates("cert", &files.cert)?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|error| fault("key", unread(&files.key, "private key", &error)))?;
        let mut roots = RootCertStore::empty();
        for root in ca {
            let added = roots.add(root);
            added.map_err(|error| fault("ca", format!("{}: {error}", files.ca.display())))?;
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
        let clients = clients.map_err(|error| fault("ca", error.to_string()))?;
        let servers = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
        let servers = servers.map_err(|error| fault("ca", error.to_string()))?;
        let wrong = |error: rustls::Error| {
            fault("cert", format!("{}: {}", files.cert.display(), own_fault(&error)))
        };
        let now = UnixTime::now();
        clients.verify_client_cert(&chain[0], &chain[1..], now).map_err(wrong)?;
        if let Some(host) = host {
            let name = server_name(host).map_err(|error| fault("cert", error.to_string()))?;
            let verified = servers.verify_server_cert(&chain[0], &chain[1..], &name, &[], now);
            verified.map_err(wrong)?;
        }
        let fits = |error: rustls::Error| {
            fault("key", format!("{}: does not fit cert: {error}", files.key.display()))
        };
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .expect("ring speaks TLS 1.3");
        let mut client = client
            .with_webpki_verifier(servers)
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(fits)?;
        client.resumption = Resumption::disabled();
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .expect("ring speaks TLS 1.3");
        let server = server.with_client_cert_verifier(clients).with_single_cert(chain, key);
        let mut server = server.map_err(fits)?;
        server.send_tls13_tickets = 0;
        let (connector, acceptor) = (Arc::new(client).into(), Arc::new(server).into());
        Ok(Self { inner, connector, acceptor })
    }
}

impl Transport for TlsTransport {
    fn connect<'a>(&'a self, address: &'a str) -> Boxed<'a, Box<dyn Io>> {
        Box::pin(async move {
            let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
            let name = server_name(host)?;
            let stream = self.inner.connect(address).await?;
            let stream = self.connector.connect(name, stream).await?;
            Ok(Box::new(stream) as Box<dyn Io>)
        })
    }

    fn listen<'a>(&'a self, address: &'a str) -> Boxed<'a, Box<dyn Listener>> {
        Box::pin(async move {
            let inner = self.inner.listen(address).await?;
            let (acceptor, handshakes) = (self.acceptor.clone(), JoinSet::new());
            let refusals = Refusals::default();
            Ok(Box::new(TlsListener { inner, acceptor, handshakes, refusals }) as Box<dyn Listener>)
        })
    }
}

type Shaken = (String, io::Result<Box<dyn Io>>);

/// Takes streams in once their handshake is over; a slow one holds up no other.
struct TlsListener {
    inner: Box<dyn Listener>,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<Shaken>,
    refusals: Refusals,
}

impl TlsListener {
    fn shake_hands(&mut self, stream: Box<dyn Io>, from: String) {
        let accepting = self.acceptor.accept(stream);
        self.handshakes.spawn(async move {
            let late = || Err(io::ErrorKind::TimedOut.into());
            let shaken =
                tokio::time::timeout(HANDSHAKE, accepting).await.unwrap_or_else(|_| late());
            (from, shaken.map(|stream| Box::new(stream) as Box<dyn Io>))
        });
    }
}

impl Listener for TlsListener {
    fn accept(&mut self) -> Boxed<'_, (Box<dyn Io>, String)> {
        Box::pin(async move {
            loop {
                tokio::select! {
                    accepted = self.inner.accept(), if self.handshakes.len() < HANDSHAKES => {
                        let (stream, from) = accepted?;
                        self.shake_hands(stream, from);
                    }
                    Some(Ok((from, shaken))) = self.handshakes.join_next() => match shaken {
                        Ok(stream) => return Ok((stream, from)),
                        Err(error) => self.refusals.tell_taken_in(&from, &error),
                    },
                    else => {}
                }
            }
        })
    }

    fn address(&self) -> io::Result<String> {
        self.inner.address()
    }
}

fn server_name(host: &str) -> io::Result<ServerName<'static>> {
    // An IPv6 address stands in brackets before a port, but not in a certificate.
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let wrong = |_| {
        let what = format!("`{host}` is no host name or address that a certificate can be for");
        io::Error::new(io::ErrorKind::InvalidInput, what)
    };
    ServerName::try_from(bare).map_err(wrong)
}

fn unread(path: &Path, wanted: &str, error: &pem::Error) -> String {
    let what = match error {
        pem::Error::NoItemsFound => format!("there is no {wanted} in it"),
        pem::Error::Io(error) => error.to_string(),
        error => format!("no PEM: {error}"),
    };
    format!("{}: {what}", path.display())
}

fn certificates(file: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |error: pem::Error| TlsError { file, what: unread(path, "certificate", &error) };
    let found = CertificateDer::pem_file_iter(path).map_err(fault)?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(fault)?;
    if found.is_empty() { Err(fault(pem::Error::NoItemsFound)) } else { Ok(found) }
}

/// Whether a certificate is of another authority; it may have the same name.
fn is_foreign(error: &CertificateError) -> bool {
    matches!(error, CertificateError::UnknownIssuer | CertificateError::BadSignature)
}

/// What is wrong with this node's own certificate.
fn own_fault(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) if is_foreign(error) => {
            "is not signed by an authority in cluster.tls.ca".to_owned()
        }
        rustls::Error::InvalidCertificate(error) => error.to_string(),
        error => error.to_string(),
    }
}

/// The same error, in the words of whoever runs the nodes, if it is one of TLS.
pub(super) fn explained(error: &io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(inner) = inner else {
        return io::Error::new(error.kind(), error.to_string());
    };
    let what = match inner {
        rustls::Error::NoCertificatesPresented => "it shows no certificate".to_owned(),
        rustls::Error::InvalidCertificate(error) if is_foreign(error) => {
            "its certificate is not signed by an authority in cluster.tls.ca of this node"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(error) => format!("its certificate is refused: {error}"),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it asks for a certificate".to_owned()
        }
        rustls::Error::AlertReceived(alert) => {
            format!("it refuses this node's certificate, or what is spoken ({alert:?})")
        }
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS: set cluster.tls everywhere or nowhere".to_owned()
        }
        error => format!("TLS: {error}"),
    };
    io::Error::new(io::ErrorKind::PermissionDenied, what)
}
