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
    time::Duration,
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

    fn stream(&self, stream: TcpStream, far: Far) -> Box<SimStream> {
        Box::new(SimStream {
            stream,
            machine: self.machine.clone(),
            far,
            begun: None,
        })
    }
}

impl Transport for SimNet {
    fn connect<'a>(&'a self, address: &'a str) -> Boxed<'a, Box<dyn Io>> {
        Box::pin(async move {
            self.machine.hang_if_dead().await;
            let stream = TcpStream::connect(address).await?;
            Ok(self.stream(stream, Far::Peer) as Box<dyn Io>)
        })
    }

    fn listen<'a>(&'a self, address: &'a str) -> Boxed<'a, Box<dyn Listener>> {
        Box::pin(async move {
            // A machine has one address here, whatever is configured.
            let port = address
                .rsplit_once(':')
                .and_then(|(_, port)| port.parse::<u16>().ok());
            let port = port.ok_or(io::ErrorKind::InvalidInput)?;
            let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
            let far = if port == PEER_PORT {
                Far::Peer
            } else {
                Far::Client
            };
            Ok(Box::new(SimListener {
                listener,
                net: self.clone(),
                far,
            }) as Box<dyn Listener>)
        })
    }

    /// Nobody is on it but the hosts: encrypting would cost time, and random numbers that no seed
    /// gives.
    fn is_closed(&self) -> bool {
        true
    }
}

struct SimListener {
    listener: TcpListener,
    net: SimNet,
    far: Far,
}

impl Listener for SimListener {
    fn accept(&mut self) -> Boxed<'_, (Box<dyn Io>, String)> {
        Box::pin(async move {
            let (stream, from) = self.listener.accept().await?;
            self.net.machine.hang_if_dead().await;
            Ok((
                self.net.stream(stream, self.far) as Box<dyn Io>,
                from.to_string(),
            ))
        })
    }

    fn address(&self) -> io::Result<String> {
        Ok(self.listener.local_addr()?.to_string())
    }
}

impl Connector for SimNet {
    fn connect(&self, host: &str, port: u16, _within: Duration) -> Connecting {
        let (net, host) = (self.clone(), host.to_owned());
        Box::pin(async move {
            net.machine.sending_step("connect");
            net.machine.hang_if_dead().await;
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            Ok(net.stream(stream, Far::Gateway) as Box<dyn notty::gateway::ByteStream>)
        })
    }
}

/// Where peers are listened to.
const PEER_PORT: u16 = 7_080;

/// Who is at the far end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Far {
    Peer,
    Client,
    Gateway,
}

struct SimStream {
    stream: TcpStream,
    machine: Arc<Machine>,
    far: Far,
    /// The message of the latest request.
    begun: Option<u64>,
}

impl SimStream {
    /// Notes a request by its first bytes.
    fn note_request(&mut self, bytes: &[u8]) {
        let head = std::str::from_utf8(&bytes[..bytes.len().min(64)]).unwrap_or_default();
        let id = head
            .strip_prefix("POST /v1/send/")
            .and_then(|rest| rest.split(' ').next());
        if let Some(id) = id.and_then(|id| id.parse().ok()) {
            self.begun = Some(id);
            let (machine, wall) = (self.machine.number, self.machine.wall());
            self.machine.stage.tell(&Event::Begun { machine, id, wall });
        }
    }
}

impl SimStream {
    /// Notes an answer by its first bytes.
    fn note_answer(&self, bytes: &[u8]) {
        let head = std::str::from_utf8(&bytes[..bytes.len().min(64)]).unwrap_or_default();
        let status = head
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.split(' ').next());
        let status = status.and_then(|status| status.parse().ok());
        if let (Some(id), Some(status)) = (self.begun, status) {
            let machine = self.machine.number;
            let event = Event::Heard {
                machine,
                id,
                status,
            };
            self.machine.stage.tell(&event);
        }
    }

    /// Notes that the gateway wants no request for a while.
    fn note_wish(&self, bytes: &[u8]) {
        let head = std::str::from_utf8(bytes).unwrap_or_default();
        let wish = head
            .split_once("retry-after: ")
            .and_then(|(_, rest)| rest.split('\r').next());
        if let Some(seconds) = wish.and_then(|seconds| seconds.parse().ok()) {
            let machine = self.machine.number;
            let event = Event::AskedToWait { machine, seconds };
            self.machine.stage.tell(&event);
        }
    }
}

impl notty::gateway::ByteStream for SimStream {}

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
        if self.far == Far::Gateway && buf.filled().len() > before {
            self.machine.sending_step("answer");
            if self.machine.is_dead() {
                return Poll::Pending;
            }
            self.note_answer(&buf.filled()[before..]);
            self.note_wish(&buf.filled()[before..]);
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
        if self.far == Far::Gateway && !self.machine.is_dead() {
            self.machine.sending_step("request");
        }
        if self.machine.is_dead() {
            return Poll::Pending;
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        if let Ok(bytes) = written {
            // Answers to clients carry the real date: of those, their length counts.
            let counted = if self.far == Far::Client {
                &[]
            } else {
                &buf[..bytes]
            };
            self.machine.stage.sent(&self.machine.name, bytes, counted);
            if self.far == Far::Gateway {
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
