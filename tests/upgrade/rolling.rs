//! Nodes and a postman of the version before are replaced one after the other while a mailing is sent.
//!
//! `NOTTY_OLD_BIN` names the older binary. Without it the present one plays the older: it understands a
//! lower level only, and ends when it meets a command of a higher one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::support::{
    Client, Cluster, Gateway, Member, Postman, Release, Shape, eventually, total,
};

/// Customers of the mailing.
const CUSTOMERS: u64 = 16_000;
/// Time limit of a node for a stop or a start, and of the mailing for its end.
const LONG: Duration = Duration::from_secs(90);
/// Longest time without a write that is accepted: a change of the leader on a busy machine.
const LEADER_CHANGE: Duration = Duration::from_secs(5);

/// Writes all the time, at whichever node takes it; returns the longest time without success.
async fn write_all_the_time(nodes: Vec<Client>, mut stop: watch::Receiver<bool>) -> Duration {
    let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
    let mut n = 0;
    while !*stop.borrow_and_update() {
        n += 1;
        let body = json!({"name": format!("N{n}"), "phone": "+79990000001"});
        let node = &nodes[n % nodes.len()];
        let request = node.request(reqwest::Method::PUT, "/customers/customer-1");
        let request = request.timeout(Duration::from_secs(2)).json(&body);
        let answered = node.try_send(request).await;
        if answered.is_ok_and(|answer| answer.status == 200) {
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        tokio::task::yield_now().await;
    }
    longest.max(last.elapsed())
}

/// Stops a node, and starts it with the present version.
async fn upgrade(member: &mut Member) {
    member.process().signal("TERM");
    assert_eq!(member.ended(LONG).await, Some(0), "{}", member.name);
    member.become_release(Release::Eager);
    member.start();
    member.ready(LONG).await;
}

/// Has a member lead.
async fn lead(cluster: &Cluster, member: usize) {
    let Member { client, name, .. } = &cluster.members[member];
    let wanted = json!({ "name": name });
    // A member that has just started may need a second try to be level in time.
    eventually("it leads", LONG, async || {
        let answer = client.put("/cluster/leader", &wanted).await;
        (answer.status == 200).then_some(())
    })
    .await;
    assert_eq!(cluster.leader().await, member);
}

/// The cluster as a member sees it.
async fn look(member: &Member) -> Value {
    member.client.get("/cluster").await.expect(200)
}

/// Three nodes and a postman of the older version, in the middle of a mailing.
async fn older(gateway: &Gateway) -> (Cluster, Postman) {
    let mut cluster = Cluster::new(Shape {
        gateway: &gateway.url(),
        ..Shape::default()
    });
    for member in &mut cluster.members {
        member.become_release(Release::Older);
    }
    cluster.start_all();
    cluster.ready(LONG).await;

    let mut postman = Postman::new(&cluster, gateway, "postman-1", "postman-1");
    postman.become_release(Release::Older);
    postman.run();

    let node = &cluster.members[0].client;
    node.import(CUSTOMERS).await;
    node.mail("m", json!({})).await;
    gateway.requests(CUSTOMERS / 16).await;
    (cluster, postman)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_upgrade_repeats_nothing_and_holds_up_no_write_and_there_is_no_way_back() {
    let gateway = Gateway::with(&["--latency-ms", "60"]);
    let (mut cluster, mut postman) = older(&gateway).await;
    let (stop, stopped) = watch::channel(false);
    let nodes = cluster.members.iter().map(|member| member.client.clone());
    let writing = tokio::spawn(write_all_the_time(nodes.collect(), stopped));

    // An older leader has a newer follower, and then the other way round.
    let leader = cluster.leader().await;
    let [first, second] = [leader + 1, leader + 2].map(|n| n % 3);
    upgrade(&mut cluster.members[first]).await;
    lead(&cluster, first).await;
    for n in [second, leader] {
        assert_eq!(look(&cluster.members[n]).await["level"], 1);
        upgrade(&mut cluster.members[n]).await;
    }
    eventually("the level rises", LONG, async || {
        (look(&cluster.members[0]).await["level"] == 3).then_some(())
    })
    .await;
    for node in look(&cluster.members[0]).await["nodes"]
        .as_array()
        .expect("nodes")
    {
        assert_eq!(node["version"], env!("CARGO_PKG_VERSION"), "{node}");
    }

    // The older postman has worked with the newer nodes meanwhile.
    postman.stop().await;
    postman.become_release(Release::Eager);
    postman.run();
    let stats = cluster.agree("m", LONG).await;
    stop.send_replace(true);
    let longest = writing.await.expect("it ends");
    println!("longest time without a write: {longest:?}; {stats}");
    assert!(longest < LEADER_CHANGE, "{longest:?}");
    assert_eq!(gateway.count("duplicates").await, 0, "{stats}");
    assert_eq!(total(&stats), CUSTOMERS, "{stats}");
    assert_eq!(stats["done"], CUSTOMERS, "all stops were orderly: {stats}");

    there_is_no_way_back(&mut cluster).await;
}

/// An older version refuses the data of the present one by name.
async fn there_is_no_way_back(cluster: &mut Cluster) {
    let member = &mut cluster.members[0];
    member.process().signal("TERM");
    assert_eq!(member.ended(LONG).await, Some(0));

    member.become_release(Release::Older);
    member.start();
    let ended = member.process().ended(LONG).await;
    let said = member.process().lines().join("\n");
    assert!(!ended.success(), "{said}");
    let present = format!(
        "stands at level 3 since notty {}",
        env!("CARGO_PKG_VERSION")
    );
    assert!(said.contains(&present), "{said}");
    assert!(said.contains("and this is notty"), "{said}");
}
