//! A node that was away for long comes back by a snapshot, and logs stay short.

use std::{
    ffi::OsString,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{Client, Cluster, Gateway, Member, Shape, eventually, sample_csv};

/// Messages of the mailing that a node misses.
const MESSAGES: u64 = 200_000;
/// How long it may take to catch up.
const CATCH_UP: Duration = Duration::from_secs(10);
/// Entries that are kept behind a snapshot, for those who are only a little behind.
const KEPT: f64 = 1_000.0;
/// How much log there may be, in bytes: half a snapshot, what is kept behind it, and a segment.
const LOG_BYTES: f64 = 48.0 * 1024.0 * 1024.0;

/// One figure of a node's metrics.
async fn figure(node: &Client, name: &str) -> f64 {
    let metrics = node.get("/metrics").await.text;
    let line = metrics
        .lines()
        .find(|line| line.split(' ').next() == Some(name));
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    value.unwrap_or_else(|| panic!("no {name}: {metrics}"))
}

/// All customers, in parts that a request may hold.
async fn import(node: &Client) {
    let part = MESSAGES / 4;
    for n in 0..4 {
        let csv = sample_csv(n * part + 1, (n + 1) * part);
        node.upload("/customers/import", "text/csv", csv)
            .await
            .expect(200);
    }
}

/// Starts a node, and kills it as soon as it builds another state than the one that it has. Where this
/// process is late, that state may be whole by then.
async fn kill_while_it_installs(member: &mut Member) {
    let states = member.data().join("state");
    let names = || -> Vec<OsString> {
        let entries = std::fs::read_dir(&states).expect("reads").flatten();
        entries.map(|entry| entry.file_name()).collect()
    };
    let before = names();
    member.start();
    eventually(
        "a state is built from a snapshot",
        CATCH_UP * 6,
        async || {
            let is_new = |name: &OsString| {
                name.to_string_lossy().starts_with("state-") && !before.contains(name)
            };
            names().iter().any(is_new).then_some(())
        },
    )
    .await;
    let is_whole = member.count_lines("snapshot installed") > 0;
    member.kill();
    println!("killed while a state is built, which is whole: {is_whole}");
}

#[tokio::test]
async fn a_node_that_missed_a_whole_mailing_catches_up_by_snapshot() {
    let gateway = Gateway::start();
    let url = gateway.url();
    let shape = Shape {
        gateway: &url,
        concurrency: 256,
        more: "",
    };
    let mut cluster = Cluster::new(shape);
    for member in &cluster.members {
        member.reconfigure("[node]", "[node]\ncompact_log_mb = 1");
    }
    cluster.start_all();
    cluster.ready(Duration::from_secs(30)).await;
    let leader = cluster.leader().await;
    let away = (leader + 1) % 3;
    let missed_from = figure(&cluster.members[away].client, "notty_raft_applied_index").await;
    cluster.members[away].kill();
    let node = cluster.members[leader].client.clone();
    import(&node).await;
    node.mail("m", json!({})).await;
    let stats = cluster.agree("m", Duration::from_secs(240)).await;
    assert_eq!(stats["done"], MESSAGES, "{stats}");
    // Customers are imported again, as they are from time to time: that makes most of a log. A
    // snapshot comes first, and segments behind it are dropped a little later.
    let (last, log) = eventually("what it missed is in a snapshot only", CATCH_UP * 12, async || {
        import(&node).await;
        let snapshot = figure(&node, "notty_raft_snapshot_index").await;
        let appended = figure(&node, "notty_raft_log_appended_bytes_total").await;
        let log = figure(&node, "notty_raft_log_bytes").await;
        let last = figure(&node, "notty_raft_last_index").await;
        println!(
            "position {last}, snapshot at {snapshot}, log {log} bytes of {appended} appended; the \
             other stood at {missed_from}"
        );
        (snapshot > missed_from + KEPT && log < appended).then_some((last, log))
    })
    .await;
    assert!(log < LOG_BYTES, "{log} bytes");

    for _ in 0..2 {
        kill_while_it_installs(&mut cluster.members[away]).await;
    }
    let began = Instant::now();
    cluster.members[away].start();
    let back = cluster.members[away].client.clone();
    eventually("it is level", CATCH_UP * 6, async || {
        let told = cluster.members[away].try_get("/cluster").await?;
        let applied = told["nodes"][away]["applied_index"].as_u64()?;
        (applied as f64 >= last).then_some(())
    })
    .await;
    let took = began.elapsed();
    println!("caught up after {took:?}");
    assert!(took <= CATCH_UP, "{took:?}");
    let by_snapshot = figure(&back, "notty_raft_snapshot_index").await;
    assert!(by_snapshot > missed_from, "it came by log");
    assert_eq!(cluster.agree("m", CATCH_UP).await, stats);
    assert_eq!(
        back.get("/stats").await.expect(200),
        node.get("/stats").await.expect(200)
    );
}
