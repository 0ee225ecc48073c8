//! One session between two nodes whose ends are proved: frames of calls and answers.
//!
//! A frame is `length, payload`. TLS keeps the frames secret, whole and in order; the opening of a
//! session is in [`super::opening`].

use std::{future::Future, io, task::Poll, time::Duration};

use notty_storage::{
    codec,
    level::{LEVEL, VERSION},
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    call::Denial,
    proof::{Grade, refused},
    protocol::{AnyCall, PeerCall},
    transport::Io,
};
use crate::types::NodeId;

/// Bytes of a frame's payload, at most: several entries of the log and their heads.
const FRAME_BYTES: usize = 8 * 1024 * 1024;
/// Time for the rest of a frame once it has begun, and for the other end to take a frame.
pub(super) const FRAME_TIME: Duration = Duration::from_secs(10);
/// Time for which a session may be without a call. Longer than clients keep an idle one, so that none
/// ends just when it is used.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// The name of one end of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// The name in its configuration.
    pub(crate) name: String,
    /// The cluster it belongs to; empty while it belongs to none.
    pub(crate) cluster: String,
    /// Its number there; `None` for a postman, or while it belongs to no cluster.
    pub(crate) node: Option<NodeId>,
    /// The id of its disk; empty for a postman.
    pub(crate) disk: String,
    /// The level that it understands.
    pub(crate) level: u32,
    /// Its version of notty.
    pub(crate) version: String,
}

impl Hello {
    pub(crate) fn new(name: &str, cluster: &str, node: Option<NodeId>, disk: &str) -> Self {
        Self {
            name: name.to_owned(),
            cluster: cluster.to_owned(),
            node,
            disk: disk.to_owned(),
            level: LEVEL,
            version: VERSION.to_owned(),
        }
    }

    /// The same of an end that understands another level.
    pub(crate) fn at_level(self, level: u32) -> Self {
        Self { level, ..self }
    }
}

/// A session whose both ends are proved.
pub(crate) struct Session {
    stream: Box<dyn Io>,
    /// The other end of it.
    pub(crate) peer: Hello,
    /// The grade of the secret that the client has proved.
    pub(crate) grade: Grade,
}

impl Session {
    pub(super) fn new(stream: Box<dyn Io>, peer: Hello, grade: Grade) -> Self {
        Self {
            stream,
            peer,
            grade,
        }
    }

    /// Sends one value as a frame.
    pub(crate) async fn send<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        self.send_bytes(&codec::encode(value)).await
    }

    /// Sends one value as a frame; the other end must take it in time.
    pub(crate) async fn send_in_time<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        within(FRAME_TIME, self.send(value)).await
    }

    /// Sends bytes as a frame.
    pub(crate) async fn send_bytes(&mut self, payload: &[u8]) -> io::Result<()> {
        if payload.len() > FRAME_BYTES {
            let what = format!("a frame of {} bytes is too long", payload.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }

        // In one piece: each write becomes a record of TLS by itself.
        let mut frame = Vec::with_capacity(4 + payload.len());
        frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        frame.extend_from_slice(payload);
        self.stream.write_all(&frame).await?;
        self.stream.flush().await
    }

    /// Receives the next frame's value.
    #[cfg(test)]
    pub(crate) async fn receive<T: serde::de::DeserializeOwned>(&mut self) -> io::Result<T> {
        let bytes = self.receive_bytes().await?;
        codec::decode(&bytes).map_err(io::Error::other)
    }

    /// Receives the answer to a call that was sent. A newer peer may say more than is known here.
    pub(super) async fn receive_answer<C: PeerCall>(
        &mut self,
    ) -> io::Result<Result<C::Reply, Denial>> {
        let bytes = self.receive_bytes().await?;
        codec::decode_known(&bytes).map_err(io::Error::other)
    }

    /// Receives the next call; the inner error is the reason why this version cannot answer it. The frame
    /// may take `idle` to begin, and then as long as a frame may.
    pub(super) async fn receive_call(
        &mut self,
        idle: Duration,
    ) -> io::Result<Result<AnyCall, Denial>> {
        let len = within(idle, self.stream.read_u32()).await?;
        let bytes = within(FRAME_TIME, self.receive_rest(len)).await?;
        match codec::decode(&bytes) {
            Ok(call) => Ok(Ok(call)),
            Err(error) if error.is_newer() => Ok(Err(Denial::refused(error))),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// Receives the next frame's bytes.
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

    /// Returns once the other end has closed the session. Between a request and its answer it has nothing
    /// to send: whatever comes then ends the session too.
    pub(crate) async fn gone(&mut self) {
        let mut byte = [0];
        // An error is an end like any other.
        let _ = self.stream.read(&mut byte).await;
    }

    /// The stream below, for bytes that no session sends.
    #[cfg(test)]
    pub(super) fn stream(&mut self) -> &mut Box<dyn Io> {
        &mut self.stream
    }

    /// True if it can still be used: nothing has come, not even the end of the stream.
    pub(crate) async fn is_idle(&mut self) -> bool {
        let mut byte = [0];
        let mut reading = std::pin::pin!(self.stream.read(&mut byte));
        std::future::poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx).is_pending())).await
    }
}

/// Limits the time of work on a stream.
pub(super) async fn within<T>(
    time: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    match tokio::time::timeout(time, work).await {
        Ok(done) => done,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}
