//! The choice among addresses, with real sockets: some take connections, some never answer.

use std::{
    net::Ipv6Addr,
    sync::atomic::{AtomicUsize, Ordering},
};

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

use super::*;

/// Longest wait for anything in these tests.
const LONG: Duration = Duration::from_secs(20);

fn v4(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 80))
}

fn v6(last: u16) -> SocketAddr {
    (Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last), 80).into()
}

#[test]
fn families_take_turns_beginning_with_the_one_that_the_system_prefers() {
    let found = vec![v6(1), v6(2), v6(3), v4(1), v4(2)];
    let ordered = in_turns(found, None);
    assert_eq!(ordered, [v6(1), v4(1), v6(2), v4(2), v6(3)]);
    let ordered = in_turns(vec![v4(1), v6(1), v6(2)], None);
    assert_eq!(ordered, [v4(1), v6(1), v6(2)]);
}

#[test]
fn the_address_that_worked_last_comes_first_while_the_name_still_has_it() {
    let found = || vec![v6(1), v6(2), v4(1)];
    assert_eq!(in_turns(found(), Some(v4(1).ip())), [v4(1), v6(1), v6(2)]);
    assert_eq!(in_turns(found(), Some(v4(9).ip())), [v6(1), v4(1), v6(2)]);
}

#[test]
fn every_address_has_its_turn_in_the_time_there_is() {
    let second = Duration::from_secs(1);
    assert_eq!(stagger(1, 2 * second), STAGGER);
    assert_eq!(stagger(2, 2 * second), STAGGER);
    assert_eq!(stagger(10, 2 * second), Duration::from_millis(100));
    assert_eq!(stagger(5, Duration::from_millis(30)), LEAST_STAGGER);
}

/// An address at which connections are neither taken nor refused: its queue is full.
struct FullQueue {
    at: SocketAddr,
    _listener: Socket,
    _queued: Vec<std::net::TcpStream>,
}

impl FullQueue {
    fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        listener.bind(&any.into()).expect("a port");
        listener.listen(0).expect("it listens");
        let at = listener.local_addr().expect("an address");
        let at = at.as_socket().expect("of a network");

        // Until one does not get through any more.
        let connect = || std::net::TcpStream::connect_timeout(&at, Duration::from_millis(200));
        let queued = std::iter::from_fn(|| connect().ok()).take(64).collect();
        Self {
            at,
            _listener: listener,
            _queued: queued,
        }
    }
}

/// An address that refuses connections.
async fn refusing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

async fn race_among(addresses: Vec<SocketAddr>) -> io::Result<SocketAddr> {
    let racing = race(addresses, Duration::from_millis(20), open);
    let ended = tokio::time::timeout(LONG, racing).await.expect("in time");
    ended.map(|(address, _)| address)
}

#[tokio::test]
async fn an_address_that_swallows_connections_does_not_hold_up_the_one_that_works() {
    let swallowing = FullQueue::new();
    let works = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = works.local_addr().expect("an address");
    let refuses = refusing().await;
    let won = race_among(vec![swallowing.at, refuses, at]).await;
    assert_eq!(won.expect("connected"), at);
}

#[tokio::test]
async fn an_address_that_refuses_gives_way_at_once() {
    let works = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = works.local_addr().expect("an address");
    let addresses = vec![refusing().await, refusing().await, at];
    let racing = race(addresses, Duration::from_secs(3_600), open);
    let (won, _) = tokio::time::timeout(LONG, racing)
        .await
        .expect("at once")
        .expect("connected");
    assert_eq!(won, at);
}

#[tokio::test]
async fn only_the_winner_stays_connected() {
    // Both answer at the same time, each attempt after the other has begun.
    let open_attempts = AtomicUsize::new(0);
    struct Attempt<'c>(&'c AtomicUsize);
    impl Drop for Attempt<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let both = tokio::sync::Barrier::new(2);
    let connect = async |_| {
        open_attempts.fetch_add(1, Ordering::Relaxed);
        let attempt = Attempt(&open_attempts);
        both.wait().await;
        Ok(attempt)
    };
    let won = race(vec![v4(1), v4(2)], Duration::from_millis(1), connect).await;
    let won = won.map_err(|error| error.to_string()).expect("connected");
    assert_eq!(open_attempts.load(Ordering::Relaxed), 1);
    drop(won);
}

#[tokio::test]
async fn the_error_names_the_address_and_a_name_without_one_is_an_error() {
    let refuses = refusing().await;
    let error = race_among(vec![refuses]).await.expect_err("refused");
    assert!(error.to_string().contains(&refuses.to_string()), "{error}");
    assert!(race_among(Vec::new()).await.is_err());
}

#[tokio::test]
async fn the_connector_remembers_the_address_that_worked() {
    let works = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = works.local_addr().expect("an address").port();
    let connector = TcpConnector::default();
    connector
        .connect("localhost", port, LONG)
        .await
        .expect("connected");
    let last = connector
        .last
        .lock()
        .get(&("localhost".to_owned(), port))
        .copied();
    assert_eq!(last, Some(IpAddr::from([127, 0, 0, 1])));
}
