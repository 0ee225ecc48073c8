//! The opening of a session: both ends prove themselves, and then name themselves.
//!
//! ```text
//! client                                   server
//!   (TLS 1.3, see tls)              ◄──►
//!   magic, opening (grade, message) ──►
//!                                   ◄──    magic, opening (grade, message)
//!   proof                           ──►
//!                                   ◄──    proof, hello
//!   hello                           ──►
//! ```
//!
//! Openings and proofs are those of [`super::proof`]: the server proves nothing and does not name
//! itself before the client has proved itself. The frames that follow belong to [`super::session`].

#[cfg(test)]
mod tests;

use std::{io, time::Duration};

use notty_storage::{codec, level::VERSION};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    proof::{Credentials, End, Grade, PROOF_BYTES, ProofKey, Transcript, refused, unproved},
    session::{Hello, Session, within},
    tls::Channel,
    transport::Io,
};

/// Leads both openings; the last byte is the version of the protocol.
const MAGIC: &[u8; 8] = b"nottypr\x03";
/// Bytes of an opening or a hello, at most.
const HELLO_BYTES: usize = 4 * 1024;
/// Bytes of a name, a cluster's id or a disk's, at most.
const ID_BYTES: usize = 512;
/// Time for a refused client to read the answer.
const TURN_AWAY: Duration = Duration::from_secs(1);

/// The first message of each end, before anything is proved.
#[derive(Serialize, Deserialize)]
struct Opening {
    /// The secret that is to be proved.
    grade: Grade,
    /// This end's message of the key exchange.
    message: Vec<u8>,
}

/// Opens a session over a channel, as its client.
pub(super) async fn open(
    channel: Channel,
    credentials: &Credentials,
    me: &Hello,
) -> io::Result<Session> {
    let Channel {
        mut stream,
        binding,
    } = channel;

    let grade = credentials.own();
    let exchange = credentials.begin(grade, End::Client)?;

    // The bytes of both openings are kept as they are: the proofs are over them.
    let mine = codec::encode(&Opening {
        grade,
        message: exchange.message.clone(),
    });
    put_opening(&mut stream, &mine).await?;
    let theirs = take_opening(&mut stream).await?;
    let opening: Opening = codec::decode_known(&theirs).map_err(io::Error::other)?;

    let key = match exchange.finish(&opening.message) {
        Ok(key) => key,
        Err(error) => {
            // An empty proof, with which the other end learns the reason, too.
            let _ = put(&mut stream, &[&[0; PROOF_BYTES]]).await;
            return Err(error);
        }
    };

    let transcript = Transcript {
        binding: &binding,
        client: &mine,
        server: &theirs,
    };
    put(&mut stream, &[&key.proof(End::Client, &transcript)]).await?;
    if !take_proof(&mut stream, &key, End::Server, &transcript).await? {
        return Err(unproved(grade, End::Client));
    }

    // Names come last, when no stranger can read them.
    let peer = take_hello(&mut stream).await?;
    put_hello(&mut stream, me, &[]).await?;
    Ok(Session::new(stream, peer, grade))
}

/// Accepts a session over a channel, as its server.
pub(super) async fn accept(
    channel: Channel,
    credentials: &Credentials,
    me: &Hello,
) -> io::Result<Session> {
    let Channel {
        mut stream,
        binding,
    } = channel;

    let theirs = match take_opening(&mut stream).await {
        Ok(theirs) => theirs,
        Err(error) => return Err(turn_away(stream, error).await),
    };
    let Opening { grade, message } = codec::decode_known(&theirs).map_err(io::Error::other)?;

    // Without a secret of this grade the answer is empty, which names the reason to the client.
    let exchange = credentials.begin(grade, End::Server);
    let answer = exchange.as_ref().map(|exchange| exchange.message.clone());
    let mine = codec::encode(&Opening {
        grade,
        message: answer.unwrap_or_default(),
    });
    put_opening(&mut stream, &mine).await?;

    let key = exchange?.finish(&message)?;

    // The client proves itself first: before that, nothing here depends on this end's secret.
    let transcript = Transcript {
        binding: &binding,
        client: &theirs,
        server: &mine,
    };
    if !take_proof(&mut stream, &key, End::Client, &transcript).await? {
        // As above, an empty proof that shows the client the reason.
        let _ = put(&mut stream, &[&[0; PROOF_BYTES]]).await;
        return Err(unproved(grade, End::Server));
    }

    put_hello(&mut stream, me, &key.proof(End::Server, &transcript)).await?;
    let peer = take_hello(&mut stream).await?;
    Ok(Session::new(stream, peer, grade))
}

async fn put(stream: &mut Box<dyn Io>, parts: &[&[u8]]) -> io::Result<()> {
    stream.write_all(&parts.concat()).await?;
    stream.flush().await
}

async fn put_opening(stream: &mut Box<dyn Io>, opening: &[u8]) -> io::Result<()> {
    let len = (opening.len() as u32).to_be_bytes();
    put(stream, &[MAGIC, &len, opening]).await
}

/// Sends the hello of this end, behind something else.
async fn put_hello(stream: &mut Box<dyn Io>, me: &Hello, before: &[u8]) -> io::Result<()> {
    let hello = codec::encode(me);
    let len = (hello.len() as u32).to_be_bytes();
    put(stream, &[before, &len, &hello]).await
}

/// Reads the opening of the other end, as it is: the proofs are over its bytes.
async fn take_opening(stream: &mut Box<dyn Io>) -> io::Result<Vec<u8>> {
    let mut magic = [0; 7];
    stream.read_exact(&mut magic).await?;
    if magic != MAGIC[..7] {
        return Err(refused("it does not speak notty's peer protocol"));
    }

    let theirs = stream.read_u8().await?;
    let mine = MAGIC[7];
    if theirs != mine {
        return Err(refused(format!(
            "it speaks version {theirs} of the peer protocol and this node (notty {VERSION}) version {mine}: \
             run the same version of notty on both"
        )));
    }
    take_short(stream).await
}

/// Reads the hello of the other end. Its texts come into lines of the log.
async fn take_hello(stream: &mut Box<dyn Io>) -> io::Result<Hello> {
    let bytes = take_short(stream).await?;
    let hello: Hello = codec::decode_known(&bytes).map_err(io::Error::other)?;

    // A proved peer may still run something odd: no line breaks, and nothing endless.
    let is_plain = |text: &String| text.len() <= ID_BYTES && !text.contains(char::is_control);
    let texts = [&hello.name, &hello.cluster, &hello.disk, &hello.version];
    if texts.into_iter().all(is_plain) {
        return Ok(hello);
    }
    Err(refused(
        "its name, cluster, disk or version is too long, or no plain text",
    ))
}

/// Reads the proof of the other end; false if it proves nothing.
async fn take_proof(
    stream: &mut Box<dyn Io>,
    key: &ProofKey,
    end: End,
    transcript: &Transcript<'_>,
) -> io::Result<bool> {
    let mut proof = [0; PROOF_BYTES];
    stream.read_exact(&mut proof).await?;
    Ok(key.proves(&proof, end, transcript))
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
/// name the reason too; its remaining bytes are read, because unread ones would cut off the magic.
async fn turn_away(mut stream: Box<dyn Io>, error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::PermissionDenied {
        let answering = async {
            stream.write_all(MAGIC).await?;
            stream.flush().await?;
            let mut rest = (&mut stream).take(HELLO_BYTES as u64);
            tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
        };
        let _ = within(TURN_AWAY, answering).await;
    }
    error
}
