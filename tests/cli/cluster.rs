//! `notty cluster status`.

use std::time::Duration;

use serde_json::Value;

use super::run;
use crate::support::{Cluster, Shape, eventually};

#[tokio::test]
async fn the_status_of_a_cluster_is_told_to_people_and_programs() {
    let mut cluster = Cluster::start(Shape::default()).await;
    let dead = (cluster.leader().await + 1) % 3;
    cluster.members[dead].kill();
    let api = cluster.members[(dead + 1) % 3].client.base().to_owned();
    let ask = |more: &[&str]| {
        let args = [&["cluster", "status", "--api", &api][..], more].concat();
        let ended = run(&args);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    };
    // A node that is slow to answer once counts as one that does not.
    let said = eventually(
        "only the dead one does not answer",
        Duration::from_secs(10),
        async || {
            let said = run(&["cluster", "status", "--api", &api]).stdout;
            (said.matches("cannot be reached").count() == 1).then_some(said)
        },
    )
    .await;
    assert!(said.starts_with("leader notty-"), "{said}");
    let (version, commit) = version_and_commit();
    let first = said.lines().next().unwrap_or_default();
    assert!(first.contains(", level "), "{said}");
    for member in &cluster.members {
        let line = said
            .lines()
            .find(|line| line.starts_with(&member.name))
            .expect("a line");
        assert_eq!(line.contains("cannot be reached"), !member.runs(), "{said}");
        assert!(line.contains(member.client.base()), "{said}");
        let build = format!("{version} ({commit})");
        assert_eq!(line.ends_with(&build), member.runs(), "{said}");
    }
    let told: Value = serde_json::from_str(&ask(&["--json"])).expect("JSON");
    assert_eq!(told["nodes"][dead]["reachable"], false, "{told}");
    assert_eq!(told["nodes"].as_array().map(Vec::len), Some(3), "{told}");
    // A node that is slow to answer this time has no commit either.
    for node in told["nodes"].as_array().expect("nodes") {
        let wanted = (node["reachable"] == true).then_some(commit.as_str());
        assert_eq!(node["commit"].as_str(), wanted, "{told}");
    }

    // Options stand before the command too.
    let ended = run(&["cluster", "--json", "--api", &api, "status"]);
    let before: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(
        before["nodes"].as_array().map(Vec::len),
        Some(3),
        "{before}"
    );
}

/// The version and the commit of the binary, as it prints them.
fn version_and_commit() -> (String, String) {
    let printed = run(&["--version"]).stdout;
    let mut words = printed.split_whitespace().skip(1);
    let version = words.next().expect("a version").to_owned();
    let commit = words.next().expect("a commit").trim_matches(['(', ')']);
    (version, commit.to_owned())
}

#[tokio::test]
async fn the_first_line_of_a_log_names_version_and_commit_also_of_a_node_that_waits() {
    let mut cluster = Cluster::new(Shape::default());
    cluster.members[0].start();
    cluster.members[0].says("of 3 nodes are there").await;
    let (version, commit) = version_and_commit();
    let lines = cluster.members[0].lines();
    let wanted = format!("notty {version} ({commit}) starts");
    assert!(lines[0].contains(&wanted), "{lines:?}");
}
