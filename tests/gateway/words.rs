//! The words of the log about a gateway that fails.

use serde_json::{Value, json};

use super::{answer, message, one_message, quick};
use crate::support::{Gateway, Node, eventually};

/// The line about the first failure.
async fn line_of(node: &Node, part: &str) -> String {
    let within = std::time::Duration::from_secs(20);
    eventually(part, within, async || {
        let lines = node.process.lines();
        lines.into_iter().find(|line| line.contains(part))
    })
    .await
}

/// The first failure of a gateway that acts so.
async fn first_line(act: Value, part: &str) -> String {
    let (_gateway, node) = one_message(act).await;
    line_of(&node, part).await
}

#[tokio::test]
async fn the_first_failure_is_logged_with_the_status_and_the_beginning_of_the_answer() {
    let line = first_line(answer(503, "maintenance until noon"), "does not take").await;
    assert!(line.contains("503 maintenance until noon"), "{line}");
    let line = first_line(answer(400, "no such sender"), "refused a message").await;
    assert!(line.contains("400 no such sender"), "{line}");
    let line = first_line(answer(502, "<html>upstream"), "leaves open").await;
    assert!(line.contains("502 <html>upstream"), "{line}");
    first_line(json!("close"), "leaves open").await;
}

#[tokio::test]
async fn a_gateway_that_cannot_be_reached_is_named_with_the_reason() {
    let gateway = Gateway::start();
    let node = quick(&gateway)
        .set("NOTTY_GATEWAY__URL", "http://127.0.0.1:9/")
        .start()
        .await;
    node.import(1).await;
    node.mail("one", json!({})).await;
    let line = line_of(&node, "did not get to the gateway").await;
    assert!(line.contains("127.0.0.1:9: "), "{line}");
}

#[tokio::test]
async fn an_answer_that_repeats_the_message_shows_neither_phone_nor_text() {
    let echo =
        r#"{"error":"not sent","to":"+7 900 000-00-01","text":"Скидка 20 % до воскресенья"}"#;
    let (_gateway, node) = one_message(answer(500, echo)).await;
    let line = line_of(&node, "does not take").await;
    let phone = message(&node).await["phone"].clone();
    let phone = phone.as_str().expect("a phone");
    assert!(line.contains("not sent"), "{line}");
    for part in ["Скидка", "воскресенья", "000-00", &phone[1..]] {
        assert!(!line.contains(part), "{line}");
    }
}
