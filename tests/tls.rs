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
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a key");
        let dir = tempfile::tempdir().expect("a directory");
        let authority = dir.path().join("authority.pem");
        std::fs::write(&authority, key.cert.pem()).expect("written");
        let private = rustls_pki_types::PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
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
