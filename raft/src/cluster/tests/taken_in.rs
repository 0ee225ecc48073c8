//! Tests of whom a restored node takes in: under which numbers, and when they die half way.

use std::{path::Path, sync::Arc, time::Duration};

use notty_storage::{StoreOptions, command::AdmitNode, level::LEVEL};
use tokio::{sync::watch, time::timeout};

use crate::{
    ClusterOptions, Credentials, Node, NodeOptions, Peer, SystemClock, TcpTransport, Transport,
    cluster::take_in::{self, TakeIn},
    disk::{
        data_dir::{DataDir, Identity, VERSION},
        own_identity::OwnIdentity,
    },
    front::answers::Front,
    front::tests::intruders::{SECRET, SOON, free_address, lone},
    peers::{client::Peers, server, session::Hello},
};

/// What a node does that takes in another, `b`.
fn take_in(node: &Node, b: &Peer) -> TakeIn {
    let changes = node.changes();
    TakeIn {
        raft: changes.consensus().raft().clone(),
        peers: node.calls().clone(),
        me: node.me().clone(),
        expected: vec![node.me().peer.clone(), b.clone()],
        count: 2,
    }
}

fn b() -> Peer {
    Peer {
        name: "b".to_owned(),
        peer: free_address(),
        ..Peer::default()
    }
}

async fn open_b(dir: &Path, a: &Peer, b: &Peer) -> Arc<Node> {
    let options = NodeOptions {
        exercises_levels: false,
        cluster: Some(ClusterOptions {
            listen: b.peer.clone(),
            credentials: Credentials::by_secret(SECRET),
            expect: 2,
            nodes: vec![a.clone(), b.clone()],
            transport: Arc::new(TcpTransport),
        }),
        peer: b.clone(),
        store: StoreOptions::default(),
        log: Default::default(),
        files: Arc::new(crate::disk::files::RealFiles),
        onlooker: None,
        clock: Arc::new(SystemClock),
        fatal: Arc::new(|line| panic!("{line}")),
    };
    Node::open(&dir.join("b"), options).await.expect("it opens")
}

/// A node that says who it is and takes an invitation, and then does nothing of what a member does.
async fn pretend_to_be(dir: &Path, b: &Peer) -> watch::Sender<bool> {
    let data_dir = DataDir::open(&dir.join("pretended")).expect("a directory");
    let identity = Identity {
        version: VERSION,
        cluster: String::new(),
        node: 0,
        disk: "disk-b".to_owned(),
        formed: false,
        inviters: Default::default(),
        level: 0,
        level_since: String::new(),
    };
    let me = Hello::new(&b.name, "", None, &identity.disk);
    let own = OwnIdentity::new(data_dir, identity);
    let front = Front::new(&b.name, own.subscribe(), Arc::new(SystemClock), LEVEL);
    let peers = Arc::new(Peers::new(
        Arc::new(TcpTransport),
        Credentials::by_secret(SECRET),
        me,
    ));
    let listener = TcpTransport.listen(&b.peer).await.expect("it listens");
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(server::serve(
        listener,
        peers.clone(),
        front.clone(),
        stopped,
    ));

    let mut invitations = front.invitations().subscribe();
    tokio::spawn(async move {
        let invited = invitations.wait_for(Option::is_some).await;
        let Some(invitation) = invited.ok().and_then(|invited| invited.clone()) else {
            return;
        };
        let identity = own.current();
        let (cluster, node) = (invitation.cluster, invitation.node);
        peers.become_somebody(Hello::new("b", &cluster, Some(node), &identity.disk));
        own.change(|identity| {
            identity.cluster = cluster;
            identity.node = node;
            identity.inviters = invitation.members;
        })
        .expect("it is kept");
    });
    stop
}

#[tokio::test(flavor = "multi_thread")]
async fn no_number_is_given_twice() {
    let dir = tempfile::tempdir().expect("a directory");
    let a = lone(dir.path()).await.node;
    // Admitted, and not among the members yet.
    let (name, disk) = ("c".to_owned(), "disk-c".to_owned());
    let admitted = a
        .act(AdmitNode {
            name,
            disk,
            above: 1,
        })
        .await
        .expect("admitted");
    assert_eq!(admitted.reply.node, 2);
    let b = b();
    let opening = tokio::spawn({
        let (dir, a, b) = (dir.path().to_owned(), a.me().peer.clone(), b.clone());
        async move { open_b(&dir, &a, &b).await }
    });
    let taking = async {
        while take_in(&a, &b).step(a.changes()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(SOON, taking).await.expect("in time");
    let b = timeout(SOON, opening)
        .await
        .expect("in time")
        .expect("no panic");
    assert_eq!(b.identity().node, 3);
    b.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dies_half_way_is_not_waited_for_and_other_changes_have_their_turn() {
    let dir = tempfile::tempdir().expect("a directory");
    let a = lone(dir.path()).await.node;
    let b = b();
    let _running = pretend_to_be(dir.path(), &b).await;
    let stepped = timeout(SOON, take_in(&a, &b).step(a.changes()))
        .await
        .expect("in time");
    let why = stepped.expect_err("it has learnt nothing");
    assert!(why.contains("`b` has not learnt everything yet"), "{why}");
    let (name, disk) = ("c".to_owned(), "disk-c".to_owned());
    let written = a.act(AdmitNode {
        name,
        disk,
        above: 1,
    });
    timeout(SOON, written)
        .await
        .expect("in time")
        .expect("b has no vote");
    let running = tokio::spawn(take_in::run(
        take_in(&a, &b),
        Arc::downgrade(a.changes()),
        Arc::downgrade(a.own()),
    ));
    // Long before the first look is over, and after others.
    tokio::time::sleep(Duration::from_secs(2)).await;
    for _ in 0..5 {
        assert!(!a.changes().is_idle(), "it has its turn");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(
        timeout(SOON, a.changes().turn())
            .await
            .expect("others have theirs"),
    );
    running.abort();
    a.stop().await.expect("it stops");
}
