//! Backing up a cluster, and starting a new one from a backup.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Cluster, Ended, Gateway, Member, Shape, notty, sample_csv, total};

const CUSTOMERS: u64 = 6_000;
/// How long a restored cluster may take to have all of its nodes.
const WHOLE: Duration = Duration::from_secs(30);

fn done(ended: &Ended) {
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{ended:?}"
    );
}

fn back_up(member: &Member, file: &std::path::Path) {
    let mut command = notty();
    command
        .arg("backup")
        .arg(file)
        .args(["--api", member.client.base()]);
    done(&Ended::of(&mut command));
}

fn restore(file: &std::path::Path, member: &Member) {
    let mut command = notty();
    command
        .arg("restore")
        .arg(file)
        .arg("--data-dir")
        .arg(member.data());
    done(&Ended::of(&mut command));
}

/// Waits until a cluster has three voters, as each of its nodes sees it.
async fn three_voters(cluster: &Cluster) {
    for member in &cluster.members {
        crate::support::eventually("three nodes vote", WHOLE, async || {
            let told = member.try_get("/cluster").await?;
            let roles = told["nodes"].as_array().cloned().unwrap_or_default();
            let votes = roles
                .iter()
                .filter(|node| node["role"] != "learner")
                .count();
            (votes == 3).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_cluster_is_backed_up_while_it_sends_and_restored_as_a_new_cluster_of_three() {
    let gateway = Gateway::with(&["--latency-ms", "100"]);
    let url = gateway.url();
    let more = "[lease]\nsize = 100";
    let shape = Shape {
        gateway: &url,
        concurrency: 16,
        more,
    };
    let mut old = Cluster::start(shape).await;
    let file = old.dir().join("backup");
    let node = &old.members[0].client;
    node.import(CUSTOMERS).await;
    node.mail("m", json!({})).await;
    let asked = old.follower().await;
    crate::support::eventually("the follower knows some as done", WHOLE, async || {
        let now = asked.try_get("/stats/mailings/m").await?;
        (count(&now, "done") >= 200).then_some(())
    })
    .await;
    back_up(asked, &file);
    let during = gateway.count("requests").await;
    assert!(during < CUSTOMERS, "the mailing was over already: {during}");
    gateway.requests(during + 200).await;
    old.members.iter_mut().for_each(Member::kill);

    // The node that it is restored on need not be the first by name.
    let mut new = Cluster::new(shape);
    restore(&file, &new.members[1]);
    new.members[1].start();
    // It serves by itself until those whom it expects are there.
    new.members[1].says("1 of 3 nodes are there").await;
    new.members[1].ready(WHOLE).await;
    new.members[1]
        .client
        .get("/customers/customer-1")
        .await
        .expect(200);
    new.members[0].start();
    new.members[2].start();
    new.ready(WHOLE).await;
    three_voters(&new).await;
    let stats = new.agree("m", WHOLE).await;
    let open: u64 = ["created", "sending", "failed"]
        .iter()
        .map(|s| count(&stats, s))
        .sum();
    assert_eq!(open, 0, "{stats}");
    assert!(
        total(&stats) < CUSTOMERS && count(&stats, "done") >= 200,
        "{stats}"
    );
    let resume = "/mailings/m/resume";
    let refused = new.members[0].client.insist(resume, &json!({})).await;
    refused.problem(409, "duplicates_not_accepted");

    // It is a cluster like any other: it goes on without its leader.
    let leader = new.leader().await;
    new.members[leader].kill();
    let next = new.leader_but(Some(leader)).await;
    let accept = json!({ "accept_duplicates": true });
    let resumed = new.members[next].client.insist(resume, &accept).await;
    resumed.expect(200);
    new.members[leader].start();
    new.ready(WHOLE).await;
    let unconfirmed = count(&stats, "unconfirmed");
    crate::support::eventually("the rest is sent", WHOLE, async || {
        let now = new.members[next].try_get("/stats/mailings/m").await?;
        (count(&now, "done") + count(&now, "unconfirmed") == CUSTOMERS).then_some(())
    })
    .await;
    let now = new.agree("m", WHOLE).await;
    // Those of the killed leader that were on their way are in doubt, nothing else is.
    assert!(count(&now, "unconfirmed") - unconfirmed <= 16, "{now}");
    assert_eq!(gateway.count("duplicates").await, 0);
    let again = new.dir().join("again");
    back_up(&new.members[leader], &again);
}

fn count(stats: &Value, status: &str) -> u64 {
    stats[status].as_u64().expect("a count")
}

#[tokio::test]
async fn a_restored_node_founds_a_cluster_with_empty_nodes_only() {
    let mut old = Cluster::start(Shape::default()).await;
    let file = old.dir().join("backup");
    let node = &old.members[0].client;
    node.upload("/customers/import", "text/csv", sample_csv(1, 10))
        .await
        .expect(200);
    back_up(old.follower().await, &file);
    old.members.iter_mut().for_each(Member::kill);
    std::fs::remove_dir_all(old.members[0].data()).expect("removed");
    restore(&file, &old.members[0]);
    old.start_all();
    // The other two are of the old life, and have a majority of it.
    old.members[0].says("belongs to another cluster").await;
    old.members[0].ready(WHOLE).await;
    let told = old.members[0].client.get("/cluster").await.expect(200);
    assert_eq!(told["nodes"].as_array().map(Vec::len), Some(1), "{told}");
    for member in &mut old.members[1..] {
        member.kill();
        std::fs::remove_dir_all(member.data()).expect("removed");
        member.start();
    }
    old.ready(WHOLE).await;
    three_voters(&old).await;
    for member in &old.members {
        let lines = member.lines();
        let nameless = lines.iter().find(|line| line.contains("`` leads"));
        assert_eq!(nameless, None, "a leader has a name");
    }
    // Killed all at once and started again, it is the same cluster.
    old.members.iter_mut().for_each(Member::kill);
    old.start_all();
    old.ready(WHOLE).await;
    three_voters(&old).await;
    for member in &old.members {
        member
            .client
            .get("/customers/customer-10")
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn a_restored_founder_that_dies_while_it_takes_the_others_in_goes_on_with_it() {
    let mut old = Cluster::start(Shape::default()).await;
    let file = old.dir().join("backup");
    let node = &old.members[0].client;
    node.upload("/customers/import", "text/csv", sample_csv(1, 5_000))
        .await
        .expect(200);
    back_up(&old.members[0], &file);
    old.members.iter_mut().for_each(Member::kill);
    let mut new = Cluster::new(Shape::default());
    restore(&file, &new.members[0]);
    new.start_all();
    // It dies when it serves, when another has learnt from it, and when one votes.
    new.members[0].ready(WHOLE).await;
    new.members[0].kill();
    new.members[0].start();
    for role in ["learner", "voter"] {
        crate::support::eventually("another has that role", WHOLE, async || {
            let told = new.members[0].try_get("/cluster").await?;
            let others = told["nodes"]
                .as_array()?
                .iter()
                .filter(|n| n["name"] != "notty-0");
            let there = others.filter(|node| node["role"] == role || node["role"] == "leader");
            (there.count() > 0 || told["nodes"].as_array()?.len() == 3).then_some(())
        })
        .await;
        new.members[0].kill();
        new.members[0].start();
    }
    new.ready(WHOLE).await;
    three_voters(&new).await;
    for member in &new.members {
        member
            .client
            .get("/customers/customer-5000")
            .await
            .expect(200);
    }
}
