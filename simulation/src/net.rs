//! Streams on turmoil's network, for peers, the API's clients and the gateway.
//!
//! A host that is dead sends nothing more, although its tasks are only dropped after the present
//! step: its streams hang. Streams to the gateway note each request that is begun, by its first
//! bytes, and may kill their host at any step of a send.

use std::{
    io,
    net::Ipv4Addr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use notty::gateway::{Connecting, Connector};
use notty_raft::{Io, Listener, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

use crate::{event::Event, hosts::Machine};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Streams of one machine.
#[derive(Clone)]
pub struct SimNet {
    machine: Arc<Machine>,
}

impl SimNet {
    /// For a machine.
    pub fn new(machine: Arc<Machine>) -> Self {
        Self { machine }
    }

    fn stream(&self, stream: TcpStream, to_gateway: bool) -> Box<SimStream> {
        Box::new(SimStream { stream, machine: self.machine.clone(), to_gateway })
    }
}

impl Transport for SimNet {
    fn connect<'a>(&'a self, address: &'a str) -> Boxed<'a, Box<dyn Io>> {
        Box::pin(async move {
            self.machine.hang_if_dead().await;
            let stream = TcpStream::connect(address).await?;
            Ok(self.stream(stream, false) as Box<dyn Io>)
        })
    }

    fn listen<'a>(&'a self, address: &'a str) -> Boxed<'a, Box<dyn Listener>> {
        Box::pin(async move {
            // A machine has one address here, whatever is configured.
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            let port = port.ok_or(io::ErrorKind::InvalidInput)?;
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
            Ok(Box::new(SimListener { listener, net: self.clone() }) as Box<dyn Listener>)
        })
    }
}

struct SimListener {
    listener: TcpListener,
    net: SimNet,
}

impl Listener for SimListener {
    fn accept(&mut self) -> Boxed<'_, (Box<dyn Io>, String)> {
        Box::pin(async move {
            let (stream, from) = self.listener.accept().await?;
            self.net.machine.hang_if_dead().await;
            Ok((self.net.stream(stream, false) as Box<dyn Io>, from.to_string()))
        })
    }

    fn address(&self) -> io::Result<String> {
        Ok(self.listener.local_addr()?.to_string())
    }
}

impl Connector for SimNet {
    fn connect(&self, host: &str, port: u16) -> Connecting {
        let (net, host) = (self.clone(), host.to_owned());
        Box::pin(async move {
            net.machine.sending_step("connect");
            net.machine.hang_if_dead().await;
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            Ok(net.stream(stream, true) as Box<dyn notty::gateway::Io>)
        })
    }
}

struct SimStream {
    stream: TcpStream,
    machine: Arc<Machine>,
    to_gateway: bool,
}

impl SimStream {
    /// Notes a request by its first bytes.
    fn note_request(&self, bytes: &[u8]) {
        let head = std::str::from_utf8(&bytes[..bytes.len().min(64)]).unwrap_or_default();
        let id = head.strip_prefix("POST /v1/send/").and_then(|rest| rest.split(' ').next());
        if let Some(id) = id.and_then(|id| id.parse().ok()) {
            let (machine, wall) = (self.machine.number, self.machine.wall());
            self.machine.stage.tell(&Event::Begun { machine, id, wall });
        }
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.machine.is_dead() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        if self.to_gateway && buf.filled().len() > before {
            self.machine.sending_step("answer");
            if self.machine.is_dead() {
                return Poll::Pending;
            }
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.to_gateway && !self.machine.is_dead() {
            self.machine.sending_step("request");
        }
        if self.machine.is_dead() {
            return Poll::Pending;
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        if let Ok(bytes) = written {
            self.machine.stage.sent(&self.machine.name, &buf[..bytes]);
            if self.to_gateway {
                self.note_request(buf);
                self.machine.sending_step("wait");
            }
        }
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
