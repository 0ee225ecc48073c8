//! Ends of a connection that show only after the request was written, and what each proves.

use std::{io, net::SocketAddr, sync::Arc};

use rustls::{
    AlertDescription, ConnectionTrafficSecrets, ContentType, ProtocolVersion, RootCertStore,
    ServerConfig,
    crypto::cipher::{OutboundChunks, OutboundPlainMessage},
    server::WebPkiClientVerifier,
    version::TLS12,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::support::{OK, answer_all, courier, gateway, listener, read_request, send};
use crate::gateway::{
    GatewayOutcome, HttpGateway,
    http::{connect::GatewayTls, tests::support},
};

const IDLE: std::time::Duration = std::time::Duration::from_secs(30);

/// A server's certificate for `localhost`, as its own authority.
struct Certificate {
    roots: Arc<RootCertStore>,
    made: rcgen::CertifiedKey<rcgen::KeyPair>,
}

impl Certificate {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a key");
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).expect("an authority");
        let roots = Arc::new(roots);
        Self { roots, made }
    }

    /// A server that asks for a client's certificate, or does not.
    fn server(
        &self,
        asks: bool,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .expect("versions");
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots.clone(), provider);
        let verified = if asks {
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };

        let key = PrivatePkcs8KeyDer::from(self.made.signing_key.serialize_der());
        verified
            .with_single_cert(vec![self.made.cert.der().clone()], key.into())
            .expect("a configuration")
    }

    /// A gateway at an address that trusts this certificate.
    fn gateway(&self, at: SocketAddr) -> HttpGateway {
        let mut gateway = gateway("http", at, IDLE);
        let tls = GatewayTls::trusting("localhost", (*self.roots).clone());
        gateway.tls = Some(tls.expect("a name"));
        gateway
    }
}

/// Serves TLS for ever.
async fn serve(config: ServerConfig) -> SocketAddr {
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (listener, at) = listener().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { answer_all(acceptor.accept(stream).await?, OK).await });
        }
    });
    at
}

#[tokio::test]
async fn a_client_without_the_certificate_that_is_asked_for_has_sent_nothing() {
    let certificate = Certificate::new();
    for versions in [rustls::ALL_VERSIONS, &[&TLS12]] {
        let at = serve(certificate.server(true, versions)).await;
        let mut courier = courier(certificate.gateway(at));
        for _ in 0..50 {
            assert_eq!(send(&mut courier).await, GatewayOutcome::NotSent);
        }
    }
}

#[tokio::test]
async fn a_server_that_takes_the_handshake_gets_the_message() {
    let certificate = Certificate::new();
    let at = serve(certificate.server(false, rustls::ALL_VERSIONS)).await;
    let mut courier = courier(certificate.gateway(at));
    for _ in 0..3 {
        assert_eq!(send(&mut courier).await, GatewayOutcome::Done);
    }
}

#[tokio::test]
async fn an_end_of_tls_after_the_request_proves_nothing() {
    let certificate = Certificate::new();
    let config = certificate.server(false, rustls::ALL_VERSIONS);
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (listener, at) = listener().await;
    tokio::spawn(async move {
        for farewell in [true, false] {
            let (stream, _) = listener.accept().await?;
            let mut stream = acceptor.accept(stream).await?;
            read_request(&mut stream).await?;
            if farewell {
                stream.shutdown().await?;
            }
        }
        std::io::Result::Ok(())
    });

    let mut courier = courier(certificate.gateway(at));
    for _ in 0..2 {
        assert_eq!(send(&mut courier).await, GatewayOutcome::Unsure);
    }
}

/// Sends a fatal alert as a server's next record.
async fn refuse(
    stream: tokio_rustls::server::TlsStream<TcpStream>,
    alert: AlertDescription,
) -> io::Result<()> {
    let (mut stream, session) = stream.into_inner();
    let suite = session
        .negotiated_cipher_suite()
        .and_then(|suite| suite.tls13());
    let suite = suite.expect("TLS 1.3");
    let secrets = session
        .dangerous_extract_secrets()
        .map_err(io::Error::other)?;

    let (sequence, secrets) = secrets.tx;
    let (key, iv) = match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key, iv),
        _ => panic!("another cipher"),
    };

    let fatal = [2, u8::from(alert)];
    let plain = OutboundPlainMessage {
        typ: ContentType::Alert,
        version: ProtocolVersion::TLSv1_3,
        payload: OutboundChunks::Single(&fatal),
    };
    let mut encrypter = suite.aead_alg.encrypter(key, iv);
    let record = encrypter
        .encrypt(plain, sequence)
        .map_err(io::Error::other)?;
    stream.write_all(&record.encode()).await
}

/// The outcome of a message to a server that sends so many session tickets and reads the request, and
/// then refuses the client.
async fn refused_after(tickets: usize) -> GatewayOutcome {
    let certificate = Certificate::new();
    let mut config = certificate.server(false, rustls::ALL_VERSIONS);
    config.send_tls13_tickets = tickets;
    config.enable_secret_extraction = true;
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));

    let (listener, at) = listener().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let mut stream = acceptor.accept(stream).await?;
        read_request(&mut stream).await?;
        refuse(stream, AlertDescription::CertificateRevoked).await
    });
    send(&mut courier(certificate.gateway(at))).await
}

#[tokio::test]
async fn a_refusal_after_a_session_ticket_proves_nothing() {
    for tickets in [1, 2, 5] {
        assert_eq!(refused_after(tickets).await, GatewayOutcome::Unsure);
    }
    // The same alert as the first sign of the server.
    assert_eq!(refused_after(0).await, GatewayOutcome::NotSent);
}

/// The outcome of a message to a server that answers it, in clear, by these bytes.
async fn answered_by(bytes: &'static [u8]) -> GatewayOutcome {
    let (listener, at) = listener().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        read_request(&mut stream).await?;
        stream.write_all(bytes).await
    });
    send(&mut support::courier(gateway("http", at, IDLE))).await
}

#[tokio::test]
async fn a_request_in_clear_to_a_tls_server_was_not_read() {
    let certificate = Certificate::new();
    let at = serve(certificate.server(false, rustls::ALL_VERSIONS)).await;
    let mut courier = courier(gateway("http", at, IDLE));
    for _ in 0..50 {
        assert_eq!(send(&mut courier).await, GatewayOutcome::NotSent);
    }
    // What other libraries answer.
    let fatal = &[21, 3, 1, 0, 2, 2, 70];
    assert_eq!(answered_by(fatal).await, GatewayOutcome::NotSent);
}

#[tokio::test]
async fn bytes_that_are_neither_http_nor_an_alert_prove_nothing() {
    for bytes in [
        &b"\x16\x03\x01 this is not HTTP\r\n\r\n"[..],
        &[21, 3, 3, 0, 2, 1, 0],
        &[21, 3, 3],
        b"",
    ] {
        assert_eq!(
            answered_by(bytes).await,
            GatewayOutcome::Unsure,
            "{bytes:?}"
        );
    }
}
