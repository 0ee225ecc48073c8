//! Streams between nodes, as a seam: TCP here, simulated ones elsewhere.
//!
//! A stream carries bytes in both directions and nothing else: encryption, proofs and frames lie above
//! it, so that a simulation runs them too, or leaves them out.

use std::{future::Future, io, os::fd::AsFd, pin::Pin};

use rustix::net::RecvFlags;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};

/// A stream of bytes both ways.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A result that is waited for, as a trait object can return it.
pub(super) type IoFuture<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Opens and accepts streams between nodes.
pub trait Transport: Send + Sync + 'static {
    /// Connects to a peer's address.
    fn connect<'a>(&'a self, address: &'a str) -> IoFuture<'a, Box<dyn Io>>;
    /// Listens for peers at an address.
    fn listen<'a>(&'a self, address: &'a str) -> IoFuture<'a, Box<dyn Listener>>;
    /// True if nobody but the two ends can reach or read a stream, as in a simulated network. Over any
    /// other, peers encrypt and prove themselves.
    fn is_closed(&self) -> bool {
        false
    }
}

/// A look at a stream that another task reads from: true if the system has bytes of it that nobody read
/// yet. It never waits.
pub type Peek = Box<dyn Fn() -> bool + Send + Sync>;

/// A stream that a peer has opened.
pub struct Accepted {
    /// The stream as the system has it.
    pub stream: Box<dyn Io>,
    /// The address that it comes from.
    pub from: String,
    /// Shows whether the peer has sent anything, also before the stream is read for the first time.
    pub has_sent: Peek,
}

/// Accepts the streams that peers open.
pub trait Listener: Send {
    /// Waits for the next stream, and returns it with the address that it comes from.
    fn accept(&mut self) -> IoFuture<'_, (Box<dyn Io>, String)>;
    /// Waits like [`Listener::accept`], for somebody who wants to know more than the stream shows to its
    /// reader.
    fn accept_observed(&mut self) -> IoFuture<'_, Accepted> {
        Box::pin(async move {
            let (stream, from) = self.accept().await?;
            // Nothing but reading shows it.
            let has_sent = Box::new(|| false);
            Ok(Accepted {
                stream,
                from,
                has_sent,
            })
        })
    }
    /// The address at which it listens.
    fn address(&self) -> io::Result<String>;
}

/// Connections that may wait to be accepted. The library's 128 are too few: each one beyond them that
/// comes at the same time is tried again a second later.
const BACKLOG: i32 = 4_096;

/// Unsent bytes that the system buffers for one stream. Its default is megabytes: a peer that reads
/// nothing would cost them, and would look like one that reads.
const UNSENT_BYTES: u32 = 128 * 1024;

/// TCP over this machine's network.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpTransport;

impl Transport for TcpTransport {
    fn connect<'a>(&'a self, address: &'a str) -> IoFuture<'a, Box<dyn Io>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Io>)
        })
    }

    fn listen<'a>(&'a self, address: &'a str) -> IoFuture<'a, Box<dyn Listener>> {
        Box::pin(async move {
            let listener = TcpListener::bind(address).await?;
            // A second call only changes the backlog.
            rustix::net::listen(&listener, BACKLOG)?;
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }
}

impl Listener for TcpListener {
    fn accept(&mut self) -> IoFuture<'_, (Box<dyn Io>, String)> {
        Box::pin(async move {
            let (stream, from) = accept_stream(self).await?;
            Ok((Box::new(stream) as Box<dyn Io>, from))
        })
    }

    fn accept_observed(&mut self) -> IoFuture<'_, Accepted> {
        Box::pin(async move {
            let (stream, from) = accept_stream(self).await?;
            Ok(Accepted {
                has_sent: peek(&stream)?,
                stream: Box::new(stream),
                from,
            })
        })
    }

    fn address(&self) -> io::Result<String> {
        Ok(self.local_addr()?.to_string())
    }
}

async fn accept_stream(listener: &TcpListener) -> io::Result<(TcpStream, String)> {
    let (stream, from) = listener.accept().await?;
    stream.set_nodelay(true)?;
    // Without it, progress of a slow reader is only seen in larger steps.
    let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES);
    Ok((stream, from.to_string()))
}

/// A look at a stream by a descriptor of its own: the stream may be gone before the look is.
fn peek(stream: &TcpStream) -> io::Result<Peek> {
    let socket = stream.as_fd().try_clone_to_owned()?;
    Ok(Box::new(move || {
        let mut byte = [0];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        // Its end is no message: whoever closes has nothing to say any more.
        rustix::net::recv(&socket, &mut byte[..], flags).is_ok_and(|(_, count)| count > 0)
    }))
}

#[cfg(test)]
mod tests {
    use std::{net::TcpStream, time::Duration};

    use super::*;

    /// As many as a busy client opens at once, while the listener is at something else: each is
    /// there at once, and none is turned away to try again a second later.
    #[tokio::test]
    async fn hundreds_who_come_at_once_need_not_come_again() {
        let listener = TcpTransport
            .listen("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener
            .address()
            .expect("it has one")
            .parse()
            .expect("it is one");
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(900));
        let all: Result<Vec<_>, _> = (0..400).map(connect).collect();
        assert_eq!(all.expect("each is connected").len(), 400);
    }
}
