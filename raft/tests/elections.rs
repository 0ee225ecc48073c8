//! Elections over links that are cut: nodes in one process, over real sockets.

mod links;
#[path = "../../tests/support/ports.rs"]
mod ports;
#[path = "../../tests/support/wait.rs"]
mod wait;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use links::Links;
use notty_raft::{ClusterOptions, Credentials, Node, NodeOptions, Peer, SystemClock};
use notty_storage::{Command, StoreOptions, command::RegisterPostman, model::PostmanName};
use ports::free_addresses;
use tempfile::TempDir;
use wait::eventually;

type Result<T = ()> = anyhow::Result<T>;

/// Far longer than anything here needs.
const SOON: Duration = Duration::from_secs(30);

struct Nodes {
    _dir: TempDir,
    peers: Vec<Peer>,
    links: Links,
    nodes: Vec<Arc<Node>>,
}

impl Nodes {
    async fn form(count: usize) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let addresses = free_addresses(count).into_iter().enumerate();
        let peers: Vec<_> = addresses
            .map(|(n, peer)| Peer {
                name: format!("node-{n}"),
                peer,
                ..Peer::default()
            })
            .collect();
        let links = Links::default();

        // None of them is there before all are.
        let opening = (0..count).map(|n| {
            let data = dir.path().join(format!("node-{n}"));
            let options = options(n, &peers, &links);
            async move { Node::open(&data, options).await }
        });
        let opened = futures_util::future::join_all(opening).await;
        let nodes = opened.into_iter().collect::<std::result::Result<_, _>>()?;
        Ok(Self {
            _dir: dir,
            peers,
            links,
            nodes,
        })
    }

    /// Cuts a node off from some others, or mends these links.
    fn set_cut(&self, one: usize, others: &[usize], is_cut: bool) {
        for other in others.iter().filter(|other| **other != one) {
            let ends = (&self.peers[one].peer, &self.peers[*other].peer);
            self.links.set(ends.0, ends.1, is_cut);
        }
    }

    fn all(&self) -> Vec<usize> {
        (0..self.nodes.len()).collect()
    }

    /// Waits until one of some nodes leads.
    async fn leader_among(&self, some: &[usize]) -> usize {
        let leads = |n: &usize| self.nodes[*n].leads_now();
        until(|| some.iter().copied().find(leads)).await
    }

    /// Waits until all of some nodes name the same leader.
    async fn follow_one(&self, some: &[usize]) -> usize {
        until(|| {
            let named = |n: &usize| self.nodes[*n].status().leader;
            let first = named(some.first()?)?;
            let agree = some.iter().all(|n| named(n).as_ref() == Some(&first));
            let named = self.peers.iter().position(|peer| peer.name == first);
            named.filter(|_| agree)
        })
        .await
    }
}

fn options(n: usize, peers: &[Peer], links: &Links) -> NodeOptions {
    let peer = peers[n].clone();
    NodeOptions {
        commit: String::new(),
        exercises_levels: false,
        cluster: Some(ClusterOptions {
            listen: peer.peer.clone(),
            credentials: Credentials::by_secret(b"a secret of this test"),
            expect: peers.len(),
            nodes: peers.to_vec(),
            transport: Arc::new(links.of(&peer.peer)),
        }),
        peer,
        store: StoreOptions::default(),
        log: Default::default(),
        files: Arc::new(notty_raft::disk::files::RealFiles),
        onlooker: None,
        clock: Arc::new(SystemClock),
        fatal: Arc::new(|line| panic!("{line}")),
    }
}

fn register(nonce: u64) -> Command<RegisterPostman> {
    let name = PostmanName::parse("a").expect("a valid name");
    Command::new(RegisterPostman { name, nonce })
}

/// Waits until a look shows something.
async fn until<T>(look: impl Fn() -> Option<T>) -> T {
    eventually("the nodes come to it", SOON, async || look()).await
}

/// Waits until a node has a command executed. Returns its position.
async fn writes(node: &Node) -> u64 {
    let mut nonce = 0;
    eventually("a command is executed", SOON, async || {
        nonce += 1;
        let written = node.propose(register(nonce)).await;
        written.ok().map(|written| written.index)
    })
    .await
}

/// The leader dies without a word, and a follower with less of the log than the other asks it for
/// support again and again, each time in vain. Another node is elected meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_asks_a_dead_node_for_support_names_the_new_leader_at_once() -> Result {
    const ROUNDS: usize = 4;
    let trio = Nodes::form(3).await?;
    let all = trio.all();
    let mut leader = trio.follow_one(&all).await;
    let mut waited = Vec::new();

    for _ in 0..ROUNDS {
        let [next, behind] = [(leader + 1) % 3, (leader + 2) % 3];
        trio.set_cut(behind, &all, true);
        let index = writes(&trio.nodes[leader]).await;
        until(|| (trio.nodes[next].applied_index() >= index).then_some(())).await;

        // It has waited for long and asks already.
        until(|| trio.nodes[behind].status().leader.is_none().then_some(())).await;
        trio.set_cut(leader, &all, true);
        trio.set_cut(behind, &[next], false);
        assert_eq!(trio.leader_among(&[next, behind]).await, next);
        let elected = Instant::now();
        let follows = || trio.nodes[behind].status().leader == Some(trio.peers[next].name.clone());
        until(|| follows().then_some(())).await;
        waited.push(elected.elapsed());

        trio.set_cut(leader, &all, false);
        leader = trio.follow_one(&all).await;
    }

    // A busy machine may hold up one of them.
    waited.sort();
    assert!(
        waited[ROUNDS - 2] < Duration::from_millis(200),
        "{waited:?}"
    );
    Ok(())
}

/// The others are a majority only with a follower that hears the leader.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_without_a_majority_gives_way_although_a_follower_hears_it() -> Result {
    let five = Nodes::form(5).await?;
    let all = five.all();
    let leader = five.follow_one(&all).await;
    let [near, far, farther, dead] = [1, 2, 3, 4].map(|n| (leader + n) % 5);
    five.set_cut(dead, &all, true);
    five.set_cut(leader, &[far, farther], true);
    let next = five.leader_among(&[near, far, farther]).await;
    writes(&five.nodes[next]).await;

    // It learns of the new leader as soon as it can.
    five.set_cut(leader, &[far, farther], false);
    assert_eq!(five.follow_one(&[leader, near, far, farther]).await, next);
    five.set_cut(dead, &all, false);
    five.follow_one(&all).await;
    Ok(())
}

/// It has more of the log than those that come back, and the others are no majority without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_gave_way_leads_on_where_nobody_else_can() -> Result {
    let five = Nodes::form(5).await?;
    let all = five.all();
    let leader = five.follow_one(&all).await;
    let [near, far, farther, dead] = [1, 2, 3, 4].map(|n| (leader + n) % 5);
    writes(&five.nodes[leader]).await;
    five.set_cut(dead, &all, true);
    five.set_cut(near, &[far, farther], true);
    five.set_cut(leader, &[far, farther], true);

    // Written by the leader and by the follower that hears it, and not by a majority.
    let term = five.nodes[leader].status().term;
    let last = five.nodes[near].status().last_index;
    let proposing = tokio::spawn({
        let node = five.nodes[leader].clone();
        async move { node.propose(register(1 << 32)).await }
    });
    until(|| (five.nodes[near].status().last_index > last).then_some(())).await;
    until(|| five.nodes[near].status().leader.is_none().then_some(())).await;

    five.set_cut(near, &all, true);
    five.set_cut(leader, &[far, farther], false);
    assert_eq!(five.follow_one(&[leader, far, farther]).await, leader);
    assert_eq!(five.nodes[leader].status().term, term);
    writes(&five.nodes[leader]).await;
    let _ = proposing.await?;
    Ok(())
}
