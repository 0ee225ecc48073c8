//! Mutual TLS between peers: with certificates of one authority they need no secret, and without
//! one of that authority nobody is let in.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Cluster, Ended, Gateway, Postman, SECRET, Shape, notty};

const SOON: Duration = Duration::from_secs(30);

/// An authority with a directory for what it signs.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

/// The files of a certificate.
pub(crate) struct Files {
    cert: PathBuf,
    key: PathBuf,
    ca: PathBuf,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).expect("written");
        Self { issuer, dir }
    }

    /// A certificate for a host, under a name.
    pub(crate) fn sign(&self, name: &str, host: &str) -> Files {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([host.to_owned()]).expect("parameters");
        let cert = params.signed_by(&key, &self.issuer).expect("signed");
        let path = |ending: &str| self.dir.path().join(format!("{name}{ending}"));
        std::fs::write(path(".pem"), cert.pem()).expect("written");
        std::fs::write(path(".key"), key.serialize_pem()).expect("written");
        Files {
            cert: path(".pem"),
            key: path(".key"),
            ca: self.dir.path().join("ca.pem"),
        }
    }
}

impl Files {
    /// Their line of a configuration.
    pub(crate) fn line(&self) -> String {
        let Self { cert, key, ca } = self;
        let shown = |path: &Path| path.display().to_string();
        let (cert, key, ca) = (shown(cert), shown(key), shown(ca));
        format!("tls = {{ cert = \"{cert}\", key = \"{key}\", ca = \"{ca}\" }}")
    }
}

/// The line that certificates stand for.
pub(crate) fn secret() -> String {
    format!("secret = \"{SECRET}\"")
}

/// Three nodes with certificates of an authority and without a secret, ready.
async fn cluster(authority: &Authority, more: &str) -> Cluster {
    let shape = Shape {
        more,
        ..Shape::default()
    };
    cluster_with_certificates(authority, shape).await
}

/// The same in another shape.
pub(crate) async fn cluster_with_certificates(authority: &Authority, shape: Shape<'_>) -> Cluster {
    let mut cluster = Cluster::new(shape);
    for member in &mut cluster.members {
        let files = authority.sign(&member.name, "127.0.0.1");
        member.reconfigure(&secret(), &files.line());
        member.start();
    }
    cluster.ready(SOON).await;
    cluster
}

#[tokio::test]
async fn nodes_and_postmen_with_certificates_need_no_secret() {
    const CUSTOMERS: u64 = 3_000;
    let authority = Authority::new("ours");
    let gateway = Gateway::with(&["--latency-ms", "20"]);
    let mut cluster = cluster(&authority, "[postman]\nenabled = false\n").await;
    let mut postman = Postman::new(&cluster, &gateway, "postman-1", "postman-1");
    postman.reconfigure(&secret(), &authority.sign("postman-1", "postman-1").line());
    postman.run();
    let follower = &cluster.follower().await.client;
    follower.import(CUSTOMERS).await;
    follower.mail("m", json!({})).await;
    gateway.requests(CUSTOMERS / 4).await;
    let leader = cluster.leader().await;
    cluster.members[leader].kill();
    cluster.leader_but(Some(leader)).await;
    cluster.members[leader].start();
    cluster.ready(SOON).await;
    let stats = cluster.agree("m", SOON).await;
    assert_eq!(stats["done"], CUSTOMERS, "{stats}");
    assert_eq!(gateway.count("duplicates").await, 0);
    postman.stop().await;
}

#[tokio::test]
async fn without_a_certificate_of_the_authority_nobody_is_let_in() {
    let (authority, foreign) = (Authority::new("ours"), Authority::new("theirs"));
    let mut cluster = cluster(&authority, "").await;
    let leader = cluster.leader().await;
    let odd = (leader + 1) % 3;
    let peer = cluster.members[leader].peer.clone();

    // Of another authority.
    let own = authority.sign("notty-1", "127.0.0.1");
    let others = foreign.sign("notty-1", "127.0.0.1");
    cluster.members[odd].kill();
    cluster.members[odd].reconfigure(&cluster.members[odd].line("tls"), &others.line());
    cluster.members[odd].start();
    let refused = "its certificate is not signed by an authority in cluster.tls.ca";
    cluster.members[leader].says(refused).await;
    cluster.members[odd].says(refused).await;
    assert_eq!(cluster.members[odd].try_get("/readyz").await, None);
    cluster.members[odd].kill();

    // By the secret alone.
    cluster.members[odd].reconfigure(&cluster.members[odd].line("tls"), &secret());
    cluster.members[odd].start();
    cluster.members[leader]
        .says("it shows no certificate: set cluster.tls")
        .await;
    cluster.members[odd]
        .says("it asks for a certificate: set cluster.tls")
        .await;
    assert_eq!(cluster.members[odd].try_get("/readyz").await, None);
    cluster.members[odd].kill();

    // With none at all: it knows the authority, and shows nothing.
    let said = greet_without_certificate(&peer, &own.ca).await;
    assert!(said.is_err(), "{said:?}");
    cluster.members[leader]
        .says("a peer was refused: it shows no certificate")
        .await;

    // Nobody took it amiss, and who says nothing holds nobody up.
    let silent = (0..20).map(|_| TcpStream::connect(&peer));
    let _silent = futures_util::future::join_all(silent).await;
    cluster.members[odd].reconfigure(&secret(), &own.line());
    cluster.members[odd].start();
    cluster.ready(SOON).await;
}

/// Opens TLS to a peer without a certificate and says hello; what comes back.
async fn greet_without_certificate(peer: &str, ca: &Path) -> std::io::Result<usize> {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(ca).expect("read"))
        .expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(peer).await?;
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let mut stream = connector.connect(name, stream).await?;
    stream.write_all(b"nottypr\x02\0\0\0\0").await?;
    stream.read_exact(&mut [0; 8]).await
}

#[test]
fn check_config_checks_the_certificates() {
    // Anybody can make one of the same name.
    let (authority, foreign) = (Authority::new("ours"), Authority::new("ours"));
    let good = authority.sign("good", "127.0.0.1");
    let elsewhere = authority.sign("elsewhere", "10.9.8.7");
    let others = foreign.sign("others", "127.0.0.1");
    let nothing = authority.dir.path().join("nothing.pem");
    std::fs::write(&nothing, "nothing\n").expect("written");
    let nowhere = authority.dir.path().join("nowhere.pem");
    let with = |cert: &Path, key: &Path, ca: &Path| {
        let files = Files {
            cert: cert.to_owned(),
            key: key.to_owned(),
            ca: ca.to_owned(),
        };
        let path = authority.dir.path().join("config.toml");
        let text = format!(
            "[cluster]\nlisten = \"127.0.0.1:7080\"\nname = \"a\"\nexpect = 1\n{}\n\
             [[cluster.nodes]]\nname = \"a\"\npeer = \"127.0.0.1:7080\"\napi = \"http://a\"\n",
            files.line()
        );
        std::fs::write(&path, text).expect("written");
        Ended::of(notty().args(["check-config", "--config"]).arg(path))
    };
    let ended = with(&good.cert, &good.key, &good.ca);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for (cert, key, ca, wanted) in [
        (&nowhere, &good.key, &good.ca, "cluster.tls.cert: "),
        (&good.cert, &nowhere, &good.ca, "cluster.tls.key: "),
        (&good.cert, &good.key, &nowhere, "cluster.tls.ca: "),
        (
            &nothing,
            &good.key,
            &good.ca,
            "there is no certificate in it",
        ),
        (
            &good.cert,
            &nothing,
            &good.ca,
            "there is no private key in it",
        ),
        (&good.cert, &elsewhere.key, &good.ca, "does not fit cert"),
        (
            &others.cert,
            &others.key,
            &good.ca,
            "is not signed by an authority in cluster.tls.ca",
        ),
        (&elsewhere.cert, &elsewhere.key, &good.ca, "127.0.0.1"),
    ] {
        let ended = with(cert, key, ca);
        let line = ended.one_line(2);
        assert!(
            line.contains("cluster.tls.") && line.contains(wanted),
            "{wanted}: {line}"
        );
    }
}
