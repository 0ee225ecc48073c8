//! Postmen by themselves: they send for a cluster whose nodes do not, and what becomes of that when
//! they, or nodes, die.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Cluster, Deed, Ended, Fate, Gateway, Postman, Provider, SECRET, Setup, Shape, eventually,
    free_addresses, total, waits_mostly,
};

/// Requests in flight from one postman.
const CONCURRENCY: u64 = 32;
/// How long a mailing of these tests may take.
const LONG: Duration = Duration::from_secs(90);
/// More than a postman holds in hand: whoever sends so many has got a lease since, and a look.
const MANY: u64 = 40 * CONCURRENCY;
/// How long that may take, with a node lost.
const RESUMED: Duration = Duration::from_secs(20);
/// No node sends.
const NO_SENDERS: &str = "[postman]\nenabled = false\n";

async fn cluster() -> Cluster {
    Cluster::start(Shape {
        more: NO_SENDERS,
        ..Shape::default()
    })
    .await
}

/// Imports customers, and mails to all of them.
async fn mail(cluster: &Cluster, customers: u64) {
    let node = &cluster.follower().await.client;
    node.import(customers).await;
    node.mail("m", json!({})).await;
}

fn count(stats: &Value, status: &str) -> u64 {
    stats[status].as_u64().expect("a count")
}

/// Nobody got it twice, the sums are right, and no more is in doubt than may be.
async fn balanced(cluster: &Cluster, gateway: &Gateway, customers: u64, doubt: u64) -> Value {
    let stats = cluster.agree("m", LONG).await;
    let tally = gateway.tally().await;
    println!("{stats} {tally}");
    assert_eq!(count(&tally, "duplicates"), 0, "{tally} {stats}");
    assert_eq!(total(&stats), customers, "{stats}");
    let (done, unconfirmed) = (count(&stats, "done"), count(&stats, "unconfirmed"));
    assert_eq!(done + unconfirmed, customers, "{stats}");
    assert!(unconfirmed <= doubt, "{stats}");
    let taken = count(&tally, "messages");
    assert!(
        done <= taken && taken <= done + unconfirmed,
        "{tally} {stats}"
    );
    stats
}

#[tokio::test]
async fn a_postman_by_itself_sends_a_mailing_and_hands_back_when_it_is_stopped() {
    const CUSTOMERS: u64 = 4_000;
    let gateway = Gateway::with(&["--latency-ms", "30"]);
    let cluster = cluster().await;
    let mut postman = Postman::start(&cluster, &gateway, "postman-1");
    mail(&cluster, CUSTOMERS).await;
    gateway.requests(CUSTOMERS / 4).await;
    let began = Instant::now();
    let lines = postman.stop().await;
    println!("stopped in {:?}", began.elapsed());
    assert!(
        !lines.contains("+7") && !lines.contains("Скидка"),
        "{lines}"
    );
    let sent = gateway.count("requests").await;
    let stats = cluster.members[0]
        .client
        .get("/stats/mailings/m?consistency=linearizable")
        .await;
    let stats = stats.expect(200);
    assert_eq!(
        (count(&stats, "sending"), count(&stats, "unconfirmed")),
        (0, 0),
        "{stats}"
    );
    assert_eq!(count(&stats, "done"), sent, "{stats}");
    assert!(sent < CUSTOMERS, "it was stopped in the middle: {stats}");
    postman.run();
    balanced(&cluster, &gateway, CUSTOMERS, 0).await;
}

#[tokio::test]
async fn a_postman_by_itself_sends_through_a_profile() {
    const CUSTOMERS: u64 = 500;
    let taken = r#"{"id":14,"cnt":1}"#;
    let provider = Provider::start(move |_, _| Deed::taken(200, taken)).await;
    let gateway = Gateway::start();
    let cluster = cluster().await;
    let mut postman = Postman::new(&cluster, &gateway, "postman-1", "postman-1");
    let through_profile = format!(
        "[[gateways]]\nname = \"p\"\nprofile = \"smsc.ru\"\nsecrets = {{ apikey = \"k\" }}\n\
         url = \"http://{}/send\"\nconcurrency = 32\n",
        provider.address
    );
    let own = format!("[gateway]\nurl = \"{}\"\nconcurrency = 32\n", gateway.url());
    postman.reconfigure(&own, &through_profile);

    postman.run();
    mail(&cluster, CUSTOMERS).await;
    let stats = cluster.agree("m", LONG).await;
    assert_eq!(count(&stats, "done"), CUSTOMERS, "{stats}");
    assert_eq!(provider.count(Fate::Taken), CUSTOMERS);
    // The provider allows 14 in all, and there are three nodes.
    let lines = postman.stop().await;
    assert!(lines.contains("3 requests at once, not 32"), "{lines}");
}

#[tokio::test]
async fn a_postman_killed_again_and_again_leaves_at_most_its_requests_in_flight_in_doubt() {
    const CUSTOMERS: u64 = 8_000;
    let gateway = Gateway::with(&["--latency-ms", "20"]);
    let cluster = cluster().await;
    let mut postman = Postman::start(&cluster, &gateway, "postman-1");
    mail(&cluster, CUSTOMERS).await;
    let kills = 3;
    for _ in 0..kills {
        let before = gateway.count("requests").await;
        gateway.requests(before + CUSTOMERS / 8).await;
        postman.kill();
        postman.run();
    }
    balanced(&cluster, &gateway, CUSTOMERS, kills * CONCURRENCY).await;
    let lines = postman.stop().await;
    assert!(lines.contains("of the run before is settled"), "{lines}");
}

#[tokio::test]
async fn nodes_are_killed_and_frozen_and_the_postman_goes_on_with_the_others() {
    const CUSTOMERS: u64 = 32_000;
    let gateway = Gateway::with(&["--latency-ms", "40"]);
    let mut cluster = cluster().await;
    let _postman = Postman::start(&cluster, &gateway, "postman-1");
    mail(&cluster, CUSTOMERS).await;
    gateway.requests(CUSTOMERS / 32).await;
    // Each in turn, whichever it is that the postman asks; the leader first.
    let leader = cluster.leader().await;
    for n in [leader, (leader + 1) % 3, (leader + 2) % 3] {
        cluster.members[n].kill();
        let before = gateway.count("requests").await;
        let killed = Instant::now();
        gateway.requests(before + MANY).await;
        let took = killed.elapsed();
        println!(
            "{} killed: {MANY} messages later after {took:?}",
            cluster.members[n].name
        );
        assert!(took < RESUMED, "{took:?}");
        cluster.members[n].start();
        cluster.ready(Duration::from_secs(20)).await;
    }
    let leader = cluster.leader().await;
    for n in [leader, (leader + 1) % 3, (leader + 2) % 3] {
        cluster.members[n].process().signal("STOP");
        let before = gateway.count("requests").await;
        let frozen = Instant::now();
        gateway.requests(before + MANY).await;
        let took = frozen.elapsed();
        println!(
            "{} frozen: {MANY} messages later after {took:?}",
            cluster.members[n].name
        );
        assert!(took < RESUMED, "{took:?}");
        cluster.members[n].process().signal("CONT");
        cluster.ready(Duration::from_secs(20)).await;
    }
    balanced(&cluster, &gateway, CUSTOMERS, 0).await;
}

#[tokio::test]
async fn of_two_postmen_of_one_name_the_newer_sends_and_the_older_ends() {
    const CUSTOMERS: u64 = 4_000;
    let gateway = Gateway::with(&["--latency-ms", "30"]);
    let cluster = cluster().await;
    let mut older = Postman::start(&cluster, &gateway, "postman-1");
    mail(&cluster, CUSTOMERS).await;
    gateway.requests(CUSTOMERS / 8).await;
    let mut newer = Postman::new(&cluster, &gateway, "postman-1", "another-machine");
    newer.run();
    let (ended, lines) = older.ended().await;
    assert_eq!(ended.code(), Some(1), "{lines}");
    assert!(
        lines.contains("a newer postman of this name has registered"),
        "{lines}"
    );
    balanced(&cluster, &gateway, CUSTOMERS, 0).await;
    newer.stop().await;
}

#[tokio::test]
async fn the_rate_limit_holds_for_all_postmen_together() {
    const CUSTOMERS: u64 = 1_200;
    let gateway = Gateway::start();
    let mut cluster = Cluster::new(Shape {
        more: NO_SENDERS,
        ..Shape::default()
    });
    for member in &mut cluster.members {
        member.reconfigure("concurrency = 32", "concurrency = 32\nrate_limit = 200");
        member.start();
    }
    cluster.ready(Duration::from_secs(30)).await;
    let _postmen = ["a", "b", "c"].map(|name| Postman::start(&cluster, &gateway, name));
    mail(&cluster, CUSTOMERS).await;
    gateway.requests(CUSTOMERS).await;
    let took = Duration::from_millis(gateway.count("span_ms").await);
    println!("{CUSTOMERS} messages in {took:?}");
    assert!(
        took >= Duration::from_millis(1_000 * CUSTOMERS / 200 * 8 / 10),
        "{took:?}"
    );
    balanced(&cluster, &gateway, CUSTOMERS, 0).await;
}

#[tokio::test]
async fn who_may_not_send_is_told_why() {
    let gateway = Gateway::start();
    let mut cluster = cluster().await;
    // Another secret: both ends say so, and it waits for better.
    let mut stranger = Postman::new(&cluster, &gateway, "stranger", "stranger");
    stranger.reconfigure("secret of the tests", "secret of somebody else");
    stranger.run();
    stranger.says("does not know cluster.secret").await;
    for member in &cluster.members {
        member
            .says("a peer was refused: it does not know cluster.secret")
            .await;
    }
    stranger.stop().await;
    // A node's name: its own postman would end.
    let mut posing = Postman::new(&cluster, &gateway, "notty-1", "posing");
    posing.run();
    let (ended, lines) = posing.ended().await;
    assert_eq!(ended.code(), Some(1), "{lines}");
    assert!(
        lines.contains("`notty-1` is a node of the cluster"),
        "{lines}"
    );
    // A journal that another uses.
    let mut first = Postman::start(&cluster, &gateway, "postman-1");
    first.says("sends for the cluster").await;
    let ended = Ended::of(&mut first.command());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("is in use by another postman"),
        "{ended:?}"
    );
    first.stop().await;
    // Nobody there: a stop is heard all the same.
    cluster.members.iter_mut().for_each(|member| member.kill());
    let mut lonely = Postman::start(&cluster, &gateway, "lonely");
    lonely.says("no cluster is found yet").await;
    lonely.stop().await;
}

#[tokio::test]
async fn a_postman_waits_for_a_majority_and_sends_nothing_without_one() {
    waits_mostly();
    const CUSTOMERS: u64 = 3_000;
    let gateway = Gateway::with(&["--latency-ms", "30"]);
    let mut cluster = cluster().await;
    let mut postman = Postman::start(&cluster, &gateway, "postman-1");
    mail(&cluster, CUSTOMERS).await;
    gateway.requests(300).await;
    let known = postman.process().lines().len();
    for n in [0, 1] {
        cluster.members[n].kill();
    }
    // What it holds may go on for as long as its view is young: then nothing comes any more.
    let mut last = (gateway.count("requests").await, Instant::now());
    eventually("nothing is sent", Duration::from_secs(20), async || {
        let now = gateway.count("requests").await;
        if now != last.0 {
            last = (now, Instant::now());
        }
        (last.1.elapsed() >= Duration::from_secs(3)).then_some(())
    })
    .await;
    assert!(last.0 < CUSTOMERS, "{}", last.0);

    // However long it goes round the nodes, that is a line; a second one if the nodes died one by one.
    postman.says("no node of the cluster serves").await;
    let lines = postman.process().lines().split_off(known);
    let lost = lines.iter().filter(|line| line.contains("is left: "));
    assert!((1..=2).contains(&lost.count()), "{lines:#?}");
    let known = known + lines.len();
    for n in [0, 1] {
        cluster.members[n].start();
    }
    cluster.ready(Duration::from_secs(20)).await;
    balanced(&cluster, &gateway, CUSTOMERS, 0).await;
    let lines = postman.process().lines().split_off(known);
    let is_back = |line: &String| line.contains("is asked now");
    assert!(lines.iter().any(is_back), "{lines:#?}");
}

#[tokio::test]
async fn beside_a_node_by_itself_a_postman_sends_through_its_cluster_of_one() {
    let gateway = Gateway::start();
    let address = free_addresses(1).remove(0);
    let nodes = format!("[{{ name = 'a', peer = '{address}', api = 'http://127.0.0.1:1' }}]");
    let setup = Setup::new()
        .set("NOTTY_POSTMAN__ENABLED", "false")
        .set("NOTTY_CLUSTER__LISTEN", &address)
        .set("NOTTY_CLUSTER__SECRET", SECRET)
        .set("NOTTY_CLUSTER__NAME", "a")
        .set("NOTTY_CLUSTER__EXPECT", "1")
        .set("NOTTY_CLUSTER__NODES", &nodes);
    let node = setup.start().await;
    let home = setup.dir().join("postman");
    let mut postman = Postman::in_dir(&home, &[address], &gateway, "p");
    postman.run();
    node.import(500).await;
    node.mail("m", json!({})).await;
    node.until("m", json!({ "done": 500 })).await;
    postman.stop().await;
}
