//! One session between two nodes: both ends proved, who they are, and frames of requests and
//! answers.
//!
//! ```text
//! client                                   server
//!   (TLS 1.3, see tls)              ◄──►
//!   magic, opening (grade, message) ──►
//!                                   ◄──    magic, opening (grade, message)
//!   proof                           ──►
//!                                   ◄──    proof, hello (who)
//!   hello (who)                     ──►
//!   length, payload                 ──►    and back, as often as they like
//! ```
//!
//! Openings and proofs are those of [`super::proof`]: the server proves nothing, and does not say
//! who it is, before the client has proved itself. TLS keeps the frames secret, whole and in order.

use std::{future::Future, io, time::Duration};

use notty_storage::codec;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    call::Denial,
    proof::{Credentials, End, Grade, PROOF_BYTES, ProofKey, Transcript, refused, unproved},
    protocol::PeerCall,
    tls::Channel,
    transport::Io,
};
use crate::types::NodeId;

/// Leads both openings; the last byte is the version of the protocol.
const MAGIC: &[u8; 8] = b"nottypr\x02";
/// Bytes of an opening or a hello, at most.
const HELLO_BYTES: usize = 4 * 1024;
/// Bytes of a name, a cluster's id or a disk's, at most.
const ID_BYTES: usize = 512;
/// Bytes of a frame's payload, at most: several entries of the log and their heads.
const FRAME_BYTES: usize = 8 * 1024 * 1024;
/// How long a frame may take to come whole once it has begun, or to be taken by the other end.
const FRAME_TIME: Duration = Duration::from_secs(10);
/// How long an end that is turned away may take to hear it.
const TURN_AWAY: Duration = Duration::from_secs(1);
/// How long a session may be without a request. Longer than clients keep one that is idle, so that
/// none ends just when it is used.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// Who speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Its name.
    pub(crate) name: String,
    /// The cluster it belongs to; empty while it belongs to none.
    pub(crate) cluster: String,
    /// Its number there; none for a postman, or while it belongs to no cluster.
    pub(crate) node: Option<NodeId>,
    /// Its disk; empty for a postman.
    pub(crate) disk: String,
}

/// What each end says before anything is proved.
#[derive(Serialize, Deserialize)]
struct Opening {
    /// The secret that is to be proved.
    grade: Grade,
    /// This end's message of the key exchange.
    message: Vec<u8>,
}

/// A session whose both ends are proved.
pub(crate) struct Session {
    stream: Box<dyn Io>,
    /// Who is at the other end.
    pub(crate) peer: Hello,
    /// What the secret that the client has proved is good for.
    pub(crate) grade: Grade,
}

impl Hello {
    pub(crate) fn new(name: &str, cluster: &str, node: Option<NodeId>, disk: &str) -> Self {
        let (name, cluster, disk) = (name.to_owned(), cluster.to_owned(), disk.to_owned());
        Self {
            name,
            cluster,
            node,
            disk,
        }
    }
}

async fn within<T>(time: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = || Err(io::ErrorKind::TimedOut.into());
    tokio::time::timeout(time, work)
        .await
        .unwrap_or_else(|_| late())
}

impl Session {
    /// Opens a session over a channel, as its client.
    pub(super) async fn open(
        channel: Channel,
        credentials: &Credentials,
        me: &Hello,
    ) -> io::Result<Self> {
        let Channel {
            mut stream,
            binding,
        } = channel;
        let grade = credentials.own();
        let exchange = credentials.begin(grade, End::Client)?;

        let mine = codec::encode(&Opening {
            grade,
            message: exchange.message.clone(),
        });
        put(
            &mut stream,
            &[MAGIC, &(mine.len() as u32).to_be_bytes(), &mine],
        )
        .await?;
        let theirs = take_opening(&mut stream).await?;
        let opening: Opening = codec::decode(&theirs).map_err(io::Error::other)?;
        let key = match exchange.finish(&opening.message) {
            Ok(key) => key,
            Err(error) => {
                // A proof that proves nothing: so the other end learns why, too.
                let _ = put(&mut stream, &[&[0; PROOF_BYTES]]).await;
                return Err(error);
            }
        };

        let said = Transcript {
            binding: &binding,
            client: &mine,
            server: &theirs,
        };
        put(&mut stream, &[&key.proof(End::Client, &said)]).await?;
        if !take_proof(&mut stream, &key, End::Server, &said).await? {
            return Err(unproved(grade, End::Client));
        }
        let peer = take_hello(&mut stream).await?;
        put_hello(&mut stream, me, &[]).await?;
        Ok(Self {
            stream,
            peer,
            grade,
        })
    }

    /// Takes a session in, as its server.
    pub(super) async fn accept(
        channel: Channel,
        credentials: &Credentials,
        me: &Hello,
    ) -> io::Result<Self> {
        let Channel {
            mut stream,
            binding,
        } = channel;
        let theirs = match take_opening(&mut stream).await {
            Ok(theirs) => theirs,
            Err(error) => return Err(turn_away(stream, error).await),
        };
        let Opening { grade, message } = codec::decode(&theirs).map_err(io::Error::other)?;
        let exchange = credentials.begin(grade, End::Server);
        // Without a secret of this grade the answer is empty, so that the other end can tell why.
        let answer = exchange
            .as_ref()
            .map_or(Vec::new(), |exchange| exchange.message.clone());
        let mine = codec::encode(&Opening {
            grade,
            message: answer,
        });
        put(
            &mut stream,
            &[MAGIC, &(mine.len() as u32).to_be_bytes(), &mine],
        )
        .await?;
        let key = exchange?.finish(&message)?;

        let said = Transcript {
            binding: &binding,
            client: &theirs,
            server: &mine,
        };
        if !take_proof(&mut stream, &key, End::Client, &said).await? {
            let _ = put(&mut stream, &[&[0; PROOF_BYTES]]).await;
            return Err(unproved(grade, End::Server));
        }
        put_hello(&mut stream, me, &key.proof(End::Server, &said)).await?;
        let peer = take_hello(&mut stream).await?;
        Ok(Self {
            stream,
            peer,
            grade,
        })
    }

    /// Sends one value as a frame.
    pub(crate) async fn send<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        self.send_bytes(&codec::encode(value)).await
    }

    /// Sends bytes as a frame.
    pub(crate) async fn send_bytes(&mut self, payload: &[u8]) -> io::Result<()> {
        if payload.len() > FRAME_BYTES {
            let what = format!("a frame of {} bytes is too long", payload.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        // In one piece: what is written by itself becomes a record of TLS by itself.
        let mut frame = Vec::with_capacity(4 + payload.len());
        frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        frame.extend_from_slice(payload);
        self.stream.write_all(&frame).await?;
        self.stream.flush().await
    }

    /// The next frame's value.
    pub(crate) async fn receive<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let bytes = self.receive_bytes().await?;
        codec::decode(&bytes).map_err(io::Error::other)
    }

    /// The answer to a call that was sent.
    pub(super) async fn receive_answer<C: PeerCall>(
        &mut self,
    ) -> io::Result<Result<C::Reply, Denial>> {
        self.receive().await
    }

    /// The next frame's value. It may take `idle` to begin, and then as long as a frame may.
    pub(crate) async fn receive_after<T: DeserializeOwned>(
        &mut self,
        idle: Duration,
    ) -> io::Result<T> {
        let len = within(idle, self.stream.read_u32()).await?;
        let bytes = within(FRAME_TIME, self.receive_rest(len)).await?;
        codec::decode(&bytes).map_err(io::Error::other)
    }

    /// Sends one value as a frame; the other end must take it in time.
    pub(crate) async fn send_in_time<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        within(FRAME_TIME, self.send(value)).await
    }

    /// The next frame's bytes.
    pub(crate) async fn receive_bytes(&mut self) -> io::Result<Vec<u8>> {
        let len = self.stream.read_u32().await?;
        self.receive_rest(len).await
    }

    async fn receive_rest(&mut self, len: u32) -> io::Result<Vec<u8>> {
        let len = len as usize;
        if len > FRAME_BYTES {
            return Err(refused(format!("a frame of {len} bytes is too long")));
        }
        let mut payload = vec![0; len];
        self.stream.read_exact(&mut payload).await?;
        Ok(payload)
    }

    /// The stream below, to say on it what no session says.
    #[cfg(test)]
    pub(super) fn stream(&mut self) -> &mut Box<dyn Io> {
        &mut self.stream
    }

    /// Whether it can still be used: nothing has come, not even the end of the stream.
    pub(crate) async fn is_idle(&mut self) -> bool {
        let mut byte = [0];
        let mut reading = std::pin::pin!(self.stream.read(&mut byte));
        std::future::poll_fn(|cx| std::task::Poll::Ready(reading.as_mut().poll(cx).is_pending()))
            .await
    }
}

async fn put(stream: &mut Box<dyn Io>, parts: &[&[u8]]) -> io::Result<()> {
    stream.write_all(&parts.concat()).await?;
    stream.flush().await
}

/// Sends who this is, behind something else.
async fn put_hello(stream: &mut Box<dyn Io>, me: &Hello, before: &[u8]) -> io::Result<()> {
    let hello = codec::encode(me);
    put(
        stream,
        &[before, &(hello.len() as u32).to_be_bytes(), &hello],
    )
    .await
}

/// Takes who the other end is. What it says of itself comes into lines of the log.
async fn take_hello(stream: &mut Box<dyn Io>) -> io::Result<Hello> {
    let hello = take_short(stream).await?;
    let hello: Hello = codec::decode(&hello).map_err(io::Error::other)?;
    let is_plain = |text: &String| text.len() <= ID_BYTES && !text.contains(char::is_control);
    if is_plain(&hello.name) && is_plain(&hello.cluster) && is_plain(&hello.disk) {
        return Ok(hello);
    }
    Err(refused(
        "its name, cluster or disk is too long, or no plain text",
    ))
}

/// Takes a proof of the other end; false if it proves nothing.
async fn take_proof(
    stream: &mut Box<dyn Io>,
    key: &ProofKey,
    end: End,
    said: &Transcript<'_>,
) -> io::Result<bool> {
    let mut proof = [0; PROOF_BYTES];
    stream.read_exact(&mut proof).await?;
    Ok(key.proves(&proof, end, said))
}

async fn take_short(stream: &mut Box<dyn Io>) -> io::Result<Vec<u8>> {
    let len = stream.read_u32().await? as usize;
    if len > HELLO_BYTES {
        return Err(refused("its hello is too long"));
    }
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Ends a session that cannot be opened. The other end gets the magic of this one, so that it can
/// say so too; what it still sends is read, because what is unread would cut off the magic.
async fn turn_away(mut stream: Box<dyn Io>, error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::PermissionDenied {
        let told = async {
            stream.write_all(MAGIC).await?;
            stream.flush().await?;
            let mut rest = (&mut stream).take(HELLO_BYTES as u64);
            tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
        };
        let _ = within(TURN_AWAY, told).await;
    }
    error
}

async fn take_opening(stream: &mut Box<dyn Io>) -> io::Result<Vec<u8>> {
    let mut magic = [0; 7];
    stream.read_exact(&mut magic).await?;
    if magic != MAGIC[..7] {
        return Err(refused("it does not speak notty's peer protocol"));
    }
    let theirs = stream.read_u8().await?;
    if theirs != MAGIC[7] {
        let mine = MAGIC[7];
        return Err(refused(format!(
            "it speaks version {theirs} of the peer protocol and this node version {mine}: run the \
             same version of notty on both"
        )));
    }
    take_short(stream).await
}

#[cfg(test)]
mod tests {
    use super::*;

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
            Session::open(channel, &client, &one).await
        };
        let accepting = async {
            let channel = server.accept(Box::new(far)).await?;
            Session::accept(channel, &server, &two).await
        };
        in_time(async { tokio::join!(opening, accepting) }).await
    }

    /// An end that was let in where it must not be may wait for the other for ever.
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
        for told in [client.err(), server.err()] {
            let told = told.expect("refused").to_string();
            assert!(told.contains("it does not know cluster.secret"), "{told}");
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

    /// Who knows no secret proves that of nobody rightly; a node that has none of this grade to compare
    /// it with must not let it pass.
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
                let ((), accepted) = tokio::join!(posing, Session::accept(channel, &server, &me));
                let why = accepted.err().expect("refused").to_string();
                assert!(why.contains(grade.key()), "{why}");
            }
        }
    }

    /// The same bytes in another TLS session: a proof that was overheard, or is passed on by an end
    /// that stands between the two.
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
            Session::open(channel(near, [1; 32]), &client, &hello),
            Session::accept(channel(far, [2; 32]), &server, &hello)
        );
        assert!(client.is_err() && server.is_err());
    }

    /// Until the client has proved itself, the server sends what has nothing to do with its secret
    /// and does not say who it is.
    #[tokio::test]
    async fn a_server_says_nothing_of_itself_before_the_client_has_proved_itself() {
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
            Session::accept(channel, &server, &me).await
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

    /// What each end says when one of them has another magic.
    async fn told(magic: &[u8]) -> (String, Vec<u8>) {
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
        let accepting = Session::accept(channel, &credentials, &hello);
        let (accepted, answer) = tokio::join!(accepting, taken);
        (
            accepted.err().expect("refused").to_string(),
            answer.expect("an answer"),
        )
    }

    #[tokio::test]
    async fn who_speaks_another_version_is_refused_by_both() {
        let (server_says, answer) = told(b"nottypr\x09").await;
        assert!(server_says.contains("version 9"), "{server_says}");
        assert_eq!(answer, MAGIC, "the other end can tell, too");
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        far.write_all(b"nottypr\x09").await.expect("sent");
        let channel = Channel {
            stream: Box::new(near),
            binding: [0; 32],
        };
        let opened = Session::open(channel, &by("secret"), &Hello::default()).await;
        let client_says = opened.err().expect("refused").to_string();
        assert!(client_says.contains("version 9"), "{client_says}");
    }

    #[tokio::test]
    async fn who_speaks_something_else_is_told_what() {
        let (says, _) = told(b"GET / HTTP/1.1").await;
        assert!(
            says.contains("does not speak notty's peer protocol"),
            "{says}"
        );
    }
}
