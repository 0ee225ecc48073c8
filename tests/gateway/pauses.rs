//! A gateway that asks for a pause.

use std::time::Duration;

use serde_json::json;

use super::quick;
use crate::support::{Gateway, Node, eventually};

const SOON: Duration = Duration::from_secs(30);

/// Waits until the postman is paused, or is not any more.
async fn until_paused(node: &Node, is_paused: bool) {
    let line = format!("notty_postman_paused {}", u8::from(is_paused));
    eventually(&line, SOON, async || {
        let metrics = node.client.get("/metrics").await.text;
        metrics.lines().any(|one| one == line).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_asks_for_a_pause_gets_what_was_under_way_and_nothing_else() {
    let gateway = Gateway::start();
    let wait = json!({ "answer": { "status": 429, "headers": ["Retry-After: 3"] } });
    gateway
        .behave(json!({ "acts": [wait], "latency_ms": 20 }))
        .await;
    let node = quick(&gateway).start().await;
    node.import(2_000).await;
    node.mail("one", json!({})).await;

    until_paused(&node, true).await;
    // The first messages are due again at the end of the pause, and no sooner.
    gateway.behave(json!({ "latency_ms": 20 })).await;
    until_paused(&node, false).await;
    let during = gateway.tally().await;
    assert!(during["refused"].as_u64() <= Some(100), "{during}");

    node.until("one", json!({ "done": 2_000 })).await;
    let after = gateway.tally().await;
    assert_eq!(after["duplicates"], 0, "{after}");
    assert!(after["refused"].as_u64() <= Some(100), "{after}");
    assert!(after["span_ms"].as_u64() >= Some(3_000), "{after}");
}

#[tokio::test]
async fn a_503_with_a_date_pauses_too_and_an_absurd_time_is_bounded_and_logged() {
    let gateway = Gateway::start();
    let in_a_while = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(30);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new();
    let date = date
        .timestamp_to_rfc9110_string(&in_a_while)
        .expect("a date");
    for (header, logged) in [
        (format!("Retry-After: {date}"), "asks for a pause of "),
        (
            "Retry-After: 86400".to_owned(),
            "86400 s: nothing is sent to it for 3600 s",
        ),
    ] {
        let wait = json!({ "answer": { "status": 503, "headers": [header] } });
        gateway.act(json!([wait]), 1).await;
        let node = quick(&gateway).start().await;
        node.import(1).await;
        node.mail("one", json!({})).await;
        until_paused(&node, true).await;
        let lines = node.stop().await;
        assert!(lines.iter().any(|line| line.contains(logged)), "{lines:#?}");
    }
}
