//! The log as an operator reads it: one line for each thing that happened, by name.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    sending::in_seconds,
    support::{Cluster, Gateway, Setup, Shape, eventually, waits_mostly},
};

/// Far longer than anything here takes.
const SOON: Duration = Duration::from_secs(40);
/// Time for which a node is dead: many heartbeats, and more tries to reach it than a node makes that has
/// never reached it.
const DEAD: Duration = Duration::from_secs(16);

/// The lines of a member's log behind the first so many, without their times.
fn news(cluster: &Cluster, member: usize, known: usize) -> Vec<String> {
    let lines = cluster.members[member].lines();
    let news = lines[known..].iter();
    news.map(|line| line.split_once(' ').map_or("", |(_, rest)| rest).to_owned())
        .collect()
}

/// Writes to the cluster until a time has passed since a moment.
async fn write_until(cluster: &Cluster, member: usize, since: Instant, time: Duration) {
    let node = &cluster.members[member].client;
    let customer = json!({ "id": "c", "phone": "+79161112233" });
    eventually("time passes", SOON, async || {
        node.post("/customers", &customer).await;
        (since.elapsed() >= time).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_dead_follower_costs_one_warning_and_its_return_one_line() {
    waits_mostly();
    let mut cluster = Cluster::start(Shape::default()).await;
    let leader = cluster.leader().await;
    let (dead, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let survivors = [leader, other];
    // All nodes know each other by now, and have logged who leads. The leader has one line more.
    for survivor in survivors {
        cluster.members[survivor]
            .says("leads the cluster now")
            .await;
    }
    cluster.members[leader]
        .says("is the level of the cluster")
        .await;
    let known = survivors.map(|member| cluster.members[member].lines().len());

    let name = cluster.members[dead].name.clone();
    cluster.members[dead].kill();
    write_until(&cluster, leader, Instant::now(), DEAD).await;
    cluster.members[dead].start();
    cluster.members[dead].ready(SOON).await;
    for survivor in survivors {
        cluster.members[survivor].says("is back after").await;
    }

    for (survivor, known) in survivors.into_iter().zip(known) {
        let news = news(&cluster, survivor, known);
        assert_eq!(news.len(), 2, "{news:#?}");
        let lost = format!(
            "the peer `{name}` at {} is lost: it ",
            cluster.peer_address(dead)
        );
        assert!(news[0].trim_start().starts_with("WARN"), "{news:#?}");
        assert!(news[0].contains(&lost), "{news:#?}");
        assert!(news[0].ends_with("Connection refused"), "{news:#?}");
        assert!(news[1].trim_start().starts_with("INFO"), "{news:#?}");
        assert!(
            news[1].contains(&format!("the peer `{name}` at")),
            "{news:#?}"
        );
    }
}

#[tokio::test]
async fn a_dead_leader_costs_a_warning_and_the_name_of_the_next() {
    waits_mostly();
    let mut cluster = Cluster::start(Shape::default()).await;
    let dead = cluster.leader().await;
    let survivors = [(dead + 1) % 3, (dead + 2) % 3];
    for survivor in survivors {
        cluster.members[survivor]
            .says("leads the cluster now")
            .await;
    }
    let known = survivors.map(|member| cluster.members[member].lines().len());

    cluster.members[dead].kill();
    let since = Instant::now();
    let next = cluster.leader_but(Some(dead)).await;
    write_until(&cluster, next, since, DEAD).await;

    let next = cluster.members[next].name.clone();
    for (survivor, known) in survivors.into_iter().zip(known) {
        let news = news(&cluster, survivor, known);
        assert_eq!(news.len(), 2, "{news:#?}");
        let leads: Vec<_> = news.iter().filter(|line| line.contains("leads")).collect();
        assert_eq!(leads.len(), 1, "{news:#?}");
        assert!(leads[0].contains(&format!("`{next}`")), "{news:#?}");
        assert!(
            news.iter().any(|line| line.contains("is lost")),
            "{news:#?}"
        );
    }
}

#[tokio::test]
async fn the_end_of_a_mailing_is_logged_with_its_counts() {
    waits_mostly();
    let gateway = Gateway::with(&[]);
    let node = Setup::at(&gateway).start().await;
    node.import(10).await;
    node.mail("m", json!({ "end": in_seconds(4) })).await;
    let line = "mailing m is finished with 10 messages: 10 done";
    eventually("its end is logged", SOON, async || {
        let lines = node.process.lines();
        lines.iter().any(|said| said.contains(line)).then_some(())
    })
    .await;
    let lines = node.process.lines();
    let ends = lines
        .iter()
        .filter(|said| said.contains("is finished"))
        .count();
    assert_eq!(ends, 1, "{lines:#?}");
}
