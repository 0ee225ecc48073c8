//! Answers to a repeat, at a gateway that is declared to drop repeats: they are judged by the doubt before
//! them. And the statuses that leave a message in doubt by default.

use serde_json::{Value, json};

use super::{answer, message, quick};
use crate::support::{Gateway, Node};

/// Sends one message to a gateway that takes it and hangs up, and answers its repeats so.
async fn repeated(acts: &[Value]) -> (Gateway, Node) {
    repeated_for(acts, acts.len() as u64).await
}

/// The same with so many repeats; the last of the answers stays.
async fn repeated_for(acts: &[Value], repeats: u64) -> (Gateway, Node) {
    let gateway = Gateway::start();
    let all: Vec<_> = std::iter::once(json!("close"))
        .chain(acts.to_vec())
        .collect();
    gateway.act(json!(all), 1 + repeats).await;
    let node = quick(&gateway)
        .set("NOTTY_GATEWAY__IDEMPOTENT", "true")
        .start()
        .await;
    node.import(1).await;
    node.mail("one", json!({})).await;
    (gateway, node)
}

#[tokio::test]
async fn a_repeat_that_is_refused_leaves_the_message_unconfirmed() {
    let (_gateway, node) = repeated(&[answer(400, r#"{"code":1,"message":"duplicate"}"#)]).await;
    node.until("one", json!({ "unconfirmed": 1 })).await;
    assert_eq!(message(&node).await["attempts"], 2);
}

#[tokio::test]
async fn a_repeat_that_is_not_taken_is_repeated_until_a_success_or_a_refusal_ends_it() {
    let (_gateway, node) = repeated(&[answer(409, ""), answer(503, "")]).await;
    node.until("one", json!({ "done": 1 })).await;
    assert_eq!(message(&node).await["attempts"], 4);

    let (_gateway, node) = repeated(&[answer(409, ""), answer(400, "")]).await;
    node.until("one", json!({ "unconfirmed": 1 })).await;
    assert_eq!(message(&node).await["attempts"], 3);
}

#[tokio::test]
async fn a_repeat_that_is_not_taken_is_in_doubt_when_its_mailing_is_cancelled() {
    let (gateway, node) = repeated_for(&[answer(409, "")], 1_000).await;
    gateway.requests(3).await;
    node.client.poke("/mailings/one/cancel").await.expect(200);
    node.until("one", json!({ "unconfirmed": 1 })).await;
}

#[tokio::test]
async fn by_default_ten_statuses_leave_open_whether_a_message_was_taken() {
    let gateway = Gateway::start();
    let statuses = [408, 502, 504, 520, 521, 522, 523, 524, 598, 599];
    let acts: Vec<_> = statuses.iter().map(|status| answer(*status, "")).collect();
    gateway.act(json!(acts), 10).await;
    let node = quick(&gateway).start().await;
    node.import(10).await;
    node.mail("one", json!({})).await;
    node.until("one", json!({ "unconfirmed": 10 })).await;
    assert_eq!(gateway.count("requests").await, 10);
}
