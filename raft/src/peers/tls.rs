//! TLS 1.3 under every session between peers, with one of two kinds of certificates.
//!
//! - Files (`cluster.tls`): both ends show a certificate, and accept only one that the configured
//!   authority has signed. A client also requires that it is for the host that was dialled: so the
//!   holder of one node's certificate cannot answer for another's address.
//! - No files (`cluster.secret` alone): the server shows a certificate that was made at the start and
//!   proves nothing. It does not depend on the secret, so that nothing about it can be learnt from the
//!   certificate. The ends prove themselves afterwards, bound to this TLS session ([`super::proof`]).
//!
//! No session is resumed: each connection proves both ends anew.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore,
    ServerConfig, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls13_signature},
    pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime, pem,
        pem::PemObject,
    },
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    version::TLS13,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{transport::Io, validity};

/// Label of the value of a TLS session to which proofs are bound.
const BINDING_LABEL: &[u8] = b"EXPORTER-notty-peer";
/// Name without meaning, in certificates that are made at the start.
const NOBODY: &str = "notty-peer";

/// A value of one TLS session that both ends know, and that no other session has.
pub(super) type Binding = [u8; 32];

/// An encrypted stream, and the value that binds proofs to it.
pub(super) struct Channel {
    pub(super) stream: Box<dyn Io>,
    pub(super) binding: Binding,
}

/// PEM files of a node's certificate, its key, and the authority of all peers.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, and those between it and the authority.
    pub cert: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// The certificates of the authorities.
    pub ca: PathBuf,
}

/// A fault of one of the files.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {what}")]
pub struct TlsError {
    /// The faulty file: `cert`, `key` or `ca`.
    pub file: &'static str,
    /// The fault, as text for people.
    pub what: String,
}

/// The TLS settings of this process, which turn streams into channels.
#[derive(Clone)]
pub(super) struct PeerTls {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
    /// True if the server's certificate must be for the host that is dialled.
    names_hosts: bool,
    /// The time at which this process' own certificate expires, in seconds since 1970, if it is one that
    /// people renew.
    pub(super) expires_at: Option<i64>,
}

impl TlsError {
    fn new(file: &'static str, what: impl ToString) -> Self {
        Self {
            file,
            what: what.to_string(),
        }
    }

    /// A fault of the file at a path.
    fn at(file: &'static str, path: &Path, what: impl std::fmt::Display) -> Self {
        Self::new(file, format!("{}: {what}", path.display()))
    }
}

/// Verifiers of the certificates of both kinds of ends.
struct Verifiers {
    clients: Arc<dyn ClientCertVerifier>,
    servers: Arc<WebPkiServerVerifier>,
}

impl Verifiers {
    /// Verifiers that accept certificates of the authorities in a file.
    fn of(files: &TlsFiles, provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for root in certificates("ca", &files.ca)? {
            let added = roots.add(root);
            added.map_err(|error| TlsError::at("ca", &files.ca, error))?;
        }

        let roots = Arc::new(roots);
        let clients =
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
        let servers = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
        Ok(Self {
            clients: clients.map_err(|error| TlsError::new("ca", error))?,
            servers: servers.map_err(|error| TlsError::new("ca", error))?,
        })
    }

    /// Checks this node's own certificate as its peers will: otherwise each of them would refuse it,
    /// and the fault would show far from its cause.
    fn check_own(
        &self,
        files: &TlsFiles,
        chain: &[CertificateDer<'_>],
        host: Option<&str>,
    ) -> Result<(), TlsError> {
        let fault = |error: rustls::Error| TlsError::at("cert", &files.cert, own_fault(&error));
        let now = UnixTime::now();

        let as_client = self.clients.verify_client_cert(&chain[0], &chain[1..], now);
        as_client.map_err(fault)?;

        // A node that no peer dials needs no certificate for its host.
        if let Some(host) = host {
            let name = server_name(host).map_err(|error| TlsError::new("cert", error))?;
            let as_server =
                self.servers
                    .verify_server_cert(&chain[0], &chain[1..], &name, &[], now);
            as_server.map_err(fault)?;
        }
        Ok(())
    }
}

impl PeerTls {
    /// Reads the files and checks that they fit each other: the key to the certificate, the
    /// certificate to the authority, and to the host at which peers find this node, if it has one.
    pub(super) fn of_files(files: &TlsFiles, host: Option<&str>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifiers = Verifiers::of(files, &provider)?;
        let chain = certificates("cert", &files.cert)?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|error| TlsError::new("key", unread(&files.key, "private key", &error)))?;
        verifiers.check_own(files, &chain, host)?;

        let expires_at = validity::ends_at(&chain);

        // Both ends show the same certificate: a node is client and server.
        let misfit = |error: rustls::Error| {
            TlsError::at("key", &files.key, format!("does not fit cert: {error}"))
        };
        let client = client_builder(&provider)
            .with_webpki_verifier(verifiers.servers)
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(misfit)?;
        let server = server_builder(&provider)
            .with_client_cert_verifier(verifiers.clients)
            .with_single_cert(chain, key)
            .map_err(misfit)?;
        Ok(Self {
            expires_at,
            ..Self::of(client, server, true)
        })
    }

    /// Settings with a certificate that is made here and proves nothing.
    pub(super) fn of_nobody() -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let made = rcgen::generate_simple_self_signed([NOBODY.to_owned()])
            .expect("the name is one, and keys can be made");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));

        let mut client = client_builder(&provider)
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider.clone())))
            .with_no_client_auth();
        // The name would be sent in clear, and means nothing.
        client.enable_sni = false;

        let server = server_builder(&provider)
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("the key was made for the certificate");
        Self::of(client, server, false)
    }

    fn of(mut client: ClientConfig, mut server: ServerConfig, names_hosts: bool) -> Self {
        // A resumed session would prove nothing anew.
        client.resumption = Resumption::disabled();
        server.send_tls13_tickets = 0;

        Self {
            connector: Arc::new(client).into(),
            acceptor: Arc::new(server).into(),
            names_hosts,
            expires_at: None,
        }
    }

    /// Encrypts a stream to the peer at an address.
    pub(super) async fn connect(&self, stream: Box<dyn Io>, address: &str) -> io::Result<Channel> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let name = server_name(if self.names_hosts { host } else { NOBODY })?;
        let stream = self.connector.connect(name, stream).await?;

        let (_, session) = stream.get_ref();
        let binding = session
            .export_keying_material([0; 32], BINDING_LABEL, None)
            .map_err(io::Error::other)?;
        Ok(Channel {
            stream: Box::new(stream),
            binding,
        })
    }

    /// Encrypts a stream that a peer has opened.
    pub(super) async fn accept(&self, stream: Box<dyn Io>) -> io::Result<Channel> {
        let stream = self.acceptor.accept(stream).await?;

        let (_, session) = stream.get_ref();
        let binding = session
            .export_keying_material([0; 32], BINDING_LABEL, None)
            .map_err(io::Error::other)?;
        Ok(Channel {
            stream: Box::new(stream),
            binding,
        })
    }
}

fn client_builder(
    provider: &Arc<CryptoProvider>,
) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let builder = ClientConfig::builder_with_provider(provider.clone());
    builder
        .with_protocol_versions(&[&TLS13])
        .expect("ring speaks TLS 1.3")
}

fn server_builder(
    provider: &Arc<CryptoProvider>,
) -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    let builder = ServerConfig::builder_with_provider(provider.clone());
    builder
        .with_protocol_versions(&[&TLS13])
        .expect("ring speaks TLS 1.3")
}

/// Accepts any certificate: the ends prove themselves inside the session.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General(
            "peers speak TLS 1.3 only".to_owned(),
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn server_name(host: &str) -> io::Result<ServerName<'static>> {
    // An IPv6 address stands in brackets before a port, but not in a certificate.
    let bare = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
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
    let fault = |error: pem::Error| TlsError {
        file,
        what: unread(path, "certificate", &error),
    };
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(fault)?;

    if found.is_empty() {
        Err(fault(pem::Error::NoItemsFound))
    } else {
        Ok(found)
    }
}

/// True if a certificate is of another authority, which may have the same name.
fn is_foreign(error: &CertificateError) -> bool {
    matches!(
        error,
        CertificateError::UnknownIssuer | CertificateError::BadSignature
    )
}

/// The fault of this node's own certificate, as text for people.
fn own_fault(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) if is_foreign(error) => {
            "is not signed by an authority in cluster.tls.ca".to_owned()
        }
        rustls::Error::InvalidCertificate(error) => error.to_string(),
        error => error.to_string(),
    }
}

/// Explains an error of TLS to the people who run the nodes; another one stays as it is.
pub(super) fn explained(error: &io::Error) -> io::Error {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    // The library's own words lead to its manual, which helps no operator.
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return io::Error::new(error.kind(), "it closed the connection");
    }
    let Some(inner) = inner else {
        return io::Error::new(error.kind(), error.to_string());
    };

    // The other end's settings are the usual cause: the texts name the configuration keys.
    let what = match inner {
        rustls::Error::NoCertificatesPresented => {
            "it shows no certificate: set cluster.tls everywhere or nowhere".to_owned()
        }
        rustls::Error::InvalidCertificate(error) if is_foreign(error) => {
            "its certificate is not signed by an authority in cluster.tls.ca of this node"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(error) => format!("its certificate is refused: {error}"),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it asks for a certificate: set cluster.tls everywhere or nowhere".to_owned()
        }
        // TLS names no reason here: it may be the certificate, or another version of notty.
        rustls::Error::AlertReceived(alert) => {
            format!("it refuses this node's certificate, or what is spoken ({alert:?})")
        }
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS: it is no node of notty, or one of an older version".to_owned()
        }
        error => format!("TLS: {error}"),
    };
    io::Error::new(io::ErrorKind::PermissionDenied, what)
}
