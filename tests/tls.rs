//! A gateway that speaks TLS, with a certificate authority of its own.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// It answers each request the same, and counts them.
pub struct Server {
    pub port: u16,
    /// The authority's certificate, as a file.
    pub authority: PathBuf,
    requests: Arc<AtomicU64>,
    _dir: tempfile::TempDir,
}

impl Server {
    /// One whose certificate is for `localhost`.
    pub async fn start(body: &'static str) -> Self {
        Self::with(body, false).await
    }

    /// One that takes only clients with a certificate.
    pub async fn asking_for_certificates() -> Self {
        Self::with("{}", true).await
    }

    async fn with(body: &'static str, asks: bool) -> Self {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a key");
        let dir = tempfile::tempdir().expect("a directory");
        let authority = dir.path().join("authority.pem");
        std::fs::write(&authority, key.cert.pem()).expect("written");
        let private = rustls_pki_types::PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("versions");
        let verified = if asks {
            builder.with_client_cert_verifier(verifier(&key, provider))
        } else {
            builder.with_no_client_auth()
        };
        let config = verified
            .with_single_cert(vec![key.cert.der().clone()], private.into())
            .expect("a configuration");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let requests = Arc::new(AtomicU64::new(0));
        let counted = requests.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, counted) = (acceptor.clone(), counted.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        answer(stream, body, &counted).await;
                    }
                });
            }
        });
        Self {
            port,
            authority,
            requests,
            _dir: dir,
        }
    }

    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// Takes certificates of this authority.
fn verifier(
    authority: &rcgen::CertifiedKey<rcgen::KeyPair>,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Arc<dyn rustls::server::danger::ClientCertVerifier> {
    let mut roots = rustls::RootCertStore::empty();
    let certificate = authority.cert.der().clone();
    roots.add(certificate).expect("an authority");
    let builder =
        rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
    builder.build().expect("a verifier")
}

/// Answers requests one by one; each comes in one piece, its body ends with a brace.
async fn answer(
    mut stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    body: &str,
    counted: &AtomicU64,
) {
    let mut request = Vec::new();
    while let Ok(read) = stream.read_buf(&mut request).await {
        if read == 0 {
            return;
        }
        if request.ends_with(b"}") {
            request.clear();
            counted.fetch_add(1, Ordering::Relaxed);
            let length = body.len();
            let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
            if stream.write_all(text.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}
