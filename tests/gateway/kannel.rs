//! A mailing through Debian's real Kannel to an SMS centre: nobody gets a message twice, whatever is killed.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    Kannel, Node, Setup, Submitted, block_of_page, eventually, free_addresses, total,
};

/// An address that nobody signed.
const UNSIGNED: &str = "/receipts/kannel/4294967296?k=1.AAAAAAAAAAAAAAAAAAAAAA";
const COUNT: u64 = 10_000;
const SOON: Duration = Duration::from_secs(120);
/// Messages that Kannel may have sent without an answer (`max-pending-submits` on the page).
const WINDOW: usize = 50;

/// A node that is configured as the page says.
async fn node_at(kannel: &Kannel) -> Node {
    let address = free_addresses(1).remove(0);
    let replaced = [
        ("127.0.0.1:13013", kannel.address()),
        ("127.0.0.1:8080", &address),
    ];
    let configuration = block_of_page("toml", &replaced);

    // Kannel calls for receipts where the node listens.
    let setup = Setup::new().listen(&address).without("NOTTY_GATEWAY__URL");
    std::fs::write(setup.dir().join("config.toml"), configuration).expect("written");
    let node = setup.start().await;

    // A new cluster has no secret at first.
    eventually("addresses are made", SOON, async || {
        (node.client.get(UNSIGNED).await.status == 403).then_some(())
    })
    .await;
    node
}

/// Waits until the centre has messages for so many phones.
async fn until_submitted(kannel: &Kannel, phones: u64) {
    let what = format!("{phones} phones have a message");
    eventually(&what, SOON, async || {
        (times(kannel.submitted().iter().map(phone)).len() as u64 >= phones).then_some(())
    })
    .await;
}

/// Waits until so many messages are done. The mailing is not over by then: the page limits it to a tenth in a
/// second.
async fn until_done(node: &Node, count: u64) {
    let what = format!("{count} messages are done");
    let done = eventually(&what, SOON, async || {
        let done = node.stats("one").await["done"].as_u64().expect("a count");
        (done >= count).then_some(done)
    })
    .await;
    assert!(done < COUNT, "{done}");
}

/// Waits until every message has its end, `done` or in doubt, and returns the counts.
async fn until_settled(node: &Node) -> Value {
    eventually("all messages have their end", SOON, async || {
        let stats = node.stats("one").await;
        let ends = ["done", "unconfirmed"].map(|end| stats[end].as_u64().expect("a count"));
        (ends.iter().sum::<u64>() == COUNT).then_some(stats)
    })
    .await
}

fn phone(submitted: &Submitted) -> &String {
    &submitted.phone
}

/// Counts each by the times that it is there.
fn times<'a>(all: impl Iterator<Item = &'a String>) -> BTreeMap<&'a String, usize> {
    let mut times = BTreeMap::new();
    for one in all {
        *times.entry(one).or_default() += 1;
    }
    times
}

/// Those that are there more than once.
fn repeated(all: &[String]) -> Vec<&String> {
    let times = times(all.iter()).into_iter();
    times.filter(|(_, n)| *n > 1).map(|(one, _)| one).collect()
}

#[tokio::test]
async fn a_mailing_through_kannel_reaches_everybody_once() {
    let Some(kannel) = Kannel::start().await else {
        return;
    };
    let node = node_at(&kannel).await;
    node.import(COUNT).await;
    node.mail("one", json!({})).await;

    until_settled(&node).await;
    assert_eq!(node.stats("one").await["done"], COUNT);
    until_submitted(&kannel, COUNT).await;
    assert_eq!(kannel.submitted().len() as u64, COUNT);
    assert_eq!(kannel.requested().len() as u64, COUNT);

    eventually("all are delivered", SOON, async || {
        let stats = node.stats("one").await;
        (stats["delivery"] == json!({ "delivered": COUNT, "undelivered": 0 })).then_some(())
    })
    .await;
}

/// Kannel itself sends some messages again after it was killed: those that it had sent to the centre,
/// whose answer it had not noted yet. So not everything that the centre got twice is notty's doing: that is
/// what the access log has twice, or the centre twice from the same life of Kannel.
#[tokio::test]
async fn what_was_under_way_when_kannel_was_killed_is_not_sent_again() {
    let Some(mut kannel) = Kannel::start().await else {
        return;
    };
    let node = node_at(&kannel).await;
    node.import(COUNT).await;
    node.mail("one", json!({})).await;

    until_done(&node, 3_000).await;
    kannel.kill_bearerbox().await;
    until_done(&node, 6_000).await;
    kannel.kill().await;

    let stats = until_settled(&node).await;
    assert_eq!(total(&stats), COUNT, "{stats}");
    let done = stats["done"].as_u64().expect("a count");
    // What Kannel said that it took is not lost.
    until_submitted(&kannel, done).await;
    assert_eq!(repeated(&kannel.requested()), Vec::<&String>::new());

    let mut submitted = kannel.submitted();
    submitted.sort();
    let again = submitted.windows(2).filter(|two| two[0] == two[1]);
    assert_eq!(again.count(), 0, "in one life of Kannel");
    let again = submitted
        .windows(2)
        .filter(|two| two[0].phone == two[1].phone);
    assert!(
        again.count() <= 2 * WINDOW,
        "what was under way when it was killed"
    );
}
