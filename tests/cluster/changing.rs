//! Nodes come and go while a mailing is being sent.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Cluster, Gateway, Shape, eventually, total, waits_mostly};

/// How long a node may take to be taken in, or out.
const CHANGE: Duration = Duration::from_secs(30);

/// The nodes of the cluster and their roles, as one of them sees it.
async fn roles(cluster: &Cluster, asked: usize) -> Vec<(String, String)> {
    let told = cluster.members[asked]
        .client
        .get("/cluster")
        .await
        .expect(200);
    let text = |node: &Value, field: &str| node[field].as_str().unwrap_or_default().to_owned();
    let nodes = told["nodes"].as_array().cloned().unwrap_or_default();
    nodes
        .iter()
        .map(|node| (text(node, "name"), text(node, "role")))
        .collect()
}

/// Starts one more node and has it taken in, by asking a node for it.
pub async fn add(cluster: &mut Cluster, shape: Shape<'_>, asked: usize) -> usize {
    let n = cluster.newcomer(shape);
    cluster.members[n].start();
    cluster.members[n]
        .says("not a member of a cluster yet")
        .await;
    join(cluster, n, asked).await;
    n
}

/// Has a node that waits taken in; returns once it votes.
pub async fn join(cluster: &Cluster, n: usize, asked: usize) {
    let member = &cluster.members[n];
    let body = json!({ "peer": cluster.peer_address(n), "api": member.client.base() });
    let path = format!("/cluster/nodes/{}", member.name);
    let began = Instant::now();
    let client = &cluster.members[asked].client;
    // A busy node counts as out of reach, and a busy cluster may have no leader for a moment.
    eventually(&format!("{} is in", member.name), CHANGE, async || {
        let answer = client.put(&path, &body).await;
        (answer.status == 200).then_some(())
    })
    .await;
    eventually("it votes", CHANGE, async || {
        let voter = |(name, role): &(String, String)| *name == member.name && role != "learner";
        roles(cluster, asked).await.iter().any(voter).then_some(())
    })
    .await;
    member.ready(CHANGE).await;
    println!("{} voted after {:?}", member.name, began.elapsed());
}

/// Has a node taken out, which must say so and end in order.
async fn leave(cluster: &mut Cluster, n: usize, asked: usize) {
    let name = cluster.members[n].name.clone();
    let began = Instant::now();
    let client = &cluster.members[asked].client;
    let path = format!("/cluster/nodes/{name}");
    // Of a leader that goes, nobody may be elected in time on a busy machine.
    eventually(&format!("{name} is out"), CHANGE, async || {
        let answer = client.delete(&path).await;
        (answer.status == 204).then_some(())
    })
    .await;
    println!("{name} was out after {:?}", began.elapsed());
    cluster.members[n].says("removed from the cluster").await;
    assert_eq!(cluster.members[n].ended(CHANGE).await, Some(4), "{name}");
}

#[tokio::test]
async fn a_cluster_grows_from_one_to_five_and_back_while_it_sends() {
    waits_mostly();
    const CUSTOMERS: u64 = 5_000;
    // So slow that sending lasts longer than all of the changes: five nodes send 100 messages a second.
    let gateway = Gateway::with(&["--latency-ms", "800"]);
    let url = gateway.url();
    let shape = Shape {
        gateway: &url,
        concurrency: 16,
        more: "rate_limit = 1000",
    };
    let mut cluster = Cluster::of(1, shape);
    cluster.start_all();
    cluster.ready(CHANGE).await;
    let first = cluster.members[0].client.clone();
    first.import(CUSTOMERS).await;
    first.mail("m", json!({})).await;
    gateway.requests(100).await;
    for asked in 0..4 {
        // Each is asked of another node.
        add(&mut cluster, shape, asked).await;
    }
    assert_eq!(roles(&cluster, 4).await.len(), 5);
    let grown = gateway.count("requests").await;
    assert!(grown < CUSTOMERS, "sent before the cluster had grown");
    while cluster
        .members
        .iter()
        .filter(|member| member.runs())
        .count()
        > 1
    {
        // The leader each time, asked of another.
        let leader = cluster.leader().await;
        let other = (0..5).find(|n| *n != leader && cluster.members[*n].runs());
        leave(&mut cluster, leader, other.expect("another runs")).await;
    }
    let sent = gateway.count("requests").await;
    println!("{grown} of {CUSTOMERS} sent when grown, {sent} when shrunk");
    assert!(sent < CUSTOMERS, "sent before the cluster had shrunk");
    let last = cluster
        .members
        .iter()
        .position(|member| member.runs())
        .expect("one runs");
    let alone = roles(&cluster, last).await;
    assert_eq!(
        alone,
        [(cluster.members[last].name.clone(), "leader".to_owned())]
    );

    // Nothing more is to change: the rest may go at once.
    gateway.behave(json!({})).await;
    let stats = cluster.agree("m", Duration::from_secs(120)).await;
    let tally = gateway.tally().await;
    assert_eq!(tally["duplicates"], 0, "{tally} {stats}");
    assert_eq!(total(&stats), CUSTOMERS, "{stats}");
    assert_eq!(
        stats["done"], CUSTOMERS,
        "whoever went handed back what it had: {stats}"
    );
    assert_eq!(tally["messages"], CUSTOMERS, "{tally} {stats}");
}

#[tokio::test]
async fn what_would_harm_the_cluster_is_refused() {
    let mut cluster = Cluster::start(Shape::default()).await;
    let leader = cluster.leader().await;
    let (dead, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let asked = cluster.members[other].client.clone();
    asked
        .delete("/cluster/nodes/nobody")
        .await
        .problem(404, "not_found");
    let body = json!({ "peer": "127.0.0.1:9", "api": "http://127.0.0.1:9" });
    asked
        .put("/cluster/nodes/notty-9", &body)
        .await
        .problem(409, "node_unreachable");
    asked
        .put("/cluster/nodes/notty-0", &body)
        .await
        .problem(409, "node_exists");
    let wrong = json!({ "peer": "nowhere", "api": "here", "more": 1 });
    let faults = asked.put("/cluster/nodes/notty-9", &wrong).await.faults();
    assert_eq!(
        faults,
        [
            "api invalid_url",
            "more unknown_field",
            "peer invalid_address"
        ]
    );
    let other_name = json!({ "peer": cluster.peer_address(leader), "api": "http://127.0.0.1:9" });
    asked
        .put("/cluster/nodes/notty-9", &other_name)
        .await
        .problem(409, "node_unreachable");
    let nobody = json!({ "name": "nobody" });
    asked
        .put("/cluster/leader", &nobody)
        .await
        .problem(409, "not_transferred");

    // What is so already is done.
    let same = json!({
        "peer": cluster.peer_address(leader), "api": cluster.members[leader].client.base()
    });
    let path = format!("/cluster/nodes/{}", cluster.members[leader].name);
    assert_eq!(asked.put(&path, &same).await.expect(200)["role"], "leader");
    let to = json!({ "name": cluster.members[leader].name });
    assert_eq!(
        asked.put("/cluster/leader", &to).await.expect(200)["leader"],
        to["name"]
    );

    cluster.members[dead].kill();
    let path = format!("/cluster/nodes/{}", cluster.members[other].name);
    let refused = asked.delete(&path).await.problem(409, "no_majority");
    let detail = refused["detail"].as_str().expect("a detail");
    assert!(detail.contains(&cluster.members[dead].name), "{detail}");
    assert_eq!(roles(&cluster, other).await.len(), 3);

    // The dead one can go, and then there are two.
    let path = format!("/cluster/nodes/{}", cluster.members[dead].name);
    asked.delete(&path).await.expect(204);
    asked.delete(&path).await.expect(204);
    leave(&mut cluster, leader, other).await;
    let path = format!("/cluster/nodes/{}", cluster.members[other].name);
    asked.delete(&path).await.problem(409, "last_voter");
    asked
        .put("/cluster/leader", &json!({}))
        .await
        .problem(409, "not_transferred");
    let customer = json!({ "id": "late", "phone": "+79161112233" });
    asked.insist("/customers", &customer).await.expect(201);
}

#[tokio::test]
async fn a_node_of_another_cluster_is_not_taken_in() {
    let cluster = Cluster::start(Shape::default()).await;
    let mut other = Cluster::of(4, Shape::default());
    other.start_all();
    other.ready(CHANGE).await;
    let asked = &cluster.members[0].client;
    let body = json!({ "peer": other.peer_address(3), "api": other.members[3].client.base() });
    asked
        .put("/cluster/nodes/notty-3", &body)
        .await
        .problem(409, "node_not_empty");
    assert_eq!(roles(&cluster, 0).await.len(), 3);
    assert_eq!(roles(&other, 3).await.len(), 4);
}

#[tokio::test]
async fn only_the_role_admin_changes_the_cluster() {
    let more = "[[api.tokens]]\nname = \"ops\"\ntoken = \"operator-token\"\nrole = \"operator\"\n\
                [[api.tokens]]\nname = \"boss\"\ntoken = \"admin-token\"\nrole = \"admin\"\n";
    let mut cluster = Cluster::of(
        1,
        Shape {
            more,
            ..Shape::default()
        },
    );
    cluster.start_all();
    let client = cluster.members[0].client.clone();
    let (operator, admin) = (
        client.with_token("operator-token"),
        client.with_token("admin-token"),
    );
    cluster.ready(CHANGE).await;
    let body = json!({ "peer": "127.0.0.1:9", "api": "http://127.0.0.1:9" });
    operator
        .put("/cluster/nodes/notty-1", &body)
        .await
        .problem(403, "forbidden");
    operator
        .delete("/cluster/nodes/notty-0")
        .await
        .problem(403, "forbidden");
    operator
        .put("/cluster/leader", &json!({}))
        .await
        .problem(403, "forbidden");
    client
        .delete("/cluster/nodes/notty-0")
        .await
        .problem(401, "unauthorized");
    admin
        .put("/cluster/nodes/notty-1", &body)
        .await
        .problem(409, "node_unreachable");
    admin
        .delete("/cluster/nodes/notty-0")
        .await
        .problem(409, "last_voter");
    operator.get("/cluster").await.expect(200);
}
