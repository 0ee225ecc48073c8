//! Tests of who is kept out: numbers and disks of nobody, votes of others, postmen that speak as
//! nodes, nodes that were let go, a founder that would found once more.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use notty_storage::{
    Action, Command, StoreOptions,
    command::{AdmitNode, DeleteCustomer, DismissNode},
    model::CustomerId,
};
use openraft::raft::{AppendEntriesRequest, VoteRequest};

use crate::{
    ClusterOptions, Credentials, Node, NodeOptions, Peer, SystemClock, TcpTransport,
    changes::Change,
    data_dir::{DataDir, Identity},
    peers::{
        client::{CallError, Peers},
        protocol::{Invitation, Request, Response},
        session::Hello,
    },
    ports::free_addresses,
    types::{SnapshotMeta, Vote},
};

/// Far longer than anything here needs.
pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const SECRET: &[u8] = b"a secret of these tests";
const POSTMAN_SECRET: &[u8] = b"a secret for postmen";

/// A node of a cluster of one, and where its peers reach it.
pub(crate) struct Lone {
    pub(crate) node: Arc<Node>,
    address: String,
}

pub(crate) fn free_address() -> String {
    free_addresses(1).remove(0)
}

async fn open(dir: &Path, address: &str, others: &[Peer]) -> Arc<Node> {
    let me = Peer {
        name: "a".to_owned(),
        peer: address.to_owned(),
        ..Peer::default()
    };
    let nodes = [vec![me.clone()], others.to_vec()].concat();
    let options = NodeOptions {
        cluster: Some(ClusterOptions {
            listen: address.to_owned(),
            credentials: Credentials::by_secret(SECRET).with_postman_secret(POSTMAN_SECRET),
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
        let node = Node::open(&dir.join("data"), options)
            .await
            .expect("it opens");
        assert!(node.ready().await);
        node
    };
    tokio::time::timeout(SOON, opening)
        .await
        .expect("it waits for nobody")
}

pub(crate) async fn lone(dir: &Path) -> Lone {
    let address = free_address();
    Lone {
        node: open(dir, &address, &[]).await,
        address,
    }
}

impl Lone {
    /// What a node of its cluster would call it with.
    fn peers_of(&self, node: u64, disk: &str) -> Peers {
        self.peers_by(Credentials::by_secret(SECRET), node, disk)
    }

    fn peers_by(&self, credentials: Credentials, node: u64, disk: &str) -> Peers {
        let me = Hello::new("b", &self.node.identity.cluster, Some(node), disk);
        Peers::new(Arc::new(TcpTransport), credentials, me)
    }

    /// The same for one that was admitted, as number 2.
    async fn admitted(&self, disk: &str) -> Peers {
        let (name, admitted) = ("b".to_owned(), disk.to_owned());
        let admit = AdmitNode {
            name,
            disk: admitted,
            above: 1,
        };
        let admitted = self.node.act(admit).await.expect("it is written").reply;
        assert_eq!(admitted.node, 2);
        self.peers_of(2, disk)
    }

    /// As its peers should know it.
    fn member(&self, disk: &str) -> Peer {
        let (peer, disk) = (self.address.clone(), disk.to_owned());
        Peer {
            name: "a".to_owned(),
            peer,
            disk,
            ..Peer::default()
        }
    }

    /// Everything that only nodes may ask.
    fn calls_of_nodes(&self, node: u64) -> Vec<Request> {
        let id = CustomerId::parse("c").expect("an id");
        let vote = Vote::new(9, node);
        vec![
            Request::Status,
            Request::ReadIndex,
            Request::Propose(Command::new(Action::DeleteCustomer(DeleteCustomer { id }))),
            Request::Vote(VoteRequest::new(vote, None)),
            Request::Append(AppendEntriesRequest {
                vote,
                prev_log_id: None,
                entries: Vec::new(),
                leader_commit: None,
            }),
            Request::Snapshot {
                vote,
                meta: SnapshotMeta::default(),
                bytes: 0,
            },
            Request::Change(Change::Remove {
                name: "a".to_owned(),
            }),
            Request::Vouch {
                node: 1,
                disk: self.node.identity.disk.clone(),
            },
            Request::Service(Vec::new()),
            Request::Elect,
            Request::Retire,
            Request::Farewell,
        ]
    }

    /// All of them are refused, and nothing comes of them.
    async fn refuses_all_of(&self, peers: &Peers, node: u64) {
        let stands = || {
            (
                self.node.status().term,
                self.node.applied_index(),
                self.node.state_hash(),
            )
        };
        let before = stands();
        for request in self.calls_of_nodes(node) {
            let answer = peers.call(&self.address, &request, SOON).await;
            assert!(
                matches!(answer, Err(CallError::Refused { .. })),
                "{request:?}: {answer:?}"
            );
        }
        assert_eq!(stands(), before);
        assert!(
            !*self.node.peers.dismissed().borrow(),
            "it was not taken out"
        );
        assert!(*self.node.may_work().borrow(), "it does not retire");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_and_a_disk_of_nobody_read_propose_and_end_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    lone.admitted("disk-b").await;
    let mine = lone.node.identity.disk.clone();
    for (node, disk) in [
        (77, "disk-x"),
        (2, "disk-x"),
        (3, "disk-b"),
        (1, "disk-b"),
        (2, mine.as_str()),
        (2, ""),
    ] {
        lone.refuses_all_of(&lone.peers_of(node, disk), node).await;
    }
    // Nor does an invitation by somebody who is not among the members that it names.
    let cluster = lone.node.identity.cluster.clone();
    let (node, members) = (1, BTreeMap::from([(1, lone.member(&mine))]));
    let invitation = Request::Form(Invitation {
        cluster,
        node,
        members,
    });
    let visitor = Hello::new("b", "", None, "disk-x");
    let visitor = Peers::new(
        Arc::new(TcpTransport),
        Credentials::by_secret(SECRET),
        visitor,
    );
    let answer = visitor.call(&lone.address, &invitation, SOON).await;
    assert!(
        matches!(answer, Err(CallError::Refused { .. })),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_postmens_secret_opens_no_call_of_a_node() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    lone.admitted("disk-b").await;
    let credentials = || {
        let unknown = Credentials::by_secret(b"what a postman does not know");
        unknown.with_postman_secret(POSTMAN_SECRET).of_postman()
    };
    // With a number and a disk that are right, and as what it is.
    lone.refuses_all_of(&lone.peers_by(credentials(), 2, "disk-b"), 2)
        .await;
    let me = Hello::new("p", &lone.node.identity.cluster, None, "");
    let postman = Peers::new(Arc::new(TcpTransport), credentials(), me);
    lone.refuses_all_of(&postman, 2).await;
    let answer = postman.call(&lone.address, &Request::Identify, SOON).await;
    assert!(matches!(answer, Ok(Response::Standing(_))), "{answer:?}");
}

/// Also of an admitted node: what counts is the state, and what members say where they are called.
#[tokio::test(flavor = "multi_thread")]
async fn a_farewell_that_no_member_confirms_ends_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    let peers = lone.admitted("disk-b").await;
    let answer = peers.call(&lone.address, &Request::Farewell, SOON).await;
    assert!(
        matches!(answer, Err(CallError::Refused { .. })),
        "{answer:?}"
    );
    assert!(!*lone.node.peers.dismissed().borrow());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_to_another_disk_at_a_members_address() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    let peers = lone.admitted("disk-b").await;
    let right = lone.member(&lone.node.identity.disk);
    assert!(matches!(
        peers.call_member(&right, &Request::Status, SOON).await,
        Ok(Response::Status(_))
    ));
    // Also where a session is kept that fits the address.
    let wrong = lone.member("the disk that was lost");
    let refused = peers.call_member(&wrong, &Request::Status, SOON).await;
    assert!(
        matches!(refused, Err(CallError::NotSent { .. })),
        "{refused:?}"
    );
    assert!(peers.open_to(&wrong).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_counts_only_from_who_it_is_of() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    let peers = lone.admitted("disk-b").await;
    let vote = |node| Request::Vote(VoteRequest::new(Vote::new(9, node), None));
    let refused = peers.call(&lone.address, &vote(3), SOON).await;
    assert!(
        matches!(refused, Err(CallError::Refused { .. })),
        "{refused:?}"
    );
    let answered = peers.call(&lone.address, &vote(2), SOON).await;
    assert!(matches!(answered, Ok(Response::Vote(_))), "{answered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_let_go_is_told_so_whatever_it_asks() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    let peers = lone.admitted("disk-b").await;
    peers
        .call(&lone.address, &Request::Status, SOON)
        .await
        .expect("it is admitted");
    let (name, disk) = ("b".to_owned(), "disk-b".to_owned());
    let dismiss = DismissNode {
        node: 2,
        name,
        disk,
    };
    lone.node.act(dismiss).await.expect("it is dismissed");
    assert!(!*peers.dismissed().borrow());
    let vote = Request::Vote(VoteRequest::new(Vote::new(9, 2), None));
    for request in [Request::Status, Request::ReadIndex, vote] {
        // Who answers at an address may be anybody.
        assert!(peers.call(&lone.address, &request, SOON).await.is_err());
        assert!(!*peers.dismissed().borrow());
    }
    let member = lone.member(&lone.node.identity.disk);
    assert!(
        peers
            .call_member(&member, &Request::Status, SOON)
            .await
            .is_err()
    );
    assert!(*peers.dismissed().borrow(), "a member says so");
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
    data_dir
        .keep(&Identity {
            formed: false,
            ..before.clone()
        })
        .expect("kept");
    drop(data_dir);
    // With a peer that is not there, and would be invited if it were, whatever its disk.
    let absent = Peer {
        name: "b".to_owned(),
        peer: free_address(),
        ..Peer::default()
    };
    let node = open(dir.path(), &lone.address, &[absent]).await;
    assert_eq!(
        node.identity,
        Identity {
            formed: true,
            ..before
        }
    );
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
    tokio::time::timeout(SOON, opening)
        .await
        .expect("the directory is let go")
}
