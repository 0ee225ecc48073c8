//! A transport whose node can be cut off from all others, and joined with them again.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use notty_raft::{Io, Listener, TcpTransport, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// The streams of one node.
#[derive(Clone, Default)]
pub(crate) struct Cut(Arc<AtomicBool>);

impl Cut {
    /// Cuts the node off, or joins it with the others.
    pub(crate) fn set(&self, cut: bool) {
        self.0.store(cut, Ordering::SeqCst);
    }

    fn check(&self) -> io::Result<()> {
        match self.0.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::ConnectionReset.into()),
            false => Ok(()),
        }
    }
}

struct CutIo(Box<dyn Io>, Cut);

impl AsyncRead for CutIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.1.check()?;
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for CutIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.1.check()?;
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

struct CutListener(Box<dyn Listener>, Cut);

impl Listener for CutListener {
    fn accept(&mut self) -> Boxed<'_, (Box<dyn Io>, String)> {
        Box::pin(async move {
            let (stream, from) = self.0.accept().await?;
            Ok((Box::new(CutIo(stream, self.1.clone())) as Box<dyn Io>, from))
        })
    }

    fn address(&self) -> io::Result<String> {
        self.0.address()
    }
}

impl Transport for Cut {
    fn connect<'a>(&'a self, address: &'a str) -> Boxed<'a, Box<dyn Io>> {
        Box::pin(async move {
            self.check()?;
            let stream = TcpTransport.connect(address).await?;
            Ok(Box::new(CutIo(stream, self.clone())) as Box<dyn Io>)
        })
    }

    fn listen<'a>(&'a self, address: &'a str) -> Boxed<'a, Box<dyn Listener>> {
        Box::pin(async move {
            let listener = TcpTransport.listen(address).await?;
            Ok(Box::new(CutListener(listener, self.clone())) as Box<dyn Listener>)
        })
    }
}
