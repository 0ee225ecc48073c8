//! One session between two nodes: who they are, proved, and frames that cannot be changed,
//! reordered, repeated or taken into another session.
//!
//! ```text
//! client                                   server
//!   magic, hello (who, nonce)       ──►
//!                                   ◄──    magic, hello (who, nonce), proof
//!   proof                           ──►
//!   length, payload, code           ──►    and back, as often as they like
//! ```
//!
//! A proof is HMAC-SHA-256 under the cluster's secret over a label and both hellos; a frame's code
//! is one under a key of the session and the direction, over the frame's number and payload. The
//! secret itself is never sent. What is said is not hidden: for that there is TLS below.

use std::{future::Future, io, time::Duration};

use hmac::{Hmac, Mac};
use notty_storage::codec;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::transport::Io;
use crate::types::NodeId;

/// Leads both hellos; the last byte is the version of the protocol.
const MAGIC: &[u8; 8] = b"nottypr\x01";
/// Bytes of a hello, at most.
const HELLO_BYTES: usize = 4 * 1024;
/// Bytes of a frame's payload, at most: several entries of the log and their heads.
const FRAME_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of a code.
const CODE_BYTES: usize = 32;
/// How long a frame may take to come whole once it has begun, or to be taken by the other end.
const FRAME_TIME: Duration = Duration::from_secs(10);
/// How long an end that is turned away may take to hear it.
const TURN_AWAY: Duration = Duration::from_secs(1);

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
    /// Fresh for each session.
    nonce: [u8; 16],
}

/// A secret that all nodes of a cluster know.
#[derive(Clone)]
pub(crate) struct Key(Hmac<Sha256>);

impl Key {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("HMAC takes keys of any length"))
    }

    fn over(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }

    fn code(&self, parts: &[&[u8]]) -> [u8; CODE_BYTES] {
        self.over(parts).finalize().into_bytes().into()
    }

    /// Compares in constant time.
    fn check(&self, parts: &[&[u8]], code: &[u8]) -> bool {
        self.over(parts).verify_slice(code).is_ok()
    }
}

/// One direction of a session.
struct Direction {
    key: Key,
    frames: u64,
}

/// A session whose both ends are proved.
pub(crate) struct Session {
    stream: Box<dyn Io>,
    out: Direction,
    back: Direction,
    /// Who is at the other end.
    pub(crate) peer: Hello,
}

impl Hello {
    pub(crate) fn new(name: &str, cluster: &str, node: Option<NodeId>, disk: &str) -> Self {
        let (name, cluster, disk) = (name.to_owned(), cluster.to_owned(), disk.to_owned());
        Self { name, cluster, node, disk, nonce: [0; 16] }
    }

    fn fresh(&self) -> Self {
        Self { nonce: *uuid::Uuid::new_v4().as_bytes(), ..self.clone() }
    }
}

async fn within<T>(time: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = || Err(io::ErrorKind::TimedOut.into());
    tokio::time::timeout(time, work).await.unwrap_or_else(|_| late())
}

fn refused(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, what.into())
}

impl Session {
    /// Opens a session over a stream, as its client.
    pub(crate) async fn open(mut stream: Box<dyn Io>, key: &Key, me: &Hello) -> io::Result<Self> {
        let mine = codec::encode(&me.fresh());
        put_hello(&mut stream, &mine, &[]).await?;
        let theirs = take_hello(&mut stream).await?;
        let mut proof = [0; CODE_BYTES];
        stream.read_exact(&mut proof).await?;
        if !key.check(&[b"server", &mine, &theirs], &proof) {
            // A proof that proves nothing: so the other end learns why, too.
            let _ = stream.write_all(&[0; CODE_BYTES]).await;
            let _ = stream.flush().await;
            return Err(refused("it does not know cluster.secret of this node"));
        }
        stream.write_all(&key.code(&[b"client", &mine, &theirs])).await?;
        stream.flush().await?;
        Self::agreed(stream, key, &mine, &theirs, true)
    }

    /// Takes a session in, as its server.
    pub(crate) async fn accept(mut stream: Box<dyn Io>, key: &Key, me: &Hello) -> io::Result<Self> {
        let theirs = match take_hello(&mut stream).await {
            Ok(theirs) => theirs,
            Err(error) => return Err(turn_away(stream, error).await),
        };
        let mine = codec::encode(&me.fresh());
        let proof = key.code(&[b"server", &theirs, &mine]);
        put_hello(&mut stream, &mine, &proof).await?;
        let mut proof = [0; CODE_BYTES];
        stream.read_exact(&mut proof).await?;
        if !key.check(&[b"client", &theirs, &mine], &proof) {
            return Err(refused("it does not know cluster.secret of this node"));
        }
        Self::agreed(stream, key, &theirs, &mine, false)
    }

    fn agreed(
        stream: Box<dyn Io>,
        key: &Key,
        client: &[u8],
        server: &[u8],
        is_client: bool,
    ) -> io::Result<Self> {
        let session = |label: &[u8]| Key::new(&key.code(&[label, client, server]));
        let direction = |label: &[u8]| Direction { key: session(label), frames: 0 };
        let (up, down) = (direction(b"up"), direction(b"down"));
        let (out, back, theirs) = if is_client { (up, down, server) } else { (down, up, client) };
        let peer = codec::decode(theirs).map_err(io::Error::other)?;
        Ok(Self { stream, out, back, peer })
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
        let number = self.out.next();
        let code = self.out.key.code(&[&number, payload]);
        let mut frame = Vec::with_capacity(4 + payload.len() + CODE_BYTES);
        frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        frame.extend_from_slice(payload);
        frame.extend_from_slice(&code);
        self.stream.write_all(&frame).await?;
        self.stream.flush().await
    }

    /// The next frame's value.
    pub(crate) async fn receive<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let bytes = self.receive_bytes().await?;
        codec::decode(&bytes).map_err(io::Error::other)
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
        let mut code = [0; CODE_BYTES];
        self.stream.read_exact(&mut code).await?;
        let number = self.back.next();
        if !self.back.key.check(&[&number, &payload], &code) {
            return Err(refused("a frame was changed on its way"));
        }
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

impl Direction {
    fn next(&mut self) -> [u8; 8] {
        self.frames += 1;
        self.frames.to_be_bytes()
    }
}

async fn put_hello(stream: &mut Box<dyn Io>, hello: &[u8], proof: &[u8]) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&(hello.len() as u32).to_be_bytes());
    bytes.extend_from_slice(hello);
    bytes.extend_from_slice(proof);
    stream.write_all(&bytes).await?;
    stream.flush().await
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

async fn take_hello(stream: &mut Box<dyn Io>) -> io::Result<Vec<u8>> {
    let mut magic = [0; 7];
    stream.read_exact(&mut magic).await?;
    if magic != MAGIC[..7] {
        // A handshake or an alert of TLS.
        let is_tls = matches!(magic, [0x15 | 0x16, 0x03, ..]);
        return Err(refused(match is_tls {
            true => "it speaks TLS and this node does not: set cluster.tls everywhere or nowhere",
            false => "it does not speak notty's peer protocol",
        }));
    }
    let theirs = stream.read_u8().await?;
    if theirs != MAGIC[7] {
        let mine = MAGIC[7];
        return Err(refused(format!(
            "it speaks version {theirs} of the peer protocol and this node version {mine}: run the \
             same version of notty on both"
        )));
    }
    let len = stream.read_u32().await? as usize;
    if len > HELLO_BYTES {
        return Err(refused("its hello is too long"));
    }
    let mut hello = vec![0; len];
    stream.read_exact(&mut hello).await?;
    Ok(hello)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Opened = (io::Result<Session>, io::Result<Session>);

    async fn meet(client: &str, server: &str) -> Opened {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (client, server) = (Key::new(client.as_bytes()), Key::new(server.as_bytes()));
        let one = Hello::new("one", "c", Some(1), "disk-1");
        let two = Hello::new("two", "c", Some(2), "disk-2");
        tokio::join!(
            Session::open(Box::new(near), &client, &one),
            Session::accept(Box::new(far), &server, &two)
        )
    }

    #[tokio::test]
    async fn both_ends_know_each_other_and_frames_arrive() {
        let (client, server) = meet("secret", "secret").await;
        let (mut client, mut server) = (client.expect("opened"), server.expect("taken in"));
        assert_eq!((client.peer.name.as_str(), server.peer.node), ("two", Some(1)));
        assert!(client.is_idle().await);
        client.send(&"hello".to_owned()).await.expect("sent");
        assert_eq!(server.receive::<String>().await.expect("received"), "hello");
        server.send(&7_u64).await.expect("sent");
        assert!(!client.is_idle().await);
    }

    #[tokio::test]
    async fn another_secret_is_refused_by_both() {
        let (client, server) = meet("secret", "another").await;
        for told in [client.err(), server.err()] {
            let told = told.expect("refused").to_string();
            assert!(told.contains("cluster.secret"), "{told}");
        }
    }

    #[tokio::test]
    async fn a_frame_that_was_changed_repeated_or_moved_is_refused() {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let key = Key::new(b"key");
        let session = |stream: tokio::io::DuplexStream| Session {
            stream: Box::new(stream),
            out: Direction { key: key.clone(), frames: 0 },
            back: Direction { key: key.clone(), frames: 0 },
            peer: Hello::default(),
        };
        let (mut near, mut far) = (session(near), session(far));
        near.send_bytes(b"first").await.expect("sent");
        assert_eq!(far.receive_bytes().await.expect("received"), b"first");
        // The same frame once more: its number is another by now.
        near.out.frames = 0;
        near.send_bytes(b"first").await.expect("sent");
        assert!(far.receive_bytes().await.is_err());
    }

    /// What each end says when one of them has another magic.
    async fn told(magic: &[u8]) -> (String, Vec<u8>) {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let key = Key::new(b"key");
        far.write_all(magic).await.expect("sent");
        far.write_all(&[0; 100]).await.expect("sent");
        let hello = Hello::default();
        let taken = async {
            let mut answer = vec![0; MAGIC.len()];
            far.read_exact(&mut answer).await.map(|_| answer)
        };
        let (accepted, answer) = tokio::join!(Session::accept(Box::new(near), &key, &hello), taken);
        (accepted.err().expect("refused").to_string(), answer.expect("an answer"))
    }

    #[tokio::test]
    async fn who_speaks_another_version_is_refused_by_both() {
        let (server_says, answer) = told(b"nottypr\x09").await;
        assert!(server_says.contains("version 9"), "{server_says}");
        assert_eq!(answer, MAGIC, "the other end can tell, too");
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        far.write_all(b"nottypr\x09").await.expect("sent");
        let opened = Session::open(Box::new(near), &Key::new(b"key"), &Hello::default()).await;
        let client_says = opened.err().expect("refused").to_string();
        assert!(client_says.contains("version 9"), "{client_says}");
    }

    #[tokio::test]
    async fn who_speaks_something_else_is_told_what() {
        let (says, _) = told(b"GET / HTTP/1.1").await;
        assert!(says.contains("does not speak notty's peer protocol"), "{says}");
        let (says, _) = told(&[0x16, 3, 1, 2, 0, 1, 0, 1]).await;
        assert!(says.contains("cluster.tls"), "{says}");
    }
}
