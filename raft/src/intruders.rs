//! Tests of who is kept out: wrong disks, votes of others, nodes that were let go, a founder that
//! would found once more.

use std::{path::Path, sync::Arc, time::Duration};

use notty_storage::{Action, StoreOptions};
use openraft::raft::VoteRequest;

use crate::{
    ClusterOptions, Node, NodeOptions, Peer, SystemClock, TcpTransport,
    data_dir::{DataDir, Identity},
    peers::{
        client::{CallError, Peers},
        protocol::{Request, Response},
        session::{Hello, Key},
    },
    ports::free_addresses,
    types::Vote,
};

/// Far longer than anything here needs.
pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const SECRET: &[u8] = b"a secret of these tests";

/// A node of a cluster of one, and where its peers reach it.
pub(crate) struct Lone {
    pub(crate) node: Arc<Node>,
    address: String,
}

pub(crate) fn free_address() -> String {
    free_addresses(1).remove(0)
}

async fn open(dir: &Path, address: &str, others: &[Peer]) -> Arc<Node> {
    let me = Peer { name: "a".to_owned(), peer: address.to_owned(), ..Peer::default() };
    let nodes = [vec![me.clone()], others.to_vec()].concat();
    let options = NodeOptions {
        cluster: Some(ClusterOptions {
            listen: address.to_owned(),
            secret: SECRET.to_vec(),
            expect: nodes.len(),
            nodes,
            transport: Arc::new(TcpTransport),
        }),
        peer: me,
        store: StoreOptions::default(),
        log: Default::default(),
        files: Arc::new(crate::files::RealFiles),
        onlooker: None,
        clock: Arc::new(SystemClock),
        fatal: Arc::new(|line| panic!("{line}")),
    };
    let opening = async {
        let node = Node::open(&dir.join("data"), options).await.expect("it opens");
        assert!(node.ready().await);
        node
    };
    tokio::time::timeout(SOON, opening).await.expect("it waits for nobody")
}

pub(crate) async fn lone(dir: &Path) -> Lone {
    let address = free_address();
    Lone { node: open(dir, &address, &[]).await, address }
}

impl Lone {
    /// What a node of its cluster would call it with.
    fn peers_of(&self, node: u64, disk: &str) -> Peers {
        let me = Hello::new("b", &self.node.identity.cluster, Some(node), disk);
        Peers::new(Arc::new(TcpTransport), Key::new(SECRET), me)
    }

    /// As its peers should know it.
    fn member(&self, disk: &str) -> Peer {
        let (peer, disk) = (self.address.clone(), disk.to_owned());
        Peer { name: "a".to_owned(), peer, disk, ..Peer::default() }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_to_another_disk_at_a_members_address() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    let peers = lone.peers_of(2, "disk-b");
    let right = lone.member(&lone.node.identity.disk);
    assert!(matches!(
        peers.call_member(&right, &Request::Status, SOON).await,
        Ok(Response::Status(_))
    ));
    // Also where a session is kept that fits the address.
    let wrong = lone.member("the disk that was lost");
    let refused = peers.call_member(&wrong, &Request::Status, SOON).await;
    assert!(matches!(refused, Err(CallError::NotSent { .. })), "{refused:?}");
    assert!(peers.open_to(&wrong).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_counts_only_from_who_it_is_of() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    let peers = lone.peers_of(2, "disk-b");
    let vote = |node| Request::Vote(VoteRequest::new(Vote::new(9, node), None));
    let refused = peers.call(&lone.address, &vote(3), SOON).await;
    assert!(matches!(refused, Err(CallError::Refused { .. })), "{refused:?}");
    let answered = peers.call(&lone.address, &vote(2), SOON).await;
    assert!(matches!(answered, Ok(Response::Vote(_))), "{answered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_let_go_is_told_so_whatever_it_asks() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    let peers = lone.peers_of(2, "disk-b");
    peers.call(&lone.address, &Request::Status, SOON).await.expect("nobody knows of it");
    let (name, disk) = ("b".to_owned(), "disk-b".to_owned());
    let dismiss = Action::DismissNode { node: 2, name, disk };
    lone.node.act(dismiss).await.expect("it is dismissed");
    assert!(!*peers.dismissed().borrow());
    let vote = Request::Vote(VoteRequest::new(Vote::new(9, 2), None));
    for request in [Request::Status, Request::ReadIndex, vote] {
        assert!(peers.call(&lone.address, &request, SOON).await.is_err());
        assert!(*peers.dismissed().borrow());
    }
    assert!(lone.node.status().term < 9, "its vote did not count");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_founder_whose_log_has_begun_founds_nothing_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    let before = lone.node.identity.clone();
    lone.node.stop().await.expect("it stops");
    drop(lone.node);
    // As it is where the process died before it had written down that its log had begun.
    let data_dir = eventually_free(&dir.path().join("data")).await;
    data_dir.keep(&Identity { formed: false, ..before.clone() }).expect("kept");
    drop(data_dir);
    // With a peer that is not there, and would be invited if it were, whatever its disk.
    let absent = Peer { name: "b".to_owned(), peer: free_address(), ..Peer::default() };
    let node = open(dir.path(), &lone.address, &[absent]).await;
    assert_eq!(node.identity, Identity { formed: true, ..before });
}

/// The directory, once the tasks of the node that used it have ended.
async fn eventually_free(path: &Path) -> DataDir {
    let opening = async {
        loop {
            match DataDir::open(path) {
                Ok(data_dir) => return data_dir,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(SOON, opening).await.expect("the directory is let go")
}
