//! From three nodes to five as a StatefulSet does it: all pods have one configuration, the new ones start
//! together, and a person has them taken in.

use std::time::Duration;

use serde_json::json;

use super::changing::join;
use crate::support::{Cluster, Gateway, Shape, waits_mostly};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_cluster_of_three_becomes_one_of_five_by_one_configuration_for_all() {
    waits_mostly();
    let gateway = Gateway::start();
    let url = gateway.url();
    let shape = Shape {
        gateway: &url,
        ..Shape::default()
    };
    let mut cluster = Cluster::start(shape).await;

    // The number of nodes that form a cluster stays, because this one is formed.
    let mut sections: Vec<_> = (0..3).map(|n| cluster.section(n, 3)).collect();
    for n in 3..5 {
        cluster.newcomer(shape);
        sections.push(cluster.section(n, n + 1));
    }
    for (n, before) in sections.iter().enumerate() {
        cluster.members[n].reconfigure(before, &cluster.section(n, 3));
    }

    // Both at once, before anybody knows of them: they wait, and form no cluster of their own.
    for n in 3..5 {
        cluster.members[n].start();
    }
    for n in 3..5 {
        let waits = "belongs to a cluster already, and this data directory is empty";
        cluster.members[n].says(waits).await;
    }
    for n in 3..5 {
        join(&cluster, n, 0).await;
    }

    // The old ones get the new configuration one by one, as a rolling restart does.
    for n in 0..3 {
        cluster.members[n].process().signal("TERM");
        assert_eq!(cluster.members[n].ended(SOON).await, Some(0));
        cluster.members[n].start();
        cluster.members[n].ready(SOON).await;
    }

    let node = cluster.members[1].client.clone();
    node.import(2_000).await;
    node.mail("m", json!({})).await;
    let stats = cluster.agree("m", SOON).await;
    assert_eq!(stats["done"], 2_000, "{stats}");
    let told = node.get("/cluster").await.expect(200);
    let nodes = told["nodes"].as_array().expect("nodes");
    let voters = nodes.iter().filter(|node| node["role"] != "learner");
    assert_eq!(voters.count(), 5, "{told}");
}
