//! The peer port, spoken to by others than nodes, and seen by whoever listens in.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::support::{
    Cluster, Gateway, Postman, Recorder, SECRET, Shape, eventually, mailing, sample_csv, say,
    say_in_tls, say_in_tls_at_once, waits_mostly,
};

const SOON: Duration = Duration::from_secs(30);
/// What postmen know in these tests.
const POSTMAN_SECRET: &str = "what postmen of the tests know";
/// Connections that say nothing, at each port.
const SILENT: usize = 1_600;
/// Connections of somebody who speaks at once, at each of these ports, and how many of them must be
/// listened to: on a busy machine a few may be taken for silent.
const NEWCOMERS: usize = 20;
const LISTENED_TO: usize = 15;
/// How long the others may take until they write without the leader that was killed. Without
/// anybody who disturbs them it is two to three seconds.
const FAILOVER: Duration = Duration::from_secs(5);

#[tokio::test]
async fn another_version_and_other_protocols_are_refused_and_told_why() {
    waits_mostly();
    let cluster = Cluster::start(Shape::default()).await;
    let member = &cluster.members[0];
    let answer = say_in_tls(&member.peer, b"nottypr\x63\0\0\0\x05hello")
        .await
        .expect("TLS");
    assert_eq!(
        &answer[..7],
        b"nottypr",
        "so that the other end can tell the version"
    );
    member
        .says("it speaks version 99 of the peer protocol and this node (notty ")
        .await;
    say_in_tls(&member.peer, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("TLS");
    member
        .says("a peer was refused: it does not speak notty's peer protocol")
        .await;
    // A node of before there was TLS, and somebody else.
    for said in [
        &b"nottypr\x01\0\0\0\x05hello"[..],
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let _ = say(&member.peer, said).await;
    }
    member
        .says("a peer was refused: it does not speak TLS")
        .await;
    // Silent ones are let go of, and hold up nobody.
    let silent = say(&member.peer, b"").await.expect("closed");
    assert_eq!(silent, b"");
    let answer = member.client.ask("/customers?consistency=linearizable");
    answer.await.expect(200);
    // The same is not said again and again.
    for _ in 0..5 {
        say_in_tls(&member.peer, b"GET / HTTP/1.1\r\n\r\n")
            .await
            .expect("TLS");
    }
    assert_eq!(
        member.count_lines("does not speak notty's peer protocol"),
        1
    );
}

/// Keeps one silent connection open, a new one some time after it is closed.
async fn keep_silent(peer: String, opened: Arc<AtomicUsize>, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        if let Ok(mut stream) = TcpStream::connect(&peer).await {
            opened.fetch_add(1, Ordering::Relaxed);
            // It ends when the port closes it.
            let _ = stream.read(&mut [0]).await;
        }
    }
}

/// Has newcomers speak at once at a port; returns the number of those that it answers.
async fn count_listened_to(peer: &str) -> usize {
    let newcomer = || {
        let peer = peer.to_owned();
        tokio::task::spawn_blocking(move || {
            say_in_tls_at_once(&peer, b"nottypr\x63\0\0\0\x05hello")
        })
    };
    let newcomers: Vec<_> = (0..NEWCOMERS).map(|_| newcomer()).collect();
    let answers = futures_util::future::join_all(newcomers).await;
    let answers = answers.into_iter().map(|ended| ended.expect("no panic"));
    answers
        .flatten()
        .filter(|answer| answer.starts_with(b"nottypr"))
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_do_not_slow_a_failover() {
    let mut cluster = Cluster::start(Shape::default()).await;
    let leader = cluster.leader().await;
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    let peers = others.map(|n| cluster.members[n].peer.clone());
    let (mut silent, opened) = (tokio::task::JoinSet::new(), Arc::<AtomicUsize>::default());
    for peer in &peers {
        for n in 0..SILENT {
            // They do not keep step: about a second lies between two of each.
            let pause = Duration::from_millis(500 + (1_000 * n / SILENT) as u64);
            silent.spawn(keep_silent(peer.clone(), opened.clone(), pause));
        }
    }
    eventually(
        "all have come, and again where they were let go of",
        SOON,
        async || (opened.load(Ordering::Relaxed) > 3 * SILENT).then_some(()),
    )
    .await;
    // Nodes that know each other have sessions already; whoever comes now finds a place, too.
    for peer in &peers {
        let answered = count_listened_to(peer).await;
        println!("{answered} of {NEWCOMERS} are listened to");
        assert!(answered >= LISTENED_TO, "{answered} of {NEWCOMERS}");
    }

    cluster.members[leader].kill();
    let killed = Instant::now();
    let client = &cluster.members[others[0]].client;
    eventually("the others write", SOON, async || {
        let customer = json!({ "id": "c", "phone": "+70000000000" });
        let request = client
            .request(reqwest::Method::POST, "/customers")
            .json(&customer);
        let answer = client
            .try_send(request.timeout(Duration::from_secs(2)))
            .await
            .ok()?;
        // It may have been written by a try that was not answered in time.
        [201, 409].contains(&answer.status.as_u16()).then_some(())
    })
    .await;
    let took = killed.elapsed();
    println!("the others wrote after {took:?}");
    assert!(took < FAILOVER, "{took:?}");
}

fn contains(bytes: &[u8], what: &str) -> bool {
    bytes
        .windows(what.len())
        .any(|part| part == what.as_bytes())
}

/// Three nodes that reach each other, and a standalone postman that reaches them, over proxies that
/// record everything. The postman knows the postmen's secret alone.
async fn overheard(gateway: &Gateway) -> (Cluster, Postman, Vec<Recorder>) {
    let mut cluster = Cluster::new(Shape {
        more: "[postman]\nenabled = false\n",
        ..Shape::default()
    });
    let mut recorders = Vec::new();
    let mut asked = Vec::new();
    for peer in cluster.peers() {
        recorders.push(Recorder::before(&peer).await);
        asked.push(Recorder::before(&peer).await);
    }
    let secret = format!("secret = \"{SECRET}\"\n");
    let both = format!("{secret}postman_secret = \"{POSTMAN_SECRET}\"\n");
    for member in &cluster.members {
        for (peer, recorder) in cluster.peers().iter().zip(&recorders) {
            let listed = |address: &str| format!("\npeer = \"{address}\"");
            member.reconfigure(&listed(peer), &listed(&recorder.address));
        }
        member.reconfigure(&secret, &both);
    }
    cluster.start_all();
    cluster.ready(SOON).await;

    let mut postman = Postman::new(&cluster, gateway, "postman-1", "postman-1");
    for (peer, recorder) in cluster.peers().iter().zip(&asked) {
        postman.reconfigure(peer, &recorder.address);
    }
    postman.reconfigure(&secret, &format!("postman_secret = \"{POSTMAN_SECRET}\"\n"));
    postman.run();
    recorders.extend(asked);
    (cluster, postman, recorders)
}

#[tokio::test]
async fn whoever_listens_in_reads_nothing_and_gains_nothing_by_saying_it_again() {
    waits_mostly();
    const CUSTOMERS: u64 = 2_000;
    let gateway = Gateway::with(&[]);
    let (cluster, mut postman, recorders) = overheard(&gateway).await;
    let csv = sample_csv(1, CUSTOMERS);
    let follower = &cluster.follower().await.client;
    follower
        .upload("/customers/import", "text/csv", csv.clone())
        .await
        .expect(200);
    let spec = mailing("m", json!({}));
    follower.post("/mailings", &spec).await.expect(201);
    let stats = cluster.agree("m", SOON).await;
    assert_eq!(stats["done"], CUSTOMERS, "{stats}");
    postman.stop().await;

    // What the nodes and the postman said to each other, and nothing that it was about.
    let needles = [
        "+70000",
        "Имя",
        "customer-1",
        "clients.moscow",
        "Билайн",
        "Скидка",
    ];
    let known = format!("{csv}{spec}");
    assert!(
        needles
            .iter()
            .all(|needle| contains(known.as_bytes(), needle)),
        "it is looked for"
    );
    for (n, recorder) in recorders.iter().enumerate() {
        for recorded in recorder.recorded() {
            let both = [recorded.up, recorded.down].concat();
            for needle in needles
                .iter()
                .chain(&["nottypr", "notty-", SECRET, POSTMAN_SECRET])
            {
                assert!(!contains(&both, needle), "connection of {n}: {needle}");
            }
        }
    }
    let bytes = |recorders: &[Recorder]| -> usize {
        let all = recorders.iter().flat_map(Recorder::recorded);
        all.map(|recorded| recorded.up.len() + recorded.down.len())
            .sum()
    };
    let (nodes, postmen) = (bytes(&recorders[..3]), bytes(&recorders[3..]));
    println!("nodes: {nodes} bytes, the postman: {postmen}");
    // A phone is sent to two followers by import and to the postman by its lease.
    assert!(nodes > 2 * 12 * CUSTOMERS as usize && postmen > 12 * CUSTOMERS as usize);

    // The same bytes once more: to TLS they are of another session.
    let before = cluster.members[0].client.get("/cluster").await.expect(200);
    for (recorder, peer) in recorders.iter().zip(cluster.peers().iter().cycle()) {
        for recorded in recorder.recorded().into_iter().take(8) {
            let answer = say(peer, &recorded.up).await.unwrap_or_default();
            assert!(
                answer.len() < 4_096,
                "a handshake and nothing more: {}",
                answer.len()
            );
        }
    }
    let after = cluster.members[0].client.get("/cluster").await.expect(200);
    assert_eq!(after["term"], before["term"]);
    assert_eq!(cluster.agree("m", SOON).await, stats);
    assert_eq!(gateway.count("requests").await, CUSTOMERS);
}
