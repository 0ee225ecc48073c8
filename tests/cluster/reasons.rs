//! A node that cannot serve names what is missing, wherever people look.

use std::time::Duration;

use reqwest::Method;

use crate::support::{Client, Cluster, Ended, SECRET, Shape, eventually, notty, waits_mostly};

/// Far longer than anything here takes.
const SOON: Duration = Duration::from_secs(30);

/// The reasons that `/readyz` gives; empty while the node is ready, or does not answer.
async fn reasons(client: &Client) -> String {
    let asking = client.request(Method::GET, "/readyz");
    match client.try_send(asking).await {
        Ok(answer) if answer.status == 503 => {
            let problem = answer.problem(503, "not_ready");
            problem["detail"].as_str().expect("a text").to_owned()
        }
        _ => String::new(),
    }
}

/// Waits until `/readyz` names everything of a list.
async fn names(client: &Client, parts: &[&str]) {
    let mut last = String::new();
    let naming = eventually("the reasons are named", SOON * 2, async || {
        last = reasons(client).await;
        parts.iter().all(|part| last.contains(part)).then_some(())
    });
    let named = tokio::time::timeout(SOON, naming).await;
    assert!(named.is_ok(), "{parts:?} are not named: {last}");
}

fn ask(client: &Client, command: &[&str]) -> Ended {
    Ended::of(notty().args(command).args(["--api", client.base()]))
}

/// Waits until a command fails and names everything of a list. Some wait for a slow node for a moment only.
async fn fails_and_names(client: &Client, command: &[&str], parts: &[&str]) {
    eventually(&format!("{command:?} names {parts:?}"), SOON, async || {
        let ended = ask(client, command);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let is_named = parts.iter().all(|part| ended.stderr.contains(part));
        is_named.then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_a_majority_the_missing_nodes_are_named() {
    waits_mostly();
    let mut cluster = Cluster::start(Shape::default()).await;
    for gone in [1, 2] {
        cluster.members[gone].kill();
    }
    let [first, second] =
        [1, 2].map(|gone| format!("`notty-{gone}` at {}", cluster.peer_address(gone)));
    let missing = [
        "no leader that a majority follows: 1 of 3 voters answer and 2 are needed",
        &first,
        &second,
        "cannot be reached: Connection refused",
    ];
    let node = &cluster.members[0].client;
    names(node, &missing).await;

    // The command line prints the same, and fails.
    for command in [&["healthcheck"][..], &["cluster", "status"]] {
        fails_and_names(node, command, &missing).await;
    }
    let status = ask(node, &["cluster", "status", "--json"]);
    assert_eq!(status.code, Some(1), "{status:?}");
    assert!(status.stdout.contains("\"leader\":null"), "{status:?}");

    // Nor does the log leave anybody guessing, and once it is over, it says so.
    cluster.members[0]
        .says("1 of 3 voters answer and 2 are needed")
        .await;
    cluster.members[1].start();
    cluster.members[1].ready(SOON).await;
    cluster.members[0].ready(SOON).await;
    cluster.members[0].says("leads the cluster").await;
    eventually("it is healthy", SOON, async || {
        let ended = ask(&cluster.members[0].client, &["healthcheck"]);
        (ended.code == Some(0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_wrong_secret_is_named() {
    waits_mostly();
    let mut cluster = Cluster::start(Shape::default()).await;
    let odd = (cluster.leader().await + 1) % 3;
    cluster.members[odd].kill();
    cluster.members[odd].reconfigure(SECRET, "quite another secret than theirs");
    cluster.members[odd].start();
    let wrong = "it does not know cluster.secret of this node";
    names(
        &cluster.members[odd].client,
        &["1 of 3 voters answer", wrong],
    )
    .await;

    let odd_name = cluster.members[odd].name.clone();
    let client = &cluster.members[(odd + 1) % 3].client;
    eventually("the others name it too", SOON, async || {
        let status = ask(client, &["cluster", "status"]);
        let mut lines = status.stdout.lines();
        let line = lines.find(|line| line.starts_with(&odd_name))?;
        (status.code == Some(0) && line.contains(wrong)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_that_waits_for_the_others_names_each_of_them() {
    waits_mostly();
    let mut cluster = Cluster::new(Shape::default());
    cluster.members[0].start();
    let [first, second] =
        [1, 2].map(|gone| format!("`notty-{gone}` at {}", cluster.peer_address(gone)));
    let missing = [
        "1 of 3 nodes are there",
        &first,
        &second,
        "Connection refused",
    ];
    names(&cluster.members[0].client, &missing).await;
    cluster.members[0].says("1 of 3 nodes are there").await;
    fails_and_names(&cluster.members[0].client, &["healthcheck"], &[&second]).await;
}

#[tokio::test]
async fn a_removed_node_ends_with_a_status_of_its_own_however_often_it_is_started() {
    waits_mostly();
    let mut cluster = Cluster::start(Shape::default()).await;
    let gone = (cluster.leader().await + 1) % 3;
    let name = cluster.members[gone].name.clone();
    let asked = &cluster.members[(gone + 1) % 3].client;
    asked
        .delete(&format!("/cluster/nodes/{name}"))
        .await
        .expect(204);
    assert_eq!(cluster.members[gone].ended(SOON).await, Some(4));
    cluster.members[gone].start();
    assert_eq!(cluster.members[gone].ended(SOON).await, Some(4));

    let unit = include_str!("../../deploy/notty.service");
    let kept = unit
        .lines()
        .find_map(|line| line.strip_prefix("RestartPreventExitStatus="));
    let kept = kept.expect("statuses that end it for good");
    assert!(kept.split(' ').any(|status| status == "4"), "{kept}");
}
