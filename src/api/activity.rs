//! The activity of one connection to the API, so that an idle one can make room for another.
//!
//! A client can hold a connection by doing nothing: it sends no request, sends a body slowly, or
//! does not take its answer. [`Activity`] tells these apart from a connection that waits for the
//! node. The streams that report to it are in [`watched`](super::watched); the connection that has
//! to go is chosen in [`places`](super::places).

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Time without a byte taken or sent after which a client counts as slow, and its connection may be
/// evicted for another.
pub(super) const SLOW: Duration = Duration::from_secs(1);

/// The address of a client, as far as it counts for the share that one client may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClientAddress(IpAddr);

impl ClientAddress {
    /// Takes the client's address out of an address with a port. Of IPv6 only the network counts,
    /// because one machine has all of its 2^64 addresses. Texts that are no address are one client.
    pub(super) fn of(address: &str) -> Self {
        let parsed = address
            .parse::<SocketAddr>()
            .map(|address| address.ip().to_canonical());
        Self(match parsed {
            Ok(IpAddr::V6(ip)) => {
                let network = u128::from(ip) >> 64 << 64;
                IpAddr::V6(Ipv6Addr::from(network))
            }
            Ok(v4) => v4,
            Err(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        })
    }
}

/// The reason why a connection waits for its client, and since when. Ordered: the connection that
/// can be spared most easily comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Waits {
    /// The client has sent no request.
    Request(Instant),
    /// The client does not take its answer, or does not send the rest of its request.
    Client(Instant),
}

#[derive(Debug)]
struct ConnectionState {
    /// True from a request's head to the end of its answer.
    is_asked: bool,
    /// True while the client does not take what there is of its answer.
    is_blocked: bool,
    /// True while the request's body is awaited.
    is_uploading: bool,
    /// Time of the client's last action.
    since: Instant,
    is_evicted: bool,
}

/// The activity of one connection, as its streams report it.
#[derive(Debug)]
pub(super) struct Activity {
    /// Address of the client.
    pub(super) source: ClientAddress,
    state: Mutex<ConnectionState>,
    /// Cancelled by an eviction.
    ended: CancellationToken,
}

impl ConnectionState {
    /// True if a request has come to a connection that was seen idle.
    fn has_request_since(&self, seen: Waits) -> bool {
        matches!(seen, Waits::Request(_)) && self.is_asked
    }
}

impl Activity {
    /// The activity of a new connection, which has sent nothing yet.
    pub(super) fn new(source: ClientAddress) -> Arc<Self> {
        let state = ConnectionState {
            is_asked: false,
            is_blocked: false,
            is_uploading: false,
            since: Instant::now(),
            is_evicted: false,
        };
        Arc::new(Self {
            source,
            state: Mutex::new(state),
            ended: CancellationToken::new(),
        })
    }

    /// The client's action that the connection waits for; `None` while it waits for the node.
    pub(super) fn waits(&self) -> Option<Waits> {
        let state = self.state.lock();
        if state.is_blocked || state.is_uploading {
            (state.since.elapsed() >= SLOW).then_some(Waits::Client(state.since))
        } else {
            (!state.is_asked).then_some(Waits::Request(state.since))
        }
    }

    /// Ends the connection. Returns false, and lets it go on, if a request has come since the
    /// connection was seen idle.
    pub(super) fn evict(&self, seen: Waits) -> bool {
        let mut state = self.state.lock();
        if state.has_request_since(seen) {
            return false;
        }

        state.is_evicted = true;
        self.ended.cancel();
        true
    }

    /// Returns once the connection is evicted.
    pub(super) async fn evicted(&self) {
        self.ended.cancelled().await;
    }

    /// Notes that a request has come. Returns false if the connection was evicted: the request must
    /// not be executed, because its answer could not be sent.
    pub(super) fn begin(&self) -> bool {
        let mut state = self.state.lock();
        state.is_asked = true;
        state.since = Instant::now();
        !state.is_evicted
    }

    /// Notes that the answer to a request has ended.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.is_asked = false;
        state.is_uploading = false;
        state.since = Instant::now();
    }

    /// True from a request's head to the end of its answer.
    pub(super) fn is_asked(&self) -> bool {
        self.state.lock().is_asked
    }

    /// Notes that the client took bytes of its answer.
    pub(super) fn took(&self) {
        let mut state = self.state.lock();
        state.is_blocked = false;
        state.since = Instant::now();
    }

    /// Notes that the client does not take what there is of its answer.
    pub(super) fn blocks(&self) {
        self.state.lock().is_blocked = true;
    }

    /// Notes that a piece of the request's body has come, or that the next one is awaited.
    pub(super) fn uploads(&self, is_awaited: bool) {
        let mut state = self.state.lock();
        // Several polls for one piece are one wait, which began with the first of them.
        if !is_awaited || !state.is_uploading {
            state.since = Instant::now();
        }
        state.is_uploading = is_awaited;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let same = |a, b| ClientAddress::of(a) == ClientAddress::of(b);
        assert!(same("192.0.2.1:1", "192.0.2.1:2") && !same("192.0.2.1:1", "192.0.2.2:1"));
        assert!(same("[2001:db8::1]:1", "[2001:db8::2]:1"));
        assert!(!same("[2001:db8::1]:1", "[2001:db8:0:1::1]:1"));
        assert!(same("[::ffff:192.0.2.1]:1", "192.0.2.1:1"));
    }
}
