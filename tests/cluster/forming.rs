//! How nodes come together, once, and who is kept out.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Cluster, SECRET, Shape, eventually, waits_mostly};

/// How long a cold start may take.
const COLD_START: Duration = Duration::from_secs(10);

#[tokio::test]
async fn three_nodes_form_a_cluster_once_and_come_back_with_every_acknowledged_write() {
    let mut cluster = Cluster::start(Shape::default()).await;
    let mut last = 0;
    for n in 0..60 {
        let node = &cluster.members[n % 3].client;
        let customer = json!({ "id": format!("c-{n}"), "phone": format!("+7916{n:07}") });
        let answer = node.insist("/customers", &customer).await;
        answer.expect(201);
        last = answer
            .header("notty-index")
            .parse::<u64>()
            .expect("a position");
    }
    let before = cluster.members[0].client.get("/cluster").await.expect(200);
    cluster.members.iter_mut().for_each(|member| member.kill());
    let began = Instant::now();
    cluster.start_all();
    cluster.ready(COLD_START).await;
    println!("cold start: {:?}", began.elapsed());
    for member in &cluster.members {
        for n in 0..60 {
            member
                .client
                .get(&format!("/customers/c-{n}"))
                .await
                .expect(200);
        }
        let after = member.client.get("/cluster").await.expect(200);
        let names = |cluster: &serde_json::Value| {
            let nodes = cluster["nodes"].as_array().cloned().expect("nodes");
            nodes
                .iter()
                .map(|node| node["name"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&after), names(&before), "formed once");
        // The leader of before may go on in its term: its vote is on its disk.
        assert!(after["term"].as_u64() >= before["term"].as_u64(), "{after}");
        let path = "/stats?consistency=linearizable";
        let read = member.client.ask(path).await;
        let index: u64 = read.header("notty-index").parse().expect("a position");
        assert!(index >= last, "{index} {last}");
    }
}

#[tokio::test]
async fn the_cluster_tells_how_each_node_stands() {
    let mut cluster = Cluster::start(Shape::default()).await;
    // A node that is slow to answer once counts as out of reach.
    let told = eventually("one leads two within reach", COLD_START, async || {
        let told = cluster.members[0].try_get("/cluster").await?;
        let nodes = told["nodes"].as_array()?;
        let reached = nodes.iter().all(|node| node["reachable"] == true);
        let have_role = |role: &str| nodes.iter().filter(|node| node["role"] == role).count();
        let roles = (have_role("leader"), have_role("voter"));
        (reached && roles == (1, 2)).then_some(told)
    })
    .await;
    let nodes = told["nodes"].as_array().expect("nodes");
    assert_eq!(nodes.len(), 3, "{told}");
    for node in nodes {
        assert!(node["last_index"].as_u64() > Some(0), "{told}");
        assert!(
            node["api"]
                .as_str()
                .is_some_and(|api| api.starts_with("http://")),
            "{told}"
        );
    }
    let dead = (cluster.leader().await + 1) % 3;
    cluster.members[dead].kill();
    let other = &cluster.members[(dead + 1) % 3].client;
    let told = other.get("/cluster").await.expect(200);
    assert_eq!(told["nodes"][dead]["reachable"], false, "{told}");
}

#[tokio::test]
async fn a_node_with_a_wrong_secret_is_refused_and_does_no_harm() {
    let mut cluster = Cluster::start(Shape::default()).await;
    let odd = (cluster.leader().await + 1) % 3;
    cluster.members[odd].kill();
    cluster.members[odd].reconfigure(SECRET, "quite another secret than theirs");
    cluster.members[odd].start();
    let leader = cluster.leader_but(Some(odd)).await;
    cluster.members[leader]
        .says("does not know cluster.secret")
        .await;
    cluster.members[leader].client.import(10).await;
    let refused = cluster.members[odd].client.get("/customers").await;
    assert_eq!(refused.status, 503, "{}", refused.text);
    let process = cluster.members[odd].process();
    process.signal("TERM");
    let ended = process.ended(Duration::from_secs(20)).await;
    assert!(ended.success(), "{ended}");
}

#[tokio::test]
async fn an_empty_disk_under_an_old_name_and_another_clusters_disk_are_refused() {
    let mut cluster = Cluster::start(Shape::default()).await;
    let odd = (cluster.leader().await + 1) % 3;
    cluster.members[odd].kill();
    let data = cluster.members[odd].data();
    let aside = cluster.dir().join("aside");
    std::fs::rename(&data, &aside).expect("moved");
    cluster.members[odd].start();
    cluster.members[odd]
        .says("belongs to a cluster already")
        .await;
    let leader = cluster.leader().await;
    cluster.members[leader].client.poke("/customers?x=1").await;
    assert_eq!(cluster.members[odd].try_get("/readyz").await, None);
    cluster.members[odd].kill();

    // A disk of another cluster, whose node has the same name, number and secret.
    let mut other = Cluster::start(Shape::default()).await;
    other.members.iter_mut().for_each(|member| member.kill());
    std::fs::remove_dir_all(&data).expect("removed");
    std::fs::rename(other.members[odd].data(), &data).expect("moved");
    cluster.members[odd].start();
    // The log has one line about a lost node: it may have been logged before this one came.
    eventually("the leader names the reason", COLD_START, async || {
        let told = cluster.members[leader].try_get("/cluster").await?;
        let reason = told["nodes"][odd]["reason"].as_str()?;
        reason.contains("belongs to another cluster").then_some(())
    })
    .await;
    assert_eq!(cluster.members[odd].try_get("/readyz").await, None);
    cluster.members[odd].kill();

    // Its own disk is as good as before.
    std::fs::remove_dir_all(&data).expect("removed");
    std::fs::rename(&aside, &data).expect("moved");
    cluster.members[leader].client.import(10).await;
    cluster.members[odd].start();
    cluster.ready(COLD_START).await;
    let path = "/customers/customer-7?consistency=linearizable";
    cluster.members[odd].client.ask(path).await.expect(200);
}

#[tokio::test]
async fn all_nodes_of_the_list_must_be_there_also_where_fewer_are_expected() {
    waits_mostly();
    let mut cluster = Cluster::new(Shape::default());
    let mut sections: Vec<_> = (0..3).map(|n| cluster.section(n, 3)).collect();
    for n in 3..5 {
        cluster.newcomer(Shape::default());
        sections.push(cluster.section(n, n + 1));
    }
    for (n, before) in sections.iter().enumerate() {
        cluster.members[n].reconfigure(before, &cluster.section(n, 3));
    }

    for n in 0..4 {
        cluster.members[n].start();
    }
    let waits = format!(
        "4 of 5 nodes are there; `notty-4` at {}",
        cluster.peer_address(4)
    );
    for n in 0..4 {
        cluster.members[n].says(&waits).await;
    }
    cluster.members[4].start();
    cluster.ready(COLD_START).await;
}
