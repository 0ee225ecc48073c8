//! A disk is lost, a node moves, a node by itself gets company.

use std::time::Duration;

use serde_json::{Value, json};

use super::changing::{add, join};
use crate::support::{Cluster, Ended, Process, Shape, eventually, notty, sample_csv};

/// How long a node may take to come back.
const BACK: Duration = Duration::from_secs(20);

/// Runs a command of `notty cluster`, to its end.
fn command(args: &[&str], api: &str) -> Ended {
    Ended::of(notty().arg("cluster").args(args).args(["--api", api]))
}

/// Waits until a command succeeds: a busy node counts as out of reach, and nobody may be elected in time.
async fn succeeds(args: &[&str], api: &str) -> Ended {
    eventually(&format!("{args:?} succeeds"), BACK, async || {
        let ended = command(args, api);
        (ended.code == Some(0)).then_some(ended)
    })
    .await
}

#[tokio::test]
async fn a_lost_disk_is_replaced_by_two_commands() {
    let mut cluster = Cluster::start(Shape::default()).await;
    let lost = (cluster.leader().await + 1) % 3;
    let asked = (lost + 1) % 3;
    let node = cluster.members[asked].client.clone();
    node.upload("/customers/import", "text/csv", sample_csv(1, 500))
        .await
        .expect(200);
    cluster.members[lost].kill();
    let (data, aside) = (cluster.members[lost].data(), cluster.dir().join("aside"));
    std::fs::rename(&data, &aside).expect("moved");
    cluster.members[lost].start();
    cluster.members[lost].says("notty cluster add").await;
    assert_eq!(cluster.members[lost].try_get("/readyz").await, None);
    eventually("the others say why it is no help", BACK, async || {
        let told = node.get("/cluster").await.expect(200);
        let reason = &told["nodes"][lost]["reason"];
        let reason = reason.as_str().unwrap_or_default();
        reason.contains("belongs to no cluster").then_some(())
    })
    .await;

    let (name, api) = (cluster.members[lost].name.clone(), node.base().to_owned());
    let (peer, own) = (
        cluster.peer_address(lost),
        cluster.members[lost].client.base().to_owned(),
    );
    let add = ["add", &name, "--peer", peer, "--api-url", &own];
    let refused = command(&add, &api);
    let line = refused.one_line(1);
    assert!(
        line.contains("node_exists") && line.contains("notty cluster remove"),
        "{line}"
    );
    for _ in 0..2 {
        succeeds(&["remove", &name], &api).await;
    }
    for _ in 0..2 {
        let added = succeeds(&add, &api).await;
        assert!(added.stdout.contains("is a voter"), "{added:?}");
    }
    let told = succeeds(&[&add[..], &["--json"]].concat(), &api).await;
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!(
        (&told["name"], &told["role"]),
        (&json!(name), &json!("voter"))
    );
    cluster.members[lost].ready(BACK).await;
    let read = "/customers/customer-7?consistency=linearizable";
    cluster.members[lost].client.ask(read).await.expect(200);

    // It counts: without another one, the two go on.
    let to = cluster.members[asked].name.clone();
    let transferred = succeeds(&["transfer-leader", &to], &own).await;
    assert_eq!(transferred.stdout.trim(), format!("{to} leads"));
    let third = 3 - lost - asked;
    cluster.members[third].kill();
    let customer = json!({ "id": "late", "phone": "+79161112233" });
    let written = cluster.members[lost].client.insist("/customers", &customer);
    written.await.expect(201);
    cluster.members[third].start();
    cluster.members[third].ready(BACK).await;

    // The old disk, should it turn up again, is told where it stands.
    cluster.members[lost].kill();
    std::fs::rename(&data, cluster.dir().join("new")).expect("moved");
    std::fs::rename(&aside, &data).expect("moved");
    cluster.members[lost].start();
    cluster.members[lost].says("removed from the cluster").await;
    assert_eq!(cluster.members[lost].ended(BACK).await, Some(4));
    node.get("/customers/late").await.expect(200);
}

#[tokio::test]
async fn a_node_that_moved_is_known_by_its_new_address() {
    let mut cluster = Cluster::start(Shape::default()).await;
    let leader = cluster.leader().await;
    // A follower, then the leader; each tells of its new address in its own configuration alone.
    for moved in [(leader + 1) % 3, leader] {
        let old = cluster.peer_address(moved).to_owned();
        let spare = Cluster::of(1, Shape::default());
        let new = spare.peer_address(0).to_owned();
        cluster.members[moved].kill();
        cluster.members[moved].reconfigure(&old, &new);
        cluster.members[moved].start();
        cluster.members[moved].ready(BACK).await;
        eventually("all know the new address", BACK, async || {
            for member in &cluster.members {
                let told = member.try_get("/cluster").await?;
                let node = &told["nodes"][moved];
                (node["peer"] == new.as_str() && node["reachable"] == true).then_some(())?;
            }
            Some(())
        })
        .await;
    }
    let customer = json!({ "id": "c", "phone": "+79161112233" });
    for (n, member) in cluster.members.iter().enumerate() {
        member.client.insist("/customers", &customer).await;
        let read = member.client.ask("/customers/c?consistency=linearizable");
        let read = read.await;
        assert_eq!(read.status, 200, "{n}: {}", read.text);
    }
}

#[tokio::test]
async fn a_node_by_itself_grows_into_a_cluster() {
    let mut cluster = Cluster::of(1, Shape::default());
    let section = cluster.section(0, 1);
    cluster.members[0].reconfigure(&section, "");
    cluster.start_all();
    cluster.ready(BACK).await;
    let node = cluster.members[0].client.clone();
    node.upload("/customers/import", "text/csv", sample_csv(1, 100))
        .await
        .expect(200);
    cluster.members[0].process().signal("TERM");
    cluster.members[0].ended(BACK).await;
    cluster.members[0].reconfigure("[gateway]", &format!("{section}\n[gateway]"));
    cluster.start_all();
    cluster.ready(BACK).await;
    for asked in 0..2 {
        let n = add(&mut cluster, Shape::default(), asked).await;
        let read = "/customers/customer-7?consistency=linearizable";
        cluster.members[n].client.ask(read).await.expect(200);
    }
    // One of three with the data of a node by itself: without its peers' addresses it does not start.
    cluster.members[0].kill();
    cluster.members[0].reconfigure(&section, "");
    let mut command = cluster.members[0].command();
    let mut process = Process::start_silently(&mut command);
    let ended = process.ended(BACK).await;
    let lines = process.lines().join("\n");
    assert_eq!(ended.code(), Some(1), "{lines}");
    assert!(lines.contains("[cluster]"), "{lines}");
}

#[tokio::test]
async fn a_node_taken_in_goes_on_where_it_was_after_it_died() {
    let mut cluster = Cluster::of(1, Shape::default());
    let alone = cluster.section(0, 1);
    cluster.start_all();
    cluster.ready(BACK).await;
    let first = add(&mut cluster, Shape::default(), 0).await;
    cluster.members[first].kill();
    cluster.members[first].start();
    cluster.members[first].ready(BACK).await;
    let removed = cluster.members[first]
        .client
        .delete("/cluster/nodes/notty-0")
        .await;
    assert_eq!(removed.status, 204, "{}", removed.text);
    assert_eq!(cluster.members[0].ended(BACK).await, Some(4));
    std::fs::remove_dir_all(cluster.members[0].data()).expect("removed");
    // The first by name of those it knows, so that it would found a cluster if it could.
    cluster.members[0].reconfigure(&alone, &cluster.section(0, 2));
    cluster.members[0].start();
    cluster.members[0].says("notty cluster add").await;
    join(&cluster, 0, first).await;
    for n in [0, first, 0] {
        cluster.members[n].kill();
        cluster.members[n].start();
        cluster.ready(BACK).await;
    }
}
