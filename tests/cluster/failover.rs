//! The leader is lost, or sleeps, or stops, in the middle of a mailing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Cluster, Gateway, Shape, eventually, total};

/// How long sending may pause when the leader is lost.
const RESUME: Duration = Duration::from_secs(4);
/// How long it does in most cases.
const MEDIAN: Duration = Duration::from_secs(3);
/// Requests in flight from each node.
const CONCURRENCY: usize = 32;

/// A cluster in the middle of a mailing.
async fn sending(gateway: &Gateway, customers: u64, more: &str) -> Cluster {
    let url = gateway.url();
    let shape = Shape {
        gateway: &url,
        concurrency: CONCURRENCY,
        more,
    };
    let cluster = Cluster::start(shape).await;
    let node = &cluster.follower().await.client;
    node.import(customers).await;
    node.mail("m", json!({})).await;
    gateway.requests(customers / 20).await;
    cluster
}

/// Watches the gateway for as long as a pause may be; how long nothing came at the most.
async fn pause(gateway: &Gateway, since: Instant, customers: u64) -> Duration {
    let mut last = (gateway.count("requests").await, Instant::now());
    let mut longest = Duration::ZERO;
    eventually(
        "watched for long enough",
        Duration::from_secs(30),
        async || {
            let count = gateway.count("requests").await;
            // When all is sent, that nothing comes is right.
            let over = count + 4 * CONCURRENCY as u64 >= customers;
            if count > last.0 || over {
                longest = longest.max(last.1.elapsed());
                last = (count, Instant::now());
            }
            (over || since.elapsed() >= RESUME).then_some(())
        },
    )
    .await;
    longest.max(last.1.elapsed())
}

/// Nobody got it twice, and the sums are right, the same on all nodes.
async fn balanced(cluster: &Cluster, gateway: &Gateway, customers: u64) -> Value {
    let stats = cluster.agree("m", Duration::from_secs(120)).await;
    let tally = gateway.tally().await;
    assert_eq!(tally["duplicates"], 0, "{tally} {stats}");
    assert_eq!(total(&stats), customers, "{stats}");
    let (done, doubt) = (stats["done"].as_u64(), stats["unconfirmed"].as_u64());
    let (done, doubt) = (done.expect("a count"), doubt.expect("a count"));
    assert_eq!(done + doubt, customers, "{stats}");
    let taken = tally["messages"].as_u64().expect("a count");
    assert!(done <= taken && taken <= done + doubt, "{tally} {stats}");
    stats
}

#[tokio::test]
async fn a_leader_killed_three_times_stops_nothing_and_nobody_gets_it_twice() {
    const CUSTOMERS: u64 = 50_000;
    let gateway = Gateway::with(&["--latency-ms", "60"]);
    let mut cluster = sending(&gateway, CUSTOMERS, "").await;
    let mut pauses = Vec::new();
    for kill in 1..=3 {
        let leader = cluster.leader().await;
        cluster.members[leader].kill();
        let pause = pause(&gateway, Instant::now(), CUSTOMERS).await;
        println!(
            "kill {kill} of {}: nothing was sent for {pause:?}",
            cluster.members[leader].name
        );
        assert!(
            pause < RESUME,
            "kill {kill}: nothing was sent for {pause:?}"
        );
        pauses.push(pause);
        cluster.members[leader].start();
        cluster.members[leader].ready(Duration::from_secs(20)).await;
    }
    pauses.sort();
    assert!(pauses[1] < MEDIAN, "{pauses:?}");
    let left = CUSTOMERS - gateway.count("requests").await.min(CUSTOMERS);
    assert!(
        left > 0,
        "all was sent before the third kill: it showed nothing"
    );
    let stats = balanced(&cluster, &gateway, CUSTOMERS).await;
    let doubt = stats["unconfirmed"].as_u64().expect("a count");
    println!("{stats}");
    assert!(doubt <= 3 * CONCURRENCY as u64, "{stats}");
}

#[tokio::test]
async fn a_leader_that_sleeps_and_wakes_up_does_no_harm() {
    const CUSTOMERS: u64 = 40_000;
    const ASLEEP: Duration = Duration::from_secs(15);
    // Shorter than its sleep: when it wakes up its leases have run out.
    const LEASE: &str = "[lease]\nttl_ms = 14000\n";
    let gateway = Gateway::with(&["--latency-ms", "40"]);
    let mut cluster = sending(&gateway, CUSTOMERS, LEASE).await;
    let leader = cluster.leader().await;
    cluster.members[leader].process().signal("STOP");
    let slept = Instant::now();
    let pause = pause(&gateway, slept, CUSTOMERS).await;
    println!("asleep: nothing was sent for {pause:?}");
    assert!(pause < RESUME, "nothing was sent for {pause:?}");
    eventually("it has slept long enough", ASLEEP * 2, async || {
        (slept.elapsed() >= ASLEEP).then_some(())
    })
    .await;
    cluster.members[leader].process().signal("CONT");
    let stats = balanced(&cluster, &gateway, CUSTOMERS).await;
    println!("{stats}");
    let doubt = stats["unconfirmed"].as_u64().expect("a count");
    assert!(doubt <= CONCURRENCY as u64, "{stats}");
    // It follows whoever leads now.
    eventually("all name one leader", RESUME * 5, async || {
        let next = cluster.leader().await;
        let told = cluster.members[leader].try_get("/cluster").await?;
        (told["leader"] == cluster.members[next].name.as_str()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_is_stopped_hands_over_and_leaves_nothing_unconfirmed() {
    const CUSTOMERS: u64 = 12_000;
    let gateway = Gateway::with(&["--latency-ms", "40"]);
    let mut cluster = sending(&gateway, CUSTOMERS, "").await;
    let leader = cluster.leader().await;
    let began = Instant::now();
    cluster.members[leader].process().signal("TERM");
    let ended = cluster.members[leader]
        .process()
        .ended(Duration::from_secs(20))
        .await;
    println!("stopped in {:?}: {ended}", began.elapsed());
    assert_eq!(ended.code(), Some(0));
    cluster.members[leader]
        .says("leadership was transferred to")
        .await;
    let next = cluster.leader_but(Some(leader)).await;
    assert_ne!(next, leader);
    cluster.members[leader].start();
    cluster.ready(Duration::from_secs(20)).await;
    let stats = balanced(&cluster, &gateway, CUSTOMERS).await;
    assert_eq!(stats["done"], CUSTOMERS, "{stats}");
}
