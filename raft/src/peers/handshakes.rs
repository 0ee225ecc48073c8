//! Places for peers that have not proved themselves yet: few, and a newcomer never waits for one.
//!
//! A connection that sends nothing takes one of them, and anybody can open one. So a newcomer that
//! finds none free gets the place of another: of the host that holds most of them, hosts with a proved
//! session last, and there of the connection that has come least far and waits longest. A flood of
//! silent connections evicts itself. Silent is who has sent nothing, and not whom a busy node has not read
//! yet: so the system is asked before a place is taken away. The proofs themselves are made in
//! [`super::opening`].

use std::{
    collections::HashMap,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
};

use super::transport::{Io, Peek};

/// Places for all hosts together.
const PLACES: usize = 256;
/// Places for one host.
const PLACES_OF_HOST: usize = 64;

/// The places, and the hosts with proved sessions.
#[derive(Default)]
pub(super) struct Handshakes(Mutex<TakenPlaces>);

#[derive(Default)]
struct TakenPlaces {
    /// Number of the connection that came last.
    last: u64,
    /// Connections without a proof, the oldest first.
    unproved: Vec<Unproved>,
    /// Sessions that are proved, by host.
    proved: HashMap<String, usize>,
}

/// Progress of a connection that is not proved yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HandshakeStep {
    /// The connection is open, and nothing came.
    Silent,
    /// Something came: a peer that speaks TLS sends its first message at once.
    Spoken,
    /// TLS is agreed on.
    Encrypted,
}

/// A place that is taken.
struct Unproved {
    number: u64,
    host: String,
    came_to: HandshakeStep,
    /// Shows whether it has sent anything; `None` once that is known.
    has_sent: Option<Peek>,
    /// Dropped to take the place away.
    _hold: oneshot::Sender<()>,
}

/// A place, for as long as it is kept.
pub(super) struct HandshakePlace {
    handshakes: Arc<Handshakes>,
    number: u64,
}

/// A stream that notes in its place when the first bytes come.
pub(super) struct Listened {
    pub(super) stream: Box<dyn Io>,
    /// `None` once they have come.
    pub(super) place: Option<Arc<HandshakePlace>>,
}

impl AsyncRead for Listened {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let came = buf.filled().len() - before;

        if self
            .place
            .as_ref()
            .is_some_and(|place| place.has_spoken(came))
        {
            self.place = None;
        }
        read
    }
}

impl AsyncWrite for Listened {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Ends when a place is taken away.
pub(super) struct Evicted(oneshot::Receiver<()>);

impl Future for Evicted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

/// A session that is proved, for as long as this is kept.
pub(super) struct Proved {
    handshakes: Arc<Handshakes>,
    host: String,
}

impl Handshakes {
    /// Gives a newcomer a place, if need be that of another.
    /// `has_sent` shows whether it has sent anything.
    pub(super) fn enter(
        self: &Arc<Self>,
        from: &str,
        has_sent: Peek,
    ) -> (Arc<HandshakePlace>, Evicted) {
        let host = host_of(from);
        let mut taken = self.0.lock();
        // A host with too many gives up one of its own before the others have to.
        let of_host = taken
            .unproved
            .iter()
            .filter(|other| other.host == host)
            .count();
        if of_host >= PLACES_OF_HOST {
            taken.evict(&host);
        } else if taken.unproved.len() >= PLACES
            && let Some(host) = taken.busiest_host()
        {
            taken.evict(&host);
        }

        taken.last += 1;
        let number = taken.last;
        // Dropping one end wakes the other: that is the eviction.
        let (hold, evicted) = oneshot::channel();
        taken.unproved.push(Unproved {
            number,
            host,
            came_to: HandshakeStep::Silent,
            has_sent: Some(has_sent),
            _hold: hold,
        });

        (
            Arc::new(HandshakePlace {
                handshakes: self.clone(),
                number,
            }),
            Evicted(evicted),
        )
    }
}

impl TakenPlaces {
    /// Takes away a host's place that has come least far, the oldest of them.
    fn evict(&mut self, host: &str) {
        // Ends: each round but the last notes of one more place that it is not silent.
        while let Some(at) = self.least_far(host) {
            if !self.unproved[at].has_spoken_unread() {
                self.unproved.remove(at);
                return;
            }
            self.unproved[at].note(HandshakeStep::Spoken);
        }
    }

    /// The position of a host's place that has come least far, the oldest of them.
    fn least_far(&self, host: &str) -> Option<usize> {
        let all = self.unproved.iter().enumerate();
        let of_host = all.filter(|(_, other)| other.host == host);
        let least = of_host.min_by_key(|(_, other)| other.came_to);
        least.map(|(at, _)| at)
    }

    /// The host with most places, those without a proved session first.
    fn busiest_host(&self) -> Option<String> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for other in &self.unproved {
            *counts.entry(&other.host).or_default() += 1;
        }
        // A host that has proved itself before is spared as long as another can give up a place.
        let rank = |(host, count): &(&str, usize)| (!self.proved.contains_key(*host), *count);
        counts
            .into_iter()
            .max_by_key(rank)
            .map(|(host, _)| host.to_owned())
    }
}

impl Unproved {
    /// True if it has sent something that this node, which is busy, has not read yet.
    fn has_spoken_unread(&self) -> bool {
        self.has_sent.as_ref().is_some_and(|has_sent| has_sent())
    }

    fn note(&mut self, step: HandshakeStep) {
        self.came_to = step;
        self.has_sent = None;
    }
}

impl HandshakePlace {
    /// Notes the progress of its connection.
    pub(super) fn note(&self, step: HandshakeStep) {
        let mut taken = self.handshakes.0.lock();
        let mine = taken
            .unproved
            .iter_mut()
            .find(|other| other.number == self.number);
        if let Some(mine) = mine {
            mine.note(step);
        }
    }

    fn leave(&self) {
        self.handshakes
            .0
            .lock()
            .unproved
            .retain(|other| other.number != self.number);
    }

    /// True if something has come, which is noted.
    fn has_spoken(&self, bytes: usize) -> bool {
        if bytes > 0 {
            self.note(HandshakeStep::Spoken);
        }
        bytes > 0
    }

    /// Frees the place, because its connection is proved.
    pub(super) fn prove(&self, from: &str) -> Proved {
        let host = host_of(from);
        self.leave();

        let mut taken = self.handshakes.0.lock();
        *taken.proved.entry(host.clone()).or_default() += 1;
        drop(taken);
        Proved {
            handshakes: self.handshakes.clone(),
            host,
        }
    }
}

impl Drop for HandshakePlace {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Drop for Proved {
    fn drop(&mut self) {
        let mut taken = self.handshakes.0.lock();
        if let Some(count) = taken.proved.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                taken.proved.remove(&self.host);
            }
        }
    }
}

/// The host of an address. Of IPv6 it is the network, of which a host has all addresses.
pub(super) fn host_of(from: &str) -> String {
    match from.parse() {
        Ok(SocketAddr::V4(at)) => at.ip().to_string(),
        Ok(SocketAddr::V6(at)) => match at.ip().to_ipv4_mapped() {
            Some(ip) => ip.to_string(),
            None => format!("{:x?}", &at.ip().segments()[..4]),
        },
        Err(_) => from
            .rsplit_once(':')
            .map_or(from, |(host, _)| host)
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    type Entered = (Arc<HandshakePlace>, Evicted);

    /// A newcomer that sends nothing.
    fn enter(handshakes: &Arc<Handshakes>, from: &str) -> Entered {
        handshakes.enter(from, Box::new(|| false))
    }

    fn is_evicted((_, evicted): &mut Entered) -> bool {
        !matches!(
            evicted.0.try_recv(),
            Err(oneshot::error::TryRecvError::Empty)
        )
    }

    #[test]
    fn a_flood_of_one_host_pushes_out_itself_and_the_silent_first() {
        let handshakes = Arc::new(Handshakes::default());
        let mut spoke = enter(&handshakes, "10.0.0.1:1");
        spoke.0.note(HandshakeStep::Spoken);
        let mut other = enter(&handshakes, "10.0.0.2:1");
        let mut flood: Vec<_> = (0..1_100)
            .map(|_| enter(&handshakes, "10.0.0.1:2"))
            .collect();
        assert!(!is_evicted(&mut spoke) && !is_evicted(&mut other));
        assert!(
            !is_evicted(flood.last_mut().expect("many")),
            "the newest is let in"
        );
        let left: Vec<_> = flood.iter_mut().map(|one| !is_evicted(one)).collect();
        let newest = flood.len() - (PLACES_OF_HOST - 1);
        assert!(
            left.iter()
                .enumerate()
                .all(|(at, left)| *left == (at >= newest)),
            "{left:?}"
        );
    }

    #[test]
    fn whoever_has_sent_something_is_not_silent_although_nobody_has_read_it_yet() {
        let handshakes = Arc::new(Handshakes::default());
        let has_sent = Arc::<AtomicBool>::default();
        let sends = has_sent.clone();
        let peek = move || sends.load(Ordering::Relaxed);
        let mut newcomer = handshakes.enter("10.0.0.1:1", Box::new(peek));
        has_sent.store(true, Ordering::Relaxed);
        let _flood: Vec<_> = (0..1_100)
            .map(|_| enter(&handshakes, "10.0.0.1:2"))
            .collect();
        assert!(!is_evicted(&mut newcomer));
    }

    #[test]
    fn those_who_have_all_sent_something_give_way_like_others() {
        let handshakes = Arc::new(Handshakes::default());
        let enter = |_| handshakes.enter("10.0.0.1:1", Box::new(|| true));
        let mut all: Vec<_> = (0..=PLACES_OF_HOST).map(enter).collect();
        let evicted = all.iter_mut().map(is_evicted).filter(|evicted| *evicted);
        assert_eq!(evicted.count(), 1);
        assert!(is_evicted(&mut all[0]), "the oldest");
    }

    #[test]
    fn a_flood_of_many_hosts_leaves_those_alone_that_have_proved_themselves() {
        let handshakes = Arc::new(Handshakes::default());
        let _proved = enter(&handshakes, "10.0.0.1:1").0.prove("10.0.0.1:1");
        let mut again: Vec<_> = (0..8).map(|_| enter(&handshakes, "10.0.0.1:2")).collect();
        let flood = (0..5_000).map(|n| enter(&handshakes, &format!("10.1.{}.1:2", n % 250)));
        let _flood: Vec<_> = flood.collect();
        assert!(!again.iter_mut().any(is_evicted));
        assert_eq!(handshakes.0.lock().unproved.len(), PLACES);
    }

    #[test]
    fn a_place_that_is_given_back_is_free() {
        let handshakes = Arc::new(Handshakes::default());
        let mut first = enter(&handshakes, "10.0.0.1:1");
        for _ in 0..1_000 {
            drop(enter(&handshakes, "10.0.0.1:1"));
            drop(enter(&handshakes, "10.0.0.1:1").0.prove("10.0.0.1:1"));
        }
        assert!(!is_evicted(&mut first));
        assert!(handshakes.0.lock().proved.is_empty());
    }
}
