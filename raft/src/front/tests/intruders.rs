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
    cluster::change::Change,
    disk::data_dir::{DataDir, Identity},
    peers::{
        call::CallError,
        client::Peers,
        protocol::{
            AppendEntries, AskReadPoint, AskStatus, AskSupport, BidFarewell, CallService, Identify,
            InstallSnapshot, Invitation, Invite, MakeChange, PeerCall, ProposeCommand, RequestVote,
            Retire, StandForElection, Vouch,
        },
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
    let options = options(address, others);
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

fn options(address: &str, others: &[Peer]) -> NodeOptions {
    let me = Peer {
        name: "a".to_owned(),
        peer: address.to_owned(),
        ..Peer::default()
    };
    let nodes = [vec![me.clone()], others.to_vec()].concat();
    NodeOptions {
        commit: String::new(),
        exercises_levels: false,
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
        files: Arc::new(crate::disk::files::RealFiles),
        onlooker: None,
        clock: Arc::new(SystemClock),
        fatal: Arc::new(|line| panic!("{line}")),
    }
}

pub(crate) async fn lone(dir: &Path) -> Lone {
    let address = free_address();
    Lone {
        node: open(dir, &address, &[]).await,
        address,
    }
}

/// The same as [`lone`], of a version that understands a level.
pub(super) async fn try_lone_at_level(dir: &Path, level: u32) -> Result<Lone, crate::Error> {
    let address = free_address();
    let mut options = options(&address, &[]);
    options.store.level = level;
    let node = Node::open(&dir.join("data"), options).await?;
    assert!(node.ready().await);
    Ok(Lone { node, address })
}

/// The same, which must open.
pub(super) async fn lone_at_level(dir: &Path, level: u32) -> Lone {
    let opened = try_lone_at_level(dir, level).await;
    opened.expect("it opens")
}

impl Lone {
    /// Waits until its cluster stands at the latest level.
    pub(super) async fn raised(&self) {
        let mut changes = self.node.applied_changes();
        let raising = async {
            while self.node.cluster_level() < notty_storage::level::LEVEL {
                changes.changed().await;
            }
        };
        tokio::time::timeout(SOON, raising).await.expect("soon");
    }

    /// What a node of its cluster would call it with.
    fn peers_of(&self, node: u64, disk: &str) -> Peers {
        self.peers_by(Credentials::by_secret(SECRET), node, disk)
    }

    fn peers_by(&self, credentials: Credentials, node: u64, disk: &str) -> Peers {
        let me = Hello::new("b", &self.node.identity().cluster, Some(node), disk);
        Peers::new(Arc::new(TcpTransport), credentials, me)
    }

    /// The same for one that was admitted, as number 2.
    pub(super) async fn admitted(&self, disk: &str) -> Peers {
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
    pub(super) fn member(&self, disk: &str) -> Peer {
        let (peer, disk) = (self.address.clone(), disk.to_owned());
        Peer {
            name: "a".to_owned(),
            peer,
            disk,
            ..Peer::default()
        }
    }

    /// Makes a call that must be refused.
    async fn refuses<C: PeerCall + Clone>(&self, peers: &Peers, call: C) {
        let answer = peers.call(&self.address, call.clone(), SOON).await;
        let error = answer.err();
        assert!(
            matches!(error, Some(CallError::Refused { .. })),
            "{call:?}: {error:?}"
        );
    }

    /// Makes every call that only nodes may make.
    async fn refuses_calls_of_nodes(&self, peers: &Peers, node: u64) {
        let id = CustomerId::parse("c").expect("an id");
        let vote = Vote::new(9, node);
        self.refuses(peers, AskStatus).await;
        self.refuses(peers, AskReadPoint).await;
        let delete = Command::new(Action::DeleteCustomer(DeleteCustomer { id }));
        self.refuses(peers, ProposeCommand(delete)).await;

        self.refuses(peers, RequestVote(VoteRequest::new(vote, None)))
            .await;
        let append = AppendEntriesRequest {
            vote,
            prev_log_id: None,
            entries: Vec::new(),
            leader_commit: None,
        };
        self.refuses(peers, AppendEntries(append)).await;
        let snapshot = InstallSnapshot {
            vote,
            meta: SnapshotMeta::default(),
            bytes: 0,
        };
        self.refuses(peers, snapshot).await;

        let remove = Change::Remove {
            name: "a".to_owned(),
        };
        self.refuses(peers, MakeChange(remove)).await;
        let vouch = Vouch {
            node: 1,
            disk: self.node.identity().disk,
        };
        self.refuses(peers, vouch).await;
        self.refuses(peers, CallService(Vec::new())).await;
        self.refuses(peers, StandForElection).await;
        self.refuses(peers, AskSupport { last: None }).await;
        self.refuses(peers, Retire).await;
        self.refuses(peers, BidFarewell).await;
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
        self.refuses_calls_of_nodes(peers, node).await;
        assert_eq!(stands(), before);
        assert!(!self.is_dismissed(), "it was not taken out");
        assert!(*self.node.may_work().borrow(), "it does not retire");
    }

    fn is_dismissed(&self) -> bool {
        *self.node.calls().dismissed().borrow()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_and_a_disk_of_nobody_read_propose_and_end_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    lone.admitted("disk-b").await;
    let mine = lone.node.identity().disk;
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
    let cluster = lone.node.identity().cluster;
    let (node, members) = (1, BTreeMap::from([(1, lone.member(&mine))]));
    let invitation = Invite(Invitation {
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
    lone.refuses(&visitor, invitation).await;
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
    let me = Hello::new("p", &lone.node.identity().cluster, None, "");
    let postman = Peers::new(Arc::new(TcpTransport), credentials(), me);
    lone.refuses_all_of(&postman, 2).await;
    let answer = postman.call(&lone.address, Identify, SOON).await;
    assert!(answer.is_ok(), "{answer:?}");
}

/// Also of an admitted node: what counts is the state, and what members say where they are called.
#[tokio::test(flavor = "multi_thread")]
async fn a_farewell_that_no_member_confirms_ends_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    let peers = lone.admitted("disk-b").await;
    lone.refuses(&peers, BidFarewell).await;
    assert!(!lone.is_dismissed());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_to_another_disk_at_a_members_address() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    let peers = lone.admitted("disk-b").await;
    let right = lone.member(&lone.node.identity().disk);
    let answer = peers.call_member(&right, AskStatus, SOON).await;
    assert!(answer.is_ok(), "{answer:?}");
    // Also where a session is kept that fits the address.
    let wrong = lone.member("the disk that was lost");
    let refused = peers.call_member(&wrong, AskStatus, SOON).await;
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
    let vote = |node| RequestVote(VoteRequest::new(Vote::new(9, node), None));
    lone.refuses(&peers, vote(3)).await;
    let answered = peers.call(&lone.address, vote(2), SOON).await;
    assert!(answered.is_ok(), "{answered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_let_go_is_told_so_whatever_it_asks() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    let peers = lone.admitted("disk-b").await;
    peers
        .call(&lone.address, AskStatus, SOON)
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
    let vote = RequestVote(VoteRequest::new(Vote::new(9, 2), None));
    lone.refuses(&peers, AskStatus).await;
    lone.refuses(&peers, AskReadPoint).await;
    lone.refuses(&peers, vote).await;
    // Who answers at an address may be anybody.
    assert!(!*peers.dismissed().borrow());
    let member = lone.member(&lone.node.identity().disk);
    assert!(peers.call_member(&member, AskStatus, SOON).await.is_err());
    assert!(*peers.dismissed().borrow(), "a member says so");
    assert!(lone.node.status().term < 9, "its vote did not count");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_founder_whose_log_has_begun_founds_nothing_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let lone = lone(dir.path()).await;
    let before = lone.node.identity();
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
        node.identity(),
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
