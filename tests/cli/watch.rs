//! `notty watch`: follows a mailing until it is caught up or ends.

use std::time::{Duration, Instant};

use serde_json::json;

use super::at;
use crate::support::{Gateway, Node, Process, Setup, eventually, minutes_from_now, notty};

/// The end of a mailing that is followed. On a busy machine its progress is told before, on stderr.
fn followed(node: &Node, mailing: &str) -> String {
    let ended = at(node, &["watch", mailing]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

#[tokio::test]
async fn watch_ends_when_the_mailing_is_caught_up_and_tells_the_counts() {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    node.import(1_500).await;
    node.mail("followed", json!({})).await;
    let said = followed(&node, "followed");
    let end = ends_at(&node, "followed").await;
    let stays = format!("stays active until {end}, customers who match later get it too");
    assert_eq!(said, format!("followed: caught up; {stays}\ndone 1,500\n"));
    let nobody = json!({ "tag_filter": "nobody", "audience": "at_start" });
    node.mail("nobody", nobody).await;
    assert_eq!(
        followed(&node, "nobody"),
        "nobody: caught up\n\
         no messages: no customer matched its filters, in which `%` stands for any text\n"
    );
}

async fn ends_at(node: &Node, mailing: &str) -> String {
    let mailing = node.client.get(&format!("/mailings/{mailing}")).await;
    let end = mailing.expect(200)["end"].clone();
    end.as_str().expect("a time").to_owned()
}

#[tokio::test]
async fn watch_ends_with_a_mailing_that_was_cancelled() {
    let node = Setup::new()
        .set("NOTTY_POSTMAN__ENABLED", "false")
        .start()
        .await;
    node.import(5).await;
    node.mail("stopped", json!({})).await;
    node.until("stopped", json!({ "created": 5 })).await;
    node.client
        .poke("/mailings/stopped/cancel")
        .await
        .expect(200);
    assert_eq!(
        followed(&node, "stopped"),
        "stopped: cancelled\ncancelled 5\n"
    );
}

#[tokio::test]
async fn watch_says_that_a_mailing_is_not_there() {
    let node = Setup::new().start().await;
    node.mail("other", json!({ "start": minutes_from_now(30) }))
        .await;
    for id in ["none", "a b", "a/b", "../customers", "?"] {
        let ended = at(&node, &["watch", id]);
        assert!(ended.one_line(1).contains("not_found"), "{id}: {ended:?}");
    }
}

#[tokio::test]
async fn watch_ends_at_once_when_its_mailing_is_deleted() {
    let node = Setup::new().start().await;
    node.mail("gone", json!({ "start": minutes_from_now(30) }))
        .await;
    let mut watching = notty();
    watching.args(["watch", "gone", "--api", node.client.base()]);
    let mut watching = Process::start_silently(&mut watching);
    eventually(
        "it says when the mailing starts",
        Duration::from_secs(20),
        async || {
            watching
                .lines()
                .iter()
                .any(|line| line.contains("starts at"))
                .then_some(())
        },
    )
    .await;
    node.client.delete("/mailings/gone").await.expect(204);
    let deleted = Instant::now();
    let status = watching.ended(Duration::from_secs(60)).await;
    // A node that is away is waited for half a minute.
    assert!(
        deleted.elapsed() < Duration::from_secs(20),
        "{:?}",
        deleted.elapsed()
    );
    assert_eq!(status.code(), Some(1));
    let lines = watching.lines();
    assert!(
        lines.last().is_some_and(|line| line.contains("not_found")),
        "{lines:?}"
    );
}
