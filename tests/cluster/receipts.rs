//! Receipts come to other nodes than the one that sent, and after a failover.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use serde_json::json;

use crate::support::{Client, Cluster, Deed, Provider, Shape, eventually};

const CUSTOMERS: u64 = 9_000;
/// One answer in so many is lost: the breaker opens at one in eight.
const LOST: usize = 9;
const SOON: Duration = Duration::from_secs(60);
const PUBLIC_URL: &str = "https://sms.example";
/// An address that nobody signed.
const UNSIGNED: &str = "/receipts/default/4294967296?k=1.AAAAAAAAAAAAAAAAAAAAAA";
const TAKEN: &str = r#"{"code":0}"#;

/// The paths of the addresses of all messages whose answers were lost.
type Addresses = Arc<Mutex<Vec<String>>>;

/// A gateway that takes every message, and loses some answers.
async fn lossy_gateway() -> (Provider, Addresses) {
    let addresses = Addresses::default();
    let heard = addresses.clone();
    let provider = Provider::start(move |n, request| {
        if n % LOST > 0 {
            return Deed::taken(200, TAKEN);
        }
        heard.lock().push(address(request));
        Deed::hung_up()
    });
    (provider.await, addresses)
}

/// The path of the address for receipts that a request has.
fn address(request: &str) -> String {
    let mut lines = request.lines();
    let url = lines.find_map(|line| line.strip_prefix("notty-receipt-url: "));
    let path = url.and_then(|url| url.strip_prefix(PUBLIC_URL));
    path.expect("an address").to_owned()
}

/// Three nodes that make addresses for receipts.
async fn with_addresses(provider: &Provider) -> Cluster {
    let url = format!("http://{}/v1/send", provider.address);
    let mut cluster = Cluster::new(Shape {
        gateway: &url,
        ..Shape::default()
    });
    for member in &mut cluster.members {
        member.set(&[("NOTTY_NODE__PUBLIC_URL", PUBLIC_URL.to_owned())]);
    }
    cluster.start_all();
    cluster.ready(SOON).await;

    for member in &cluster.members {
        eventually("addresses are made", SOON, async || {
            let status = member.client.get(UNSIGNED).await.status;
            (status == 403).then_some(())
        })
        .await;
    }
    cluster
}

/// Reports a message as delivered, as often as a gateway would until it is taken.
async fn report(client: &Client, path: &str) {
    let path = format!("{path}&status=delivered");
    eventually("the receipt is taken", SOON, async || {
        let request = client.request(reqwest::Method::GET, &path);
        let answer = client.try_send(request).await.ok()?;
        (answer.status == 204).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_thousand_doubts_are_settled_at_other_nodes_after_a_failover() {
    let (provider, addresses) = lossy_gateway().await;
    let mut cluster = with_addresses(&provider).await;
    let leader = cluster.leader().await;
    let node = &cluster.members[leader].client;
    node.import(CUSTOMERS).await;
    node.mail("m", json!({})).await;
    let stats = cluster.agree("m", SOON).await;
    let addresses = std::mem::take(&mut *addresses.lock());
    assert_eq!(stats["unconfirmed"], addresses.len(), "{stats}");
    assert_eq!(addresses.len(), 1_000);

    cluster.members[leader].kill();
    cluster.leader_but(Some(leader)).await;
    let others = cluster.members.iter().filter(|member| member.runs());
    let others: Vec<&Client> = others.map(|member| &member.client).collect();
    let reports = addresses
        .iter()
        .enumerate()
        .map(|(n, path)| report(others[n % others.len()], path));
    stream::iter(reports).buffer_unordered(16).count().await;

    // The one that was away gets them by the log.
    cluster.members[leader].start();
    cluster.ready(SOON).await;
    let stats = cluster.agree("m", SOON).await;
    assert_eq!(stats["done"], CUSTOMERS, "{stats}");
    assert_eq!(
        stats["delivery"],
        json!({ "delivered": 1_000, "undelivered": 0 })
    );
    assert_eq!(provider.twice(), Vec::<String>::new());
}
