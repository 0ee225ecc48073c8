//! A transport whose links between two nodes can be cut: nothing comes over them, and nobody says so.

use std::{
    collections::BTreeSet,
    future::{Future, pending},
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use notty_raft::{Io, Listener, TcpTransport, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// The links between nodes, by their addresses.
#[derive(Clone, Default)]
pub(crate) struct Links(Arc<Mutex<BTreeSet<[String; 2]>>>);

impl Links {
    /// Cuts the link between two addresses, or mends it.
    pub(crate) fn set(&self, one: &str, other: &str, is_cut: bool) {
        let mut cut = self.0.lock().expect("no panic");
        if is_cut {
            cut.insert(pair(one, other));
        } else {
            cut.remove(&pair(one, other));
        }
    }

    fn is_cut(&self, ends: &[String; 2]) -> bool {
        self.0.lock().expect("no panic").contains(ends)
    }

    /// The links as a node at an address has them.
    pub(crate) fn of(&self, address: &str) -> LinkedTransport {
        LinkedTransport {
            links: self.clone(),
            me: address.to_owned(),
        }
    }
}

fn pair(one: &str, other: &str) -> [String; 2] {
    let mut ends = [one.to_owned(), other.to_owned()];
    ends.sort();
    ends
}

/// The transport of one node.
pub(crate) struct LinkedTransport {
    links: Links,
    me: String,
}

impl Transport for LinkedTransport {
    fn connect<'a>(&'a self, address: &'a str) -> Boxed<'a, Box<dyn Io>> {
        Box::pin(async move {
            let ends = pair(&self.me, address);
            if self.links.is_cut(&ends) {
                return pending().await;
            }
            let stream = TcpTransport.connect(address).await?;
            let links = self.links.clone();
            Ok(Box::new(LinkedIo {
                stream,
                links,
                ends,
            }) as Box<dyn Io>)
        })
    }

    fn listen<'a>(&'a self, address: &'a str) -> Boxed<'a, Box<dyn Listener>> {
        // The end that connects holds the bytes of both directions back.
        TcpTransport.listen(address)
    }
}

/// A stream over a link. While that is cut it hangs: whoever waits for it gives up by itself.
struct LinkedIo {
    stream: Box<dyn Io>,
    links: Links,
    ends: [String; 2],
}

impl LinkedIo {
    fn poll<T>(&mut self, poll: impl FnOnce(Pin<&mut Box<dyn Io>>) -> Poll<T>) -> Poll<T> {
        if self.links.is_cut(&self.ends) {
            return Poll::Pending;
        }
        poll(Pin::new(&mut self.stream))
    }
}

impl AsyncRead for LinkedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for LinkedIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(|stream| stream.poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_shutdown(cx))
    }
}
