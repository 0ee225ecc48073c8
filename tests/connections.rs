//! Clients that would hold the API shut: they read slowly, send large heads, or come in crowds.

use std::{
    sync::Once,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::{
    cli::serve::limited,
    support::{Node, Setup, eventually, waits_mostly},
};

/// More than the API takes at once.
const CROWD: usize = 1_100;
/// Far longer than an answer takes on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// Lets this process open as many files as it may.
fn raise_file_limit() {
    static RAISED: Once = Once::new();
    RAISED.call_once(|| {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        setrlimit(Resource::Nofile, raised).expect("up to the hard limit");
    });
}

fn address(node: &Node) -> String {
    node.client.base().trim_start_matches("http://").to_owned()
}

/// A connection that has sent something, if it was taken in.
async fn sent(address: &str, bytes: &[u8]) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    // The node may have closed it already.
    let _ = stream.write_all(bytes).await;
    Some(stream)
}

/// A connection with a small buffer that has asked for a route and reads nothing.
async fn slow_reader(address: &str, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("set");
    let address = address.parse().expect("an address");
    let mut stream = socket.connect(address).await.expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    stream
}

/// The most memory that a process had, in bytes.
fn peak_bytes(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.process.id()));
    let status = status.expect("it runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("its memory");
    let kilobytes: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    kilobytes * 1024
}

/// Whether a new connection is answered 200 in a few seconds.
async fn is_answered(address: &str, path: &str) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        answer.starts_with(b"HTTP/1.1 200").then_some(())
    };
    matches!(
        tokio::time::timeout(Duration::from_secs(5), asked).await,
        Ok(Some(()))
    )
}

/// A new connection that was answered 200 and stays open, if it was.
async fn stays(address: &str) -> Option<TcpStream> {
    let request = "GET /customers HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut stream = sent(address, request.as_bytes()).await?;
    let mut answer = [0; 64];
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await;
    let read = read.ok()?.ok()?;
    answer[..read]
        .starts_with(b"HTTP/1.1 200")
        .then_some(stream)
}

/// Waits until a new connection is answered 200.
async fn until_answered(address: &str, path: &str) {
    eventually(path, SOON, async || {
        is_answered(address, path).await.then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_crowd_of_slow_readers_keeps_out_neither_health_checks_nor_others() {
    raise_file_limit();
    let node = Setup::new().start().await;
    let address = address(&node);
    let readers = (0..CROWD).map(|_| slow_reader(&address, "/docs/scalar.js"));
    let readers = join_all(readers).await;
    let began = Instant::now();
    for path in ["/healthz", "/readyz", "/healthz"] {
        until_answered(&address, path).await;
    }
    for path in ["/customers", "/stats", "/docs/scalar.js"] {
        until_answered(&address, path).await;
    }
    let body = json!({ "id": "x", "phone": "+79160000001" });
    let client = node.client.with_new_connections();
    client.post("/customers", &body).await.expect(201);
    // More than the one place that an idle client of this test gives back after 10 s.
    let mut newcomers = Vec::new();
    for _ in 0..20 {
        newcomers.push(eventually("a newcomer stays", SOON, async || stays(&address).await).await);
    }
    // Without newcomers a slow reader would be let go after 20 s.
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    drop(readers);
    node.stop().await;
}

#[tokio::test]
async fn a_crowd_that_is_idle_makes_room_for_new_clients_at_once() {
    raise_file_limit();
    let node = Setup::new().start().await;
    let address = address(&node);
    // One has asked and waits, the next has said nothing.
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let idle = (0..CROWD).map(|n| sent(&address, if n % 2 == 0 { request } else { "" }.as_bytes()));
    let idle = join_all(idle).await;
    let began = Instant::now();
    for path in ["/customers", "/healthz", "/stats"] {
        until_answered(&address, path).await;
    }
    // The idle ones would have gone by themselves only after 10 s.
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    drop(idle);
}

#[tokio::test]
async fn a_crowd_of_large_heads_costs_little_memory_and_each_is_431() {
    raise_file_limit();
    let node = Setup::new().start().await;
    let address = address(&node);
    let before = peak_bytes(&node);
    let large = format!(
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}",
        "x".repeat(400_000)
    );
    // Just small enough: it is kept until its time is over.
    let small = &large[..31 * 1024];
    let heads = (0..CROWD).map(|n| {
        let head = if n % 2 == 0 { large.as_str() } else { small };
        sent(&address, head.as_bytes())
    });
    let held = join_all(heads).await;
    until_answered(&address, "/healthz").await;
    let grown = peak_bytes(&node) - before;
    assert!(grown < 120_000_000, "{grown} bytes more");
    drop(held);

    let mut stream = sent(&address, large.as_bytes()).await.expect("connected");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn with_few_files_a_crowd_takes_none_of_those_that_the_node_needs() {
    raise_file_limit();
    let setup = Setup::new().set("NOTTY_GATEWAY__CONCURRENCY", "16");
    let node = setup.start_by(&mut limited(&setup, "-n", 256)).await;
    let address = address(&node);
    // The crowd evicts connections that are kept.
    let client = node.client.with_new_connections();
    let mut crowd = Vec::new();
    for round in 0..4 {
        crowd.extend(join_all((0..150).map(|_| sent(&address, b""))).await);
        crowd.push(Some(slow_reader(&address, "/docs/scalar.js").await));
        until_answered(&address, "/healthz").await;
        // New files of the log and of a copy of the state.
        let body = json!({ "id": format!("c-{round}"), "phone": "+79160000001" });
        client.post("/customers", &body).await.expect(201);
        let backup = client.get("/backup").await;
        assert_eq!(backup.status, 200, "{backup:?}");
    }
    let lines = node.stop().await.join("\n");
    assert!(
        lines.contains("the API takes 112 connections at once"),
        "{lines}"
    );
    assert!(!lines.contains("could not be accepted"), "{lines}");
}

/// Bytes of an answer's body that are missing.
fn missing(answer: &[u8]) -> usize {
    let end = answer
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.expect("a length").parse().expect("a number");
    length - (answer.len() - end - 4)
}

#[tokio::test]
async fn a_download_may_be_slow_but_must_not_stop() {
    waits_mostly();
    let node = Setup::new().start().await;
    let address = address(&node);
    let mut stopped = slow_reader(&address, "/docs/scalar.js").await;
    let mut slow = slow_reader(&address, "/docs/scalar.js").await;

    // Far longer than a client may take nothing.
    let mut piece = vec![0; 24 * 1024];
    let mut answer = Vec::new();
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    for _ in 0..35 {
        seconds.tick().await;
        slow.read_exact(&mut piece).await.expect("it goes on");
        answer.extend_from_slice(&piece);
    }
    assert!(
        missing(&answer) > 256 * 1024,
        "it was not slow: all of it was on its way at once"
    );
    let left = missing(&answer);
    let mut rest = vec![0; left];
    slow.read_exact(&mut rest).await.expect("it ends well");

    // Of the one that stopped there is a part, and then its end.
    let mut part = Vec::new();
    let ended = tokio::time::timeout(SOON, stopped.read_to_end(&mut part)).await;
    assert!(ended.is_ok(), "it goes on");
    assert!(missing(&part) > 0);
}
