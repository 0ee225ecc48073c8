//! The network between nodes, as somebody sees it who is on it: a proxy that records what passes, and
//! TLS to a peer port as anybody can speak it.

use std::{
    io::{self, Read, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How long a peer port may take to close a connection that it does not want.
const CLOSED: Duration = Duration::from_secs(20);

/// What passed over one connection.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// From who connected.
    pub up: Vec<u8>,
    /// Back to it.
    pub down: Vec<u8>,
}

/// A proxy that records everything.
pub struct Recorder {
    /// Where it listens.
    pub address: String,
    connections: Arc<Mutex<Vec<Arc<Mutex<Recorded>>>>>,
}

impl Recorder {
    /// In front of an address.
    pub async fn before(to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let connections = Arc::<Mutex<Vec<Arc<Mutex<Recorded>>>>>::default();
        let (to, kept) = (to.to_owned(), connections.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let recorded = Arc::<Mutex<Recorded>>::default();
                kept.lock().expect("no panic").push(recorded.clone());
                tokio::spawn(pass(near, to.clone(), recorded));
            }
        });
        Self {
            address,
            connections,
        }
    }

    /// What passed so far, by connection.
    pub fn recorded(&self) -> Vec<Recorded> {
        let connections = self.connections.lock().expect("no panic");
        connections
            .iter()
            .map(|one| one.lock().expect("no panic").clone())
            .collect()
    }
}

async fn pass(near: TcpStream, to: String, recorded: Arc<Mutex<Recorded>>) {
    // Nobody is there yet, or no more: the connection ends.
    let Ok(far) = TcpStream::connect(to).await else {
        return;
    };
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let up = async {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from_near.read(&mut bytes).await {
            recorded
                .lock()
                .expect("no panic")
                .up
                .extend_from_slice(&bytes[..count]);
            if to_far.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
        let _ = to_far.shutdown().await;
    };
    let down = async {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from_far.read(&mut bytes).await {
            recorded
                .lock()
                .expect("no panic")
                .down
                .extend_from_slice(&bytes[..count]);
            if to_near.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
        let _ = to_near.shutdown().await;
    };
    tokio::join!(up, down);
}

/// Says something to a peer port in clear; what comes back until it is closed.
pub async fn say(peer: &str, what: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(peer).await?;
    stream.write_all(what).await?;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(CLOSED, stream.read_to_end(&mut answer)).await;
    read.expect("the port is closed in time").map(|_| answer)
}

/// TLS as whoever accepts any certificate speaks it.
fn anybodys_tls() -> (Arc<rustls::ClientConfig>, ServerName<'static>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from("anybody").expect("a name");
    (Arc::new(config), name)
}

/// Opens TLS to a peer port, whatever certificate it shows.
pub async fn tls(peer: &str) -> io::Result<TlsStream<TcpStream>> {
    let (config, name) = anybodys_tls();
    TlsConnector::from(config)
        .connect(name, TcpStream::connect(peer).await?)
        .await
}

/// The same as [`say_in_tls`] by somebody who speaks as soon as it is connected: its first message is
/// ready before, and no other task of this process comes between. Blocks.
pub fn say_in_tls_at_once(peer: &str, what: &[u8]) -> io::Result<Vec<u8>> {
    let (config, name) = anybodys_tls();
    let mut session = rustls::ClientConnection::new(config, name).map_err(io::Error::other)?;
    let mut hello = Vec::new();
    session.write_tls(&mut hello)?;

    let mut stream = std::net::TcpStream::connect(peer)?;
    stream.write_all(&hello)?;
    stream.set_read_timeout(Some(CLOSED))?;
    let mut stream = rustls::StreamOwned::new(session, stream);
    stream.write_all(what)?;

    let mut answer = Vec::new();
    // As above: an end without a farewell is one.
    let _ = stream.read_to_end(&mut answer);
    Ok(answer)
}

/// The same as [`say`], inside TLS.
pub async fn say_in_tls(peer: &str, what: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = tls(peer).await?;
    stream.write_all(what).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(CLOSED, stream.read_to_end(&mut answer)).await;
    // Closed without a farewell of TLS is closed, too.
    let _ = read.expect("the port is closed in time");
    Ok(answer)
}

/// Accepts any certificate.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        panic!("peers speak TLS 1.3 only")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
