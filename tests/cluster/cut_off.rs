//! One node is cut off from the other two, while clients and the gateway still reach it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Client, Cluster, Gateway, Network, Shape, eventually, total, waits_mostly};

/// Customers of the mailing that is under way.
const CUSTOMERS: u64 = 12_000;
/// Requests in flight from each node.
const CONCURRENCY: usize = 16;
/// How long a node may go on with what it knew before it was cut off: its view of pauses and ends
/// counts for a second, and requests on their way end.
const BLIND: Duration = Duration::from_secs(3);
/// A lease; the node stays cut off for longer.
const LEASE: Duration = Duration::from_secs(14);

/// What a node has had from the gateway.
async fn sent(node: &Client) -> u64 {
    let metrics = node.get("/metrics").await;
    let lines = metrics
        .text
        .lines()
        .filter(|line| line.starts_with("notty_gateway_answers_total"));
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// Waits until some time has passed since a moment.
async fn passed(since: Instant, time: Duration) {
    eventually("time passes", time * 2, async || {
        (since.elapsed() >= time).then_some(())
    })
    .await;
}

/// Cuts off the leader, or a follower, in the middle of a mailing.
async fn cut_off(the_leader: bool) {
    let Some(network) = Network::make() else {
        return;
    };
    let gateway = Gateway::at(&network.outside(), &["--latency-ms", "60"]);
    let url = gateway.url();
    let more = format!("[lease]\nttl_ms = {}\n", LEASE.as_millis());
    let shape = Shape {
        gateway: &url,
        concurrency: CONCURRENCY,
        more: &more,
    };
    let mut cluster = Cluster::over(&network, shape);
    cluster.start_all();
    cluster.ready(Duration::from_secs(30)).await;
    let leader = cluster.leader().await;
    let cut = if the_leader { leader } else { (leader + 1) % 3 };
    let other = (cut + 1) % 3;
    let (alone, others) = (&cluster.members[cut].client, &cluster.members[other].client);
    others.import(CUSTOMERS).await;
    others.mail("m", json!({})).await;
    gateway.requests(CUSTOMERS / 20).await;
    eventually("it sends as well", Duration::from_secs(30), async || {
        (sent(alone).await > 0).then_some(())
    })
    .await;
    network.cut(cut);
    let since = Instant::now();

    // It answers what it knows, and takes nothing that it could not keep.
    let customer = json!({ "id": "late", "phone": "+79161112233" });
    let mut unknown = Vec::new();
    eventually("writes are refused", Duration::from_secs(30), async || {
        let answer = alone.post("/customers", &customer).await;
        unknown.push(answer.status.as_u16());
        (answer.status == 503).then(|| answer.problem(503, "no_leader"))
    })
    .await;
    // Of what was under way when it was cut off, nobody knows.
    assert!(
        unknown.iter().all(|status| [503, 504].contains(status)),
        "{unknown:?}"
    );
    alone.get("/customers/customer-3").await.expect(200);
    alone.get("/stats/mailings/m").await.expect(200);
    alone
        .get("/stats?consistency=linearizable")
        .await
        .problem(503, "no_leader");
    passed(since, BLIND).await;
    let blind = sent(alone).await;
    let going_on = gateway.count("requests").await;
    passed(since, LEASE + BLIND).await;
    assert_eq!(
        sent(alone).await,
        blind,
        "it sent while it knew nothing of pauses and ends"
    );
    let went_on = gateway.count("requests").await;
    assert!(
        went_on > going_on + 500,
        "the others go on: {going_on} {went_on}"
    );
    let told = others.get("/cluster").await.expect(200);
    assert_eq!(told["nodes"][cut]["reachable"], false, "{told}");

    network.heal(cut);
    let stats = cluster.agree("m", Duration::from_secs(120)).await;
    let tally = gateway.tally().await;
    assert_eq!(tally["duplicates"], 0, "{tally} {stats}");
    // The write that nobody knew of may have been taken after all, and its customer came to match.
    let late = others.get("/customers/late").await.status == 200;
    assert_eq!(total(&stats), CUSTOMERS + u64::from(late), "{stats}");
    // What it sent after it was cut off it reports now, late; only what was on its way stays open.
    eventually(
        "its late reports count",
        Duration::from_secs(20),
        async || {
            let stats = others.get("/stats/mailings/m").await.expect(200);
            (stats["unconfirmed"].as_u64()? <= CONCURRENCY as u64).then_some(())
        },
    )
    .await;
    eventually(
        "it takes writes again",
        Duration::from_secs(20),
        async || {
            let status = alone.post("/customers", &customer).await.status;
            // The first one may have been taken after all.
            [201, 409].contains(&status.as_u16()).then_some(())
        },
    )
    .await;
}

#[tokio::test]
async fn a_follower_that_is_cut_off_reads_but_neither_writes_nor_sends() {
    waits_mostly();
    cut_off(false).await;
}

#[tokio::test]
async fn a_leader_that_is_cut_off_reads_but_neither_writes_nor_sends() {
    waits_mostly();
    cut_off(true).await;
}
