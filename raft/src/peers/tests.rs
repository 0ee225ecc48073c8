//! Peers that are silent, slow, or say what nobody should: every step has its time and its bound.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use notty_storage::level::{LEVEL, VERSION};
use tokio::{
    io::{AsyncWriteExt, DuplexStream, duplex},
    task::JoinHandle,
    time::Instant,
};

use super::{
    CallError, Credentials, Io, Listener, Transport,
    call::{Callers, Denial},
    client::Peers,
    handshakes::Handshakes,
    opening,
    proof::Grade,
    protocol::{AnyCall, CallService, PeerCall},
    server::{Admitting, Handler, Handling, Sessions, Who, serve_one},
    session::{Hello, Session},
    transport::IoFuture,
};

/// Longer than any time of the protocol.
const LONG: Duration = Duration::from_secs(300);

fn credentials() -> Credentials {
    Credentials::by_secret(b"a secret of these tests")
}

fn hello(name: &str) -> Hello {
    Hello::new(name, "c", Some(1), "disk")
}

/// A call; its content does not matter here.
fn any() -> CallService {
    CallService(Vec::new())
}

/// Answers anyone, with so many bytes.
struct Anyone(usize);

impl Handler for Anyone {
    fn admit<'a>(&'a self, _peer: &'a Hello, _grade: Grade) -> Admitting<'a> {
        Box::pin(async { Ok(Who::Node) })
    }

    fn handle<'a>(&'a self, _who: Who, _call: AnyCall, session: &'a mut Session) -> Handling<'a> {
        Box::pin(async {
            let answer = Ok::<_, Denial>(vec![0u8; self.0]);
            session.send_in_time(&answer).await
        })
    }
}

/// A transport whose peer is served, or is silent; it counts the streams that it made.
#[derive(Default)]
struct Here {
    silent: bool,
    /// Time that connecting takes.
    slow: Duration,
    streams: AtomicUsize,
}

impl Transport for Here {
    fn connect<'a>(&'a self, _address: &'a str) -> IoFuture<'a, Box<dyn Io>> {
        self.streams.fetch_add(1, Ordering::Relaxed);
        let (near, far) = duplex(64 * 1024);
        let silent = self.silent;
        tokio::spawn(async move {
            if silent {
                tokio::time::sleep(LONG).await;
            }
            drop(serve(far, 10).await);
        });
        Box::pin(async {
            tokio::time::sleep(self.slow).await;
            Ok(Box::new(near) as Box<dyn Io>)
        })
    }

    fn listen<'a>(&'a self, _address: &'a str) -> IoFuture<'a, Box<dyn Listener>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }
}

fn peers(transport: Arc<Here>) -> Peers {
    Peers::new(transport, credentials(), hello("client"))
}

/// Serves one stream to the end of its session.
fn serve(stream: DuplexStream, answer: usize) -> JoinHandle<io::Result<()>> {
    tokio::spawn(async move {
        let (peers, handler, sessions) =
            (peers(Arc::default()), Anyone(answer), Sessions::default());
        let place = Arc::<Handshakes>::default().enter("h:1", Box::new(|| false));
        serve_one(
            Box::new(stream),
            "h:1",
            place,
            &sessions,
            (&peers, &handler),
        )
        .await
    })
}

/// The error with which a session ended, and the time until then.
async fn ended(serving: JoinHandle<io::Result<()>>, since: Instant) -> (io::ErrorKind, Duration) {
    let ended = tokio::time::timeout(LONG, serving)
        .await
        .expect("it ends by itself");
    let error = ended
        .expect("no panic")
        .expect_err("a session never ends well");
    (error.kind(), since.elapsed())
}

async fn opened(near: DuplexStream) -> Session {
    let credentials = credentials();
    let channel = credentials
        .connect(Box::new(near), "h:1")
        .await
        .expect("TLS");
    opening::open(channel, &credentials, &hello("client"))
        .await
        .expect("opened")
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_prove_itself_is_let_go_of() {
    // Nothing, half a record of TLS, and TLS with nothing in it.
    for said in [&b""[..], b"\x16\x03\x01\x02\0\x01\0"] {
        let (mut near, far) = duplex(64 * 1024);
        near.write_all(said).await.expect("sent");
        let (kind, after) = ended(serve(far, 0), Instant::now()).await;
        assert_eq!(kind, io::ErrorKind::TimedOut);
        assert!(after <= Duration::from_secs(4), "{after:?}");
    }
    for said in [
        &b""[..],
        b"nottypr",
        b"nottypr\x03\0\0\0\x40half an opening",
    ] {
        let (near, far) = duplex(64 * 1024);
        let serving = serve(far, 0);
        let mut channel = credentials()
            .connect(Box::new(near), "h:1")
            .await
            .expect("TLS");
        channel.stream.write_all(said).await.expect("sent");
        channel.stream.flush().await.expect("sent");
        let (kind, after) = ended(serving, Instant::now()).await;
        assert_eq!(kind, io::ErrorKind::TimedOut);
        assert!(after <= Duration::from_secs(4), "{after:?}");
    }
    // An opening that is too long is not waited for.
    let (near, far) = duplex(64 * 1024);
    let serving = serve(far, 0);
    let mut channel = credentials()
        .connect(Box::new(near), "h:1")
        .await
        .expect("TLS");
    channel
        .stream
        .write_all(b"nottypr\x02\xff\xff\xff\xff")
        .await
        .expect("sent");
    channel.stream.flush().await.expect("sent");
    drop(channel);
    assert_eq!(
        ended(serving, Instant::now()).await.0,
        io::ErrorKind::PermissionDenied
    );
}

#[tokio::test(start_paused = true)]
async fn a_proved_peer_that_falls_silent_is_let_go_of() {
    let (near, far) = duplex(64 * 1024);
    let serving = serve(far, 0);
    let _session = opened(near).await;
    let (kind, after) = ended(serving, Instant::now()).await;
    assert_eq!(kind, io::ErrorKind::TimedOut);
    assert!(
        after >= Duration::from_secs(45),
        "idle clients keep theirs: {after:?}"
    );

    // In the middle of a frame it is waited for less.
    let (near, far) = duplex(64 * 1024);
    let serving = serve(far, 0);
    let mut session = opened(near).await;
    session
        .stream()
        .write_all(&[0, 0, 1, 0, 7, 7])
        .await
        .expect("sent");
    session.stream().flush().await.expect("sent");
    let (kind, after) = ended(serving, Instant::now()).await;
    assert_eq!(kind, io::ErrorKind::TimedOut);
    assert!(after <= Duration::from_secs(15), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_frame_beyond_the_bound_ends_the_session_unread() {
    let (near, far) = duplex(64 * 1024);
    let serving = serve(far, 0);
    let mut session = opened(near).await;
    session
        .stream()
        .write_all(&u32::MAX.to_be_bytes())
        .await
        .expect("sent");
    session.stream().flush().await.expect("sent");
    let (kind, after) = ended(serving, Instant::now()).await;
    assert_eq!(
        (kind, after),
        (io::ErrorKind::PermissionDenied, Duration::ZERO)
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_take_its_answer_is_let_go_of() {
    let (near, far) = duplex(1_024);
    let serving = serve(far, 100_000);
    let mut session = opened(near).await;
    session.send(&any().into_any()).await.expect("sent");
    let (kind, after) = ended(serving, Instant::now()).await;
    assert_eq!(kind, io::ErrorKind::TimedOut);
    assert!(after <= Duration::from_secs(15), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_to_a_silent_peer_ends_in_time() {
    let here = Arc::new(Here {
        silent: true,
        ..Here::default()
    });
    let began = Instant::now();
    let answer = peers(here).call("peer", any(), LONG).await;
    assert!(
        matches!(answer, Err(CallError::NotSent { .. })),
        "{answer:?}"
    );
    assert!(
        began.elapsed() <= Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_is_used_again_but_not_once_its_peer_may_close_it() {
    let here = Arc::new(Here::default());
    let peers = peers(here.clone());
    let streams = || here.streams.load(Ordering::Relaxed);
    for _ in 0..3 {
        peers.call("peer", any(), LONG).await.expect("an answer");
    }
    assert_eq!(streams(), 1);
    tokio::time::sleep(Duration::from_secs(40)).await;
    peers.call("peer", any(), LONG).await.expect("an answer");
    assert_eq!(streams(), 2);
}

/// As openraft does: each call is given up long before a session is open.
#[tokio::test(start_paused = true)]
async fn a_session_whose_call_was_given_up_serves_the_next() {
    let here = Arc::new(Here {
        slow: Duration::from_millis(400),
        ..Here::default()
    });
    let peers = peers(here.clone());
    let patience = Duration::from_millis(150);
    let mut calls = 0;
    let answered = async {
        loop {
            calls += 1;
            let call = peers.call("peer", any(), LONG);
            if tokio::time::timeout(patience, call).await.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(LONG, answered)
        .await
        .expect("some call finds it open");
    assert!(calls > 1 && calls < 8, "{calls}");
    // Who became somebody else leaves what it was opening before.
    let call = peers.call("another", any(), LONG);
    assert!(tokio::time::timeout(patience, call).await.is_err());
    peers.become_somebody(hello("another name"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = here.streams.load(Ordering::Relaxed);
    peers.call("another", any(), LONG).await.expect("an answer");
    assert_eq!(
        here.streams.load(Ordering::Relaxed),
        before + 1,
        "a session of its own"
    );
}

/// A call of a later version of notty.
#[derive(Debug)]
struct LaterCall;

impl PeerCall for LaterCall {
    type Reply = Vec<u8>;
    const CALLERS: Callers = Callers::Everybody;
    const LEVEL: u32 = LEVEL + 1;

    fn into_any(self) -> AnyCall {
        any().into_any()
    }
}

#[tokio::test]
async fn a_call_that_the_peer_does_not_know_is_not_sent_and_both_levels_are_named() {
    let peers = peers(Arc::default());
    let refused = peers.call("h:1", LaterCall, LONG).await;
    let Err(CallError::NotSent { what, .. }) = refused else {
        panic!("{refused:?}");
    };
    let wanted = format!("does not know this call (level {})", LEVEL + 1);
    assert!(what.contains(&wanted) && what.contains(VERSION), "{what}");
    assert!(peers.call("h:1", any(), LONG).await.is_ok());
}
