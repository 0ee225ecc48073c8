//! Tests of a node whose state stands still, as over a disk that takes a write and never answers.

use std::{path::Path, sync::Arc, time::Duration};

use notty_storage::{StoreOptions, command::RegisterPostman, model::PostmanName};
use tokio::time::timeout;

use crate::{
    ClusterOptions, Node, NodeOptions, NotReady, Peer, SystemClock, TcpTransport,
    disk::files::RealFiles, ports::free_addresses,
};

/// Far longer than anything here needs, and shorter than what the watchdog waits for.
const SOON: Duration = Duration::from_secs(25);

fn register(name: &str) -> RegisterPostman {
    RegisterPostman {
        name: PostmanName::parse(name).expect("a name"),
        nonce: 7,
    }
}

async fn open(dir: &Path, me: Peer, nodes: Vec<Peer>) -> Arc<Node> {
    let options = NodeOptions {
        commit: String::new(),
        exercises_levels: false,
        cluster: Some(ClusterOptions {
            listen: me.peer.clone(),
            credentials: crate::Credentials::by_secret(b"a secret of these tests"),
            expect: nodes.len(),
            nodes,
            transport: Arc::new(TcpTransport),
        }),
        peer: me.clone(),
        store: StoreOptions::default(),
        log: Default::default(),
        files: Arc::new(RealFiles),
        onlooker: None,
        clock: Arc::new(SystemClock),
        fatal: Arc::new(|line| panic!("{line}")),
    };
    let node = Node::open(&dir.join(&me.name), options)
        .await
        .expect("it opens");
    assert!(node.ready().await);
    node
}

async fn form(dir: &Path, count: usize) -> Vec<Arc<Node>> {
    let peer = |(n, peer)| Peer {
        name: format!("node-{n}"),
        peer,
        ..Peer::default()
    };
    let peers: Vec<_> = free_addresses(count)
        .into_iter()
        .enumerate()
        .map(peer)
        .collect();
    let opening = peers.iter().map(|me| open(dir, me.clone(), peers.clone()));
    timeout(SOON, futures_util::future::join_all(opening))
        .await
        .expect("in time")
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, waiting)
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"));
}

async fn leader(nodes: &[Arc<Node>]) -> Arc<Node> {
    until("one leads", async || {
        nodes.iter().any(|node| node.leads_now())
    })
    .await;
    nodes
        .iter()
        .find(|node| node.leads_now())
        .expect("it leads still")
        .clone()
}

/// Keeps a node from applying, until it is told otherwise.
fn hold(node: &Arc<Node>) -> std::sync::mpsc::Sender<()> {
    let (release, released) = std::sync::mpsc::channel();
    let (sender, held) = std::sync::mpsc::channel();
    let node = node.clone();
    std::thread::spawn(move || {
        let _held = node.hold_applying();
        sender.send(()).expect("someone waits");
        // Until the test ends, at the latest.
        let _ = released.recv();
    });
    held.recv().expect("it is held");
    release
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_that_cannot_apply_is_not_ready_and_hands_over_and_is_well_once_it_can() {
    let dir = tempfile::tempdir().expect("a directory");
    let nodes = form(dir.path(), 3).await;
    let before = leader(&nodes).await;
    let release = hold(&before);
    // It is committed, and nobody is told.
    let proposer = before.clone();
    let proposing = tokio::spawn(async move { proposer.act(register("waits")).await });
    until("it is not ready", async || {
        before
            .unready_reasons()
            .await
            .iter()
            .any(|reason| matches!(reason, NotReady::Behind(why) if why.contains("applied")))
    })
    .await;
    let others: Vec<_> = nodes
        .iter()
        .filter(|node| !Arc::ptr_eq(node, &before))
        .cloned()
        .collect();
    let after = leader(&others).await;
    after
        .act(register("after"))
        .await
        .expect("the cluster goes on");
    assert!(!before.unready_reasons().await.is_empty());
    drop(release);
    until("it is ready again", async || {
        before.unready_reasons().await.is_empty()
    })
    .await;
    assert_eq!(before.state_hash(), after.state_hash());
    drop(proposing.await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_by_itself_that_cannot_apply_says_so_and_leads_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let node = form(dir.path(), 1).await.remove(0);
    let release = hold(&node);
    let proposer = node.clone();
    let proposing = tokio::spawn(async move { proposer.act(register("waits")).await });
    until("it is not ready", async || {
        !node.unready_reasons().await.is_empty()
    })
    .await;
    drop(release);
    let written = timeout(SOON, proposing)
        .await
        .expect("in time")
        .expect("no panic");
    written.expect("it is applied at last");
    until("it is ready again", async || {
        node.unready_reasons().await.is_empty()
    })
    .await;
}
