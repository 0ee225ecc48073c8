//! Three nodes in one process, over real sockets: what only whole processes cannot show quickly.

use std::{net::TcpListener, path::PathBuf, sync::Arc, time::Duration};

use notty_raft::{
    ClusterOptions, Node, NodeOptions, Peer, SystemClock, TcpTransport, files::RealFiles,
};
use notty_storage::{Action, Command, StoreOptions, model::PostmanName, query};
use tempfile::TempDir;

type Result<T = ()> = anyhow::Result<T>;

/// Far longer than anything here needs.
const SOON: Duration = Duration::from_secs(30);
/// More entries than are kept behind a snapshot for those who lag.
const MANY: usize = 1_200;

struct Trio {
    dir: TempDir,
    peers: Vec<Peer>,
    nodes: Vec<Option<Arc<Node>>>,
}

impl Trio {
    async fn form() -> Result<Self> {
        let held = (0..3).map(|_| TcpListener::bind("127.0.0.1:0"));
        let held: Vec<_> = held.collect::<std::io::Result<_>>()?;
        let peer = |(n, held): (usize, &TcpListener)| {
            let (name, peer) = (format!("node-{n}"), held.local_addr()?.to_string());
            Ok(Peer { name, peer, ..Peer::default() })
        };
        let peers: Vec<_> = held.iter().enumerate().map(peer).collect::<Result<_>>()?;
        drop(held);
        let mut trio = Self { dir: tempfile::tempdir()?, peers, nodes: Vec::new() };
        // None of them is there before all are.
        let opened = futures_util::future::join_all((0..3).map(|n| trio.open(n))).await;
        trio.nodes = opened.into_iter().map(|node| node.map(Some)).collect::<Result<_>>()?;
        Ok(trio)
    }

    fn data(&self, n: usize) -> PathBuf {
        self.dir.path().join(format!("node-{n}"))
    }

    async fn open(&self, n: usize) -> Result<Arc<Node>> {
        let me = self.peers[n].clone();
        let options = NodeOptions {
            cluster: Some(ClusterOptions {
                listen: me.peer.clone(),
                secret: b"a secret of this test".to_vec(),
                expect: 3,
                nodes: self.peers.clone(),
                transport: Arc::new(TcpTransport),
            }),
            peer: me,
            store: StoreOptions::default(),
            log: Default::default(),
            files: Arc::new(RealFiles),
            onlooker: None,
            clock: Arc::new(SystemClock),
            fatal: Arc::new(|line| panic!("{line}")),
        };
        let node = Node::open(&self.data(n), options).await?;
        anyhow::ensure!(tokio::time::timeout(SOON, node.ready()).await?);
        Ok(node)
    }

    fn node(&self, n: usize) -> &Arc<Node> {
        self.nodes[n].as_ref().expect("it runs")
    }

    async fn leader(&self) -> Result<usize> {
        let looking = async {
            loop {
                let leads = |node: &Option<Arc<Node>>| node.as_ref().is_some_and(|n| n.leads_now());
                if let Some(found) = self.nodes.iter().position(leads) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        Ok(tokio::time::timeout(SOON, looking).await?)
    }

    async fn stop(&mut self, n: usize) -> Result {
        let node = self.nodes[n].take().expect("it runs");
        Ok(node.stop().await?)
    }
}

fn register(name: &str, nonce: u64) -> Action {
    let name = PostmanName::parse(name).expect("a valid name");
    Action::RegisterPostman { name, nonce }
}

/// So many entries, one after the other.
async fn fill(node: &Node, count: usize) -> Result<u64> {
    let mut last = 0;
    for n in 0..count {
        last = node.propose(Command::new(register("a", n as u64))).await?.index;
    }
    Ok(last)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_for_long_is_brought_up_by_a_snapshot() -> Result {
    let mut trio = Trio::form().await?;
    let leader = trio.leader().await?;
    let (away, other) = ((leader + 1) % 3, (leader + 2) % 3);
    trio.stop(away).await?;
    let last = fill(trio.node(leader), MANY).await?;
    trio.node(leader).snapshot().await?;
    let compacted = async {
        while trio.node(leader).status().snapshot_index < last {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, compacted).await?;
    // Readers read on while their state is replaced.
    trio.nodes[away] = Some(trio.open(away).await?);
    let last = fill(trio.node(other), 10).await?;
    for n in 0..3 {
        assert!(trio.node(n).wait_applied(last, SOON).await, "node-{n}");
        assert_eq!(query::leases::postmen(&trio.node(n).view().read())?.len(), 1);
    }
    // The hash is of what was applied: whole only where nothing else is under way.
    let hashes: Vec<_> = (0..3).map(|n| trio.node(n).state_hash()).collect();
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[1], hashes[2]);
    assert!(trio.node(away).status().snapshot_index >= MANY as u64, "it came by snapshot");
    for n in 0..3 {
        trio.stop(n).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_goes_to_whom_it_is_handed() -> Result {
    let trio = Trio::form().await?;
    let leader = trio.leader().await?;
    for to in [(leader + 1) % 3, (leader + 2) % 3] {
        let from = trio.leader().await?;
        let name = trio.peers[to].name.clone();
        assert!(trio.node(to).transfer_leader(None).await.is_err(), "only the leader can");
        assert!(trio.node(from).transfer_leader(Some("nobody")).await.is_err());
        assert_eq!(trio.node(from).transfer_leader(Some(&name)).await?, name);
        assert_eq!(trio.leader().await?, to);
        for n in 0..3 {
            // The others hear of the new leader by and by.
            assert!(trio.node(n).ready().await);
            trio.node(n).act(register("b", n as u64)).await?;
        }
    }
    Ok(())
}
