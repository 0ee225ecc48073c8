//! Receipts of the demo: the wait for addresses before the mailing, and for the deliveries after it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    client::{Client, Refusal, count},
    out,
};
use crate::gateway::practice::{Practice, PracticeReceipts};

/// An address that nobody signed: a node can tell once it makes addresses, and not before.
const UNSIGNED: &str = "/receipts/demo/4294967296?k=1.AAAAAAAAAAAAAAAAAAAAAA";
/// The pause between two looks at counts.
const LOOK: Duration = Duration::from_millis(20);
/// The longest wait for receipts: a gateway repeats those of a killed node for 15 seconds.
const WAIT: Duration = Duration::from_secs(30);

/// Waits until messages have addresses for receipts: a new cluster agrees on a secret first.
pub(super) async fn await_addresses(client: &Client) -> anyhow::Result<()> {
    let until = Instant::now() + WAIT;
    loop {
        let refused = client.get(UNSIGNED).await.err();
        let refusal = refused
            .as_ref()
            .and_then(|error| error.downcast_ref::<Refusal>());
        if refusal.is_some_and(|refusal| !refusal.may_pass()) {
            return Ok(());
        }
        if Instant::now() > until {
            let seconds = WAIT.as_secs();
            anyhow::bail!("the cluster makes no addresses for receipts after {seconds} s");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits for the receipts of all messages, and shows them. Returns true if the node's counts are those that
/// the gateway reported.
pub(super) async fn show(
    client: &Client,
    mailing: &str,
    practice: &Practice,
) -> anyhow::Result<bool> {
    let until = Instant::now() + WAIT;
    let path = format!("/stats/mailings/{mailing}");
    loop {
        let tally = practice.tally();
        let receipts = tally.receipts.unwrap_or_default();
        let delivery = client.get(&path).await?["delivery"].take();
        let are_all = receipts.delivered + receipts.undelivered >= tally.messages;
        let agree = are_all && is_same(&delivery, &receipts);
        if agree || Instant::now() > until {
            show_counts(&delivery, &receipts);
            return Ok(agree);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn is_same(delivery: &Value, receipts: &PracticeReceipts) -> bool {
    count(delivery, "delivered") == receipts.delivered
        && count(delivery, "undelivered") == receipts.undelivered
}

fn show_counts(delivery: &Value, receipts: &PracticeReceipts) {
    let delivered = out::number(count(delivery, "delivered"));
    let (sent, noted) = (out::number(receipts.sent), out::number(receipts.noted));
    out::line(&format!("delivered  {delivered:>10}  by receipts"));
    out::line(&format!(
        "receipts   {sent:>10}  sent by the gateway, {noted} answered well"
    ));
    if receipts.given_up > 0 {
        let given_up = out::number(receipts.given_up);
        out::line(&format!("           {given_up} receipts were given up"));
    }
}
