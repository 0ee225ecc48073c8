//! Followers stand still for a while, as on a busy host or in a machine that is moved, and go on.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Cluster, Shape, eventually, waits_mostly};

/// Far longer than anything here takes.
const SOON: Duration = Duration::from_secs(30);
/// Followers that are frozen and thawed, all together.
const FREEZES: usize = 50;
/// Followers that stand still at the same time: the other three of five are a majority.
const AT_ONCE: usize = 2;
/// Longer than any follower waits before it stands for election: a lease and a timeout of 1 s each.
const FROZEN: Duration = Duration::from_millis(2_100);

/// Freezes some members, writes meanwhile, and thaws them; returns once they can serve again.
async fn freeze(cluster: &mut Cluster, leader: usize, frozen: [usize; AT_ONCE], round: usize) {
    for member in frozen {
        cluster.members[member].process().signal("STOP");
    }
    let since = Instant::now();
    eventually("they were frozen for long enough", SOON, async || {
        (since.elapsed() >= FROZEN).then_some(())
    })
    .await;

    let customer = json!({ "id": format!("of-round-{round}"), "phone": "+79161112233" });
    let writer = &cluster.members[leader].client;
    writer.post("/customers", &customer).await.expect(201);

    for member in frozen {
        cluster.members[member].process().signal("CONT");
    }
    for member in frozen {
        cluster.members[member].ready(SOON).await;
    }
}

#[tokio::test]
async fn followers_that_are_frozen_and_thawed_fifty_times_cost_no_leader_change() {
    waits_mostly();
    let mut cluster = Cluster::of(5, Shape::default());
    cluster.start_all();
    cluster.ready(SOON).await;
    let leader = cluster.leader().await;
    let who_leads = async |cluster: &Cluster| {
        let seen = cluster.members[leader].client.get("/cluster").await;
        let seen = seen.expect(200);
        (seen["leader"].clone(), seen["term"].clone())
    };
    let before = who_leads(&cluster).await;

    for round in 0..FREEZES / AT_ONCE {
        // Each follower in turn, with each of its neighbours.
        let followers = [round % 4, (round + 1) % 4];
        let frozen = followers.map(|nth| (leader + 1 + nth) % 5);
        freeze(&mut cluster, leader, frozen, round).await;
        assert_eq!(who_leads(&cluster).await, before, "after round {round}");
    }
}
