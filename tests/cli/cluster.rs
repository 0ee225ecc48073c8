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
            let said = ask(&[]);
            (said.matches("cannot be reached").count() == 1).then_some(said)
        },
    )
    .await;
    assert!(said.starts_with("leader notty-"), "{said}");
    for member in &cluster.members {
        let line = said
            .lines()
            .find(|line| line.starts_with(&member.name))
            .expect("a line");
        assert_eq!(line.contains("cannot be reached"), !member.runs(), "{said}");
        assert!(line.contains(member.client.base()), "{said}");
    }
    let told: Value = serde_json::from_str(&ask(&["--json"])).expect("JSON");
    assert_eq!(told["nodes"][dead]["reachable"], false, "{told}");
    assert_eq!(told["nodes"].as_array().map(Vec::len), Some(3), "{told}");
}
