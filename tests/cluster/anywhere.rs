//! Any node answers anything; without a majority only reads.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::{Cluster, Gateway, Shape, eventually};

/// Far longer than anything here takes.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn what_one_node_acknowledged_every_node_can_be_asked_for() {
    let cluster = Cluster::start(Shape::default()).await;
    for n in 0..12_usize {
        let writer = &cluster.members[n % 3].client;
        let reader = &cluster.members[(n + 1) % 3].client;
        let customer = json!({ "id": format!("c-{n}"), "phone": format!("+7916{n:07}") });
        let written = writer.insist("/customers", &customer).await;
        written.expect(201);
        let index = written.header("notty-index").to_owned();
        let path = format!("/customers/c-{n}");
        let request = reader
            .request(Method::GET, &path)
            .header("notty-min-index", &index);
        let read = reader.send(request).await;
        read.expect(200);
        let reflected: u64 = read.header("notty-index").parse().expect("a position");
        assert!(
            reflected >= index.parse().expect("a position"),
            "{reflected} {index}"
        );
        // Who wrote it finds it at once, and everybody who asks the leader first.
        writer.get(&path).await.expect(200);
        let third = &cluster.members[(n + 2) % 3].client;
        let asks_the_leader = format!("{path}?consistency=linearizable");
        third.ask(&asks_the_leader).await.expect(200);
    }
    let twice = json!({ "id": "c-0", "phone": "+79160000000" });
    for member in &cluster.members {
        member
            .client
            .insist("/customers", &twice)
            .await
            .problem(409, "customer_exists");
        member
            .client
            .get("/customers/nobody")
            .await
            .problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_follower_takes_imports_and_mailings_and_every_node_sends() {
    let gateway = Gateway::with(&["--latency-ms", "20"]);
    let cluster = Cluster::at(&gateway).await;
    let follower = cluster.follower().await;
    follower.client.import(3_000).await;
    follower.client.mail("m", json!({})).await;
    let stats = cluster.agree("m", Duration::from_secs(30)).await;
    assert_eq!(stats["done"], 3_000, "{stats}");
    let tally = gateway.tally().await;
    assert_eq!(
        (&tally["messages"], &tally["duplicates"]),
        (&json!(3_000), &json!(0))
    );
    for member in &cluster.members {
        let metrics = member.client.get("/metrics").await;
        let mut sent = metrics.text.lines();
        let sent = sent.any(|line| line.starts_with("notty_gateway_answers_total"));
        assert!(sent, "{}: {}", member.name, metrics.text);
        assert_eq!(member.client.get("/stats").await.expect(200)["done"], 3_000);
    }
    let nothing = json!({});
    let paused = follower.client.insist("/mailings/m/pause", &nothing).await;
    assert_eq!(paused.expect(200)["status"], "paused");
}

#[tokio::test]
async fn without_a_majority_writes_are_refused_and_reads_go_on() {
    let mut cluster = Cluster::start(Shape::default()).await;
    let leader = cluster.leader().await;
    cluster.members[leader].client.import(10).await;
    let alone = (leader + 1) % 3;
    let read = "/customers/customer-3?consistency=linearizable";
    cluster.members[alone].client.ask(read).await.expect(200);
    for dead in [leader, (leader + 2) % 3] {
        cluster.members[dead].kill();
    }
    let alone = cluster.members[alone].client.clone();
    let customer = json!({ "id": "late", "phone": "+79161112233" });
    let refused = eventually("a write is refused", SOON, async || {
        let answer = alone.post("/customers", &customer).await;
        // One that was on its way when the leader died: nobody knows of it.
        (answer.status != 504).then_some(answer)
    });
    let refused = refused.await;
    refused.problem(503, "no_leader");
    assert!(!refused.header("retry-after").is_empty());
    alone.get("/customers/customer-3").await.expect(200);
    alone.get("/stats").await.expect(200);
    alone.get(read).await.problem(503, "no_leader");
    alone.get("/healthz").await.expect(200);
    cluster.members[leader].start();
    cluster.members[leader].ready(SOON).await;
    alone.insist("/customers", &customer).await.expect(201);
}
