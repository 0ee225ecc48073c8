//! Two ends that prove themselves, and ends that cannot.

use super::*;
use crate::peers::session::FRAME_TIME;

type Opened = (io::Result<Session>, io::Result<Session>);

fn by(secret: &str) -> Credentials {
    Credentials::by_secret(secret.as_bytes())
}

/// Two ends that meet over TLS.
async fn meet(client: Credentials, server: Credentials) -> Opened {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let one = Hello::new("one", "c", Some(1), "disk-1");
    let two = Hello::new("two", "c", Some(2), "disk-2");
    let opening = async {
        let channel = client.connect(Box::new(near), "two:1").await?;
        open(channel, &client, &one).await
    };
    let accepting = async {
        let channel = server.accept(Box::new(far)).await?;
        accept(channel, &server, &two).await
    };
    in_time(async { tokio::join!(opening, accepting) }).await
}

/// An end that is let in by mistake may wait for the other for ever.
async fn in_time<T>(meeting: impl Future<Output = T>) -> T {
    tokio::time::timeout(FRAME_TIME, meeting)
        .await
        .expect("both ends come to their end")
}

#[tokio::test]
async fn both_ends_know_each_other_and_frames_arrive() {
    let (client, server) = meet(by("secret"), by("secret")).await;
    let (mut client, mut server) = (client.expect("opened"), server.expect("taken in"));
    assert_eq!(
        (client.peer.name.as_str(), server.peer.node),
        ("two", Some(1))
    );
    assert!(client.is_idle().await);
    client.send(&"hello".to_owned()).await.expect("sent");
    assert_eq!(server.receive::<String>().await.expect("received"), "hello");
    server.send(&7_u64).await.expect("sent");
    assert!(!client.is_idle().await);
}

#[tokio::test]
async fn another_secret_is_refused_by_both() {
    let (client, server) = meet(by("secret"), by("another")).await;
    for refusal in [client.err(), server.err()] {
        let refusal = refusal.expect("refused").to_string();
        assert!(
            refusal.contains("it does not know cluster.secret"),
            "{refusal}"
        );
    }
}

#[tokio::test]
async fn the_postmens_secret_makes_a_postman_and_nothing_else() {
    let nodes = || by("secret").with_postman_secret(b"for postmen");
    let postman = |secret: &str| {
        by("none")
            .with_postman_secret(secret.as_bytes())
            .of_postman()
    };
    let (client, server) = meet(postman("for postmen"), nodes()).await;
    assert_eq!(client.expect("opened").grade, Grade::Postmen);
    assert_eq!(server.expect("taken in").grade, Grade::Postmen);
    // As the cluster's own it is worth nothing, nor the other way round.
    for (client, server) in [
        (by("for postmen"), nodes()),
        (postman("secret"), nodes()),
        (postman("for postmen"), by("secret")),
        (postman("for postmen"), by("for postmen")),
    ] {
        let (client, server) = meet(client, server).await;
        assert!(client.is_err() && server.is_err());
    }
}

/// A client without any secret can prove that it knows none; a node that has no secret of this grade
/// to compare it with must not let it pass.
#[tokio::test]
async fn a_proof_of_no_secret_passes_under_no_grade() {
    for server in [
        by("secret"),
        by("secret").with_postman_secret(b"for postmen"),
    ] {
        for grade in [Grade::Cluster, Grade::Postmen] {
            let (mut near, far) = tokio::io::duplex(64 * 1024);
            let channel = Channel {
                stream: Box::new(far),
                binding: [0; 32],
            };
            let mine = codec::encode(&Opening {
                grade,
                message: Vec::new(),
            });
            let nothing = Credentials::none().begin(Grade::Cluster, End::Client);
            let key = nothing
                .and_then(|exchange| exchange.finish(&[]))
                .expect("a key");
            let posing = async {
                let len = (mine.len() as u32).to_be_bytes();
                near.write_all(&[MAGIC, &len[..], &mine].concat())
                    .await
                    .expect("sent");
                let mut stream: Box<dyn Io> = Box::new(near);
                let theirs = take_opening(&mut stream).await.expect("an opening");
                let said = Transcript {
                    binding: &[0; 32],
                    client: &mine,
                    server: &theirs,
                };
                let _ = put(&mut stream, &[&key.proof(End::Client, &said)]).await;
                let _ = put_hello(&mut stream, &Hello::default(), &[]).await;
            };
            let me = Hello::default();
            let ((), accepted) = tokio::join!(posing, accept(channel, &server, &me));
            let why = accepted.err().expect("refused").to_string();
            assert!(why.contains(grade.key()), "{why}");
        }
    }
}

/// The same bytes in another TLS session: a proof that was overheard, or is passed on by a man in the
/// middle.
#[tokio::test]
async fn a_proof_counts_in_its_own_tls_session_only() {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (client, server) = (by("secret"), by("secret"));
    let channel = |stream, binding| Channel {
        stream: Box::new(stream) as Box<dyn Io>,
        binding,
    };
    let hello = Hello::default();
    let (client, server) = tokio::join!(
        open(channel(near, [1; 32]), &client, &hello),
        accept(channel(far, [2; 32]), &server, &hello)
    );
    assert!(client.is_err() && server.is_err());
}

/// Until the client has proved itself, nothing that the server sends depends on its secret or names
/// it.
#[tokio::test]
async fn a_server_sends_nothing_about_itself_before_the_client_has_proved_itself() {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (client, server) = (by("wrong"), by("secret"));
    let me = Hello::new("a-name-to-be-found", "a-cluster", Some(2), "a-disk");
    let probing = async {
        let mut stream = client
            .connect(Box::new(near), "h:1")
            .await
            .expect("TLS")
            .stream;
        let exchange = client.begin(Grade::Cluster, End::Client).expect("begun");
        let opening = Opening {
            grade: Grade::Cluster,
            message: exchange.message,
        };
        let mine = codec::encode(&opening);
        let len = (mine.len() as u32).to_be_bytes();
        put(&mut stream, &[MAGIC, &len, &mine, &[7; PROOF_BYTES]])
            .await
            .expect("sent");
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
        said
    };
    let accepting = async {
        let channel = server.accept(Box::new(far)).await.expect("TLS");
        accept(channel, &server, &me).await
    };
    let (said, accepted) = in_time(async { tokio::join!(probing, accepting) }).await;
    assert!(accepted.is_err());
    assert!(
        said.starts_with(MAGIC) && said.ends_with(&[0; PROOF_BYTES]),
        "{said:?}"
    );
    assert!(
        !said
            .windows(4)
            .any(|part| part == b"name" || part == b"disk")
    );
}

/// The error of a server whose client has another magic, and the answer that the client gets.
async fn refused_for(magic: &[u8]) -> (String, Vec<u8>) {
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    far.write_all(magic).await.expect("sent");
    far.write_all(&[0; 100]).await.expect("sent");
    let (hello, credentials) = (Hello::default(), by("secret"));
    let taken = async {
        let mut answer = vec![0; MAGIC.len()];
        far.read_exact(&mut answer).await.map(|_| answer)
    };
    let channel = Channel {
        stream: Box::new(near),
        binding: [0; 32],
    };
    let accepting = accept(channel, &credentials, &hello);
    let (accepted, answer) = tokio::join!(accepting, taken);
    (
        accepted.err().expect("refused").to_string(),
        answer.expect("an answer"),
    )
}

#[tokio::test]
async fn a_peer_of_another_version_is_refused_by_both() {
    let (of_server, answer) = refused_for(b"nottypr\x09").await;
    assert!(of_server.contains("version 9"), "{of_server}");
    assert_eq!(answer, MAGIC, "the other end can tell, too");
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    far.write_all(b"nottypr\x09").await.expect("sent");
    let channel = Channel {
        stream: Box::new(near),
        binding: [0; 32],
    };
    let opened = open(channel, &by("secret"), &Hello::default()).await;
    let of_client = opened.err().expect("refused").to_string();
    assert!(of_client.contains("version 9"), "{of_client}");
}

#[tokio::test]
async fn a_client_of_another_protocol_is_refused_with_the_reason() {
    let (refusal, _) = refused_for(b"GET / HTTP/1.1").await;
    assert!(
        refusal.contains("does not speak notty's peer protocol"),
        "{refusal}"
    );
}
