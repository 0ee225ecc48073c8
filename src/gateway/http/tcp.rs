//! TCP connections to a gateway: the choice among the addresses of its name, and the socket's options.
//!
//! A name often has several addresses, and the first of them may be dead without a word. So they are
//! tried as RFC 8305 says: the families in turns, the next address a moment after the one before, and
//! the first that connects wins. The others are dropped; nothing was written to them.

use std::{
    collections::HashMap,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use super::connect::{ByteStream, Connecting, Connector, without_brackets};

/// Longest time between the beginnings of two attempts: the value of RFC 8305, section 5.
const STAGGER: Duration = Duration::from_millis(250);
/// Shortest time between the beginnings of two attempts, from the same section.
const LEAST_STAGGER: Duration = Duration::from_millis(10);
/// Idle time after which the system asks whether the far end still knows the connection.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(10);
/// Time between two such questions.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
/// Questions without an answer after which the connection is closed.
const KEEPALIVE_RETRIES: u32 = 3;
/// Time for which written bytes, or these questions, may stay unacknowledged before the system closes
/// the connection.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(25);

/// The address that worked last, by host and port: as many as there are gateways.
type LastAddresses = Arc<Mutex<HashMap<(String, u16), IpAddr>>>;

/// Connections over this machine's network, without a proxy.
#[derive(Clone, Debug, Default)]
pub struct TcpConnector {
    last: LastAddresses,
}

impl Connector for TcpConnector {
    fn connect(&self, host: &str, port: u16, within: Duration) -> Connecting {
        let host = without_brackets(host);
        let last = self.last.clone();

        Box::pin(async move {
            // Each time anew: the gateway may have moved to other addresses.
            let found = lookup(&host, port).await?;
            let gateway = (host, port);
            let worked = last.lock().get(&gateway).copied();

            let addresses = in_turns(found, worked);
            let stagger = stagger(addresses.len(), within);
            let (address, stream) = race(addresses, stagger, open).await?;

            // Written only where it changed: connections are made by many slots at once.
            if worked != Some(address.ip()) {
                last.lock().insert(gateway, address.ip());
            }
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

/// The addresses of a name, in the order that the system prefers.
async fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = tokio::net::lookup_host((host, port)).await?;
    Ok(found.collect())
}

/// Opens a socket with the options that find a dead connection.
async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;

    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(&keepalive())?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(stream)
}

fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_EVERY)
        .with_retries(KEEPALIVE_RETRIES)
}

impl ByteStream for TcpStream {
    fn has_news(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        match SockRef::from(self).peek(&mut byte) {
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
            // Its end, or bytes that nobody asked for.
            Ok(_) => true,
        }
    }
}

/// The order of attempts: the address that worked last, then the families in turns, beginning with the
/// family that the system prefers.
fn in_turns(found: Vec<SocketAddr>, worked: Option<IpAddr>) -> Vec<SocketAddr> {
    let prefers_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let is_preferred = |address: &SocketAddr| address.is_ipv6() == prefers_v6;
    let (first, second) = found.into_iter().partition(is_preferred);
    let mut ordered = alternate(first, second);

    // A stable sort: the others keep their order.
    ordered.sort_by_key(|address| Some(address.ip()) != worked);
    ordered
}

/// One address of either list in turns, then the rest of the longer one.
fn alternate(first: Vec<SocketAddr>, second: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut ordered = Vec::with_capacity(first.len() + second.len());
    let mut second = second.into_iter();
    for address in first {
        ordered.push(address);
        ordered.extend(second.next());
    }
    ordered.extend(second);
    ordered
}

/// Time between two attempts, such that the last one still has half of the time to connect.
fn stagger(addresses: usize, within: Duration) -> Duration {
    let attempts = u32::try_from(addresses.max(1)).unwrap_or(u32::MAX);
    (within / 2 / attempts).clamp(LEAST_STAGGER, STAGGER)
}

/// Tries addresses until one connects. The next attempt begins when one fails, or a moment after the
/// one before.
async fn race<S, F: Future<Output = io::Result<S>>>(
    addresses: Vec<SocketAddr>,
    stagger: Duration,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<(SocketAddr, S)> {
    // The error of an attempt names its address: only one of them is reported.
    let attempt = async |address| match connect(address).await {
        Ok(stream) => Ok((address, stream)),
        Err(error) => Err(at_address(address, &error)),
    };
    let mut attempts = FuturesUnordered::new();
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");

    for address in addresses {
        attempts.push(attempt(address));
        match tokio::time::timeout(stagger, attempts.next()).await {
            Ok(Some(Ok(connected))) => return Ok(connected),
            Ok(Some(Err(error))) => last_error = error,
            // The attempt goes on, next to the one that follows.
            Ok(None) | Err(_) => {}
        }
    }

    // All are under way: the first that connects wins, and dropping the others closes them.
    while let Some(ended) = attempts.next().await {
        match ended {
            Ok(connected) => return Ok(connected),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

fn at_address(address: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{address}: {error}"))
}

#[cfg(test)]
#[path = "tests/tcp.rs"]
mod tests;
