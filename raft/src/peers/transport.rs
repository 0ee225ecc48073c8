//! Streams between nodes, as a seam: TCP here, simulated ones elsewhere.

use std::{future::Future, io, pin::Pin};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};

/// A stream of bytes both ways.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

pub(super) type Boxed<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Makes streams between nodes.
pub trait Transport: Send + Sync + 'static {
    /// Connects to a peer's address.
    fn connect<'a>(&'a self, address: &'a str) -> Boxed<'a, Box<dyn Io>>;
    /// Listens at an address.
    fn listen<'a>(&'a self, address: &'a str) -> Boxed<'a, Box<dyn Listener>>;
    /// Whether nobody but the two ends can reach or read a stream: only a simulated network is so.
    /// Over any other, peers encrypt and prove themselves.
    fn is_closed(&self) -> bool {
        false
    }
}

/// Takes streams in.
pub trait Listener: Send {
    /// The next stream, and where it comes from.
    fn accept(&mut self) -> Boxed<'_, (Box<dyn Io>, String)>;
    /// Where it listens.
    fn address(&self) -> io::Result<String>;
}

/// Connections that may wait to be accepted. Listening once more sets it; the library's 128 are too
/// few: of those who come beyond them at once, each tries again a second later.
const BACKLOG: i32 = 4_096;

/// Bytes that the system keeps of a stream without having sent them. By default it takes megabytes: a
/// peer that reads nothing would cost them, and would look like one that reads.
const UNSENT_BYTES: u32 = 128 * 1024;

/// TCP over this machine's network.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpTransport;

impl Transport for TcpTransport {
    fn connect<'a>(&'a self, address: &'a str) -> Boxed<'a, Box<dyn Io>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Io>)
        })
    }

    fn listen<'a>(&'a self, address: &'a str) -> Boxed<'a, Box<dyn Listener>> {
        Box::pin(async move {
            let listener = TcpListener::bind(address).await?;
            rustix::net::listen(&listener, BACKLOG)?;
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }
}

impl Listener for TcpListener {
    fn accept(&mut self) -> Boxed<'_, (Box<dyn Io>, String)> {
        Box::pin(async move {
            let (stream, from) = TcpListener::accept(self).await?;
            stream.set_nodelay(true)?;
            // Where it cannot be set, what a client takes is only seen in larger steps.
            let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES);
            Ok((Box::new(stream) as Box<dyn Io>, from.to_string()))
        })
    }

    fn address(&self) -> io::Result<String> {
        Ok(self.local_addr()?.to_string())
    }
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
