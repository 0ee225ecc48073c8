//! Receipts of the practice gateway to a real node, for each profile whose requests name a URL for them: late,
//! twice, out of order, contradicting, before the answer, or never.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::practised::{Practised, names};
use crate::support::{Gateway, Node, Setup, eventually, free_addresses};

const COUNT: u64 = 400;
/// Providers that are tried at once.
const AT_ONCE: usize = 3;
const SOON: Duration = Duration::from_secs(120);
/// An address that nobody signed.
const UNSIGNED: &str = "/receipts/p/4294967296?k=1.AAAAAAAAAAAAAAAAAAAAAA";
/// Answers that leave messages in doubt, and every fault of receipts.
const FAULTS: [&str; 18] = [
    "--cut-per-mille",
    "40",
    "--unsure-per-mille",
    "40",
    "--receipt-delay-ms",
    "20",
    "--receipt-spread-ms",
    "400",
    "--receipt-again-ms",
    "100",
    "--receipt-lost-per-mille",
    "100",
    "--receipt-twice-per-mille",
    "200",
    "--receipt-mixed-per-mille",
    "300",
    "--receipt-early-per-mille",
    "200",
];

/// A node to which the provider can send receipts.
async fn reachable(setup: Setup) -> Node {
    let listen = free_addresses(1).remove(0);
    let node = setup
        .listen(&listen)
        .set("NOTTY_NODE__PUBLIC_URL", &format!("http://{listen}"))
        .start()
        .await;
    // A new cluster has no secret at first.
    eventually("addresses are made", SOON, async || {
        (node.client.get(UNSIGNED).await.status == 403).then_some(())
    })
    .await;
    node
}

fn number(of: &Value) -> u64 {
    of.as_u64().expect("a count")
}

/// The counts of the gateway, once all receipts that it sends were answered.
async fn tally(gateway: &Gateway, name: &str) -> Value {
    let what = format!("{name}: all receipts are noted");
    eventually(&what, SOON, async || {
        let tally = gateway.tally().await;
        let receipts = &tally["receipts"];
        let ended = ["delivered", "undelivered", "lost"].map(|end| receipts[end].as_u64());
        let ended: u64 = ended.into_iter().flatten().sum();
        (ended == COUNT).then_some(tally)
    })
    .await
}

/// Checks the receipts of one provider.
async fn check(practised: &Practised) {
    let mut flags = FAULTS.to_vec();
    if practised.has_undelivered() {
        flags.extend(["--receipt-undelivered-per-mille", "300"]);
    }
    let gateway = practised.gateway_with(&flags);
    let node = reachable(practised.setup(&gateway).await).await;
    node.import(COUNT).await;
    node.mail("one", json!({})).await;

    let name = practised.name();
    let tally = tally(&gateway, name).await;
    let receipts = &tally["receipts"];
    assert_eq!(tally["duplicates"], 0, "{name}: {tally}");
    assert_eq!(receipts["given_up"], 0, "{name}: {tally}");
    assert_eq!(receipts["sent"], receipts["noted"], "{name}: {tally}");
    for fault in ["delivered", "lost"] {
        assert!(number(&receipts[fault]) > 0, "{name}: {fault}: {tally}");
    }

    // What was in doubt is settled by its receipts, if it has any.
    let stats = eventually("all messages have their end", SOON, async || {
        let stats = node.stats("one").await;
        let settled = number(&stats["done"]) + number(&stats["unconfirmed"]);
        (settled == COUNT).then_some(stats)
    })
    .await;
    let known = number(&receipts["delivered"]) + number(&receipts["undelivered"]);
    assert!(number(&stats["done"]) >= known, "{name}: {stats} {tally}");
    let deliveries = json!({
        "delivered": receipts["delivered"],
        "undelivered": receipts["undelivered"],
    });
    assert_eq!(stats["delivery"], deliveries, "{name}: {stats} {tally}");
}

#[tokio::test]
async fn receipts_with_every_fault_have_the_deliveries_that_they_report() {
    let names = names();
    let all = names.iter().map(|name| Practised::new(name));
    let practised: Vec<_> = all.filter(Practised::asks_receipts).collect();
    assert_eq!(practised.len(), 9, "the profiles that name a URL");
    stream::iter(practised.iter().map(check))
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
}
