//! `notty gateway`: the practice gateway by itself, and its flags.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::run;
use crate::support::{Answer, Gateway};

async fn send(gateway: &Gateway, id: u64) -> reqwest::Result<Answer> {
    let body = json!({ "id": id, "phone": 79161112233_u64, "text": "<Привет>" });
    let request = gateway
        .client
        .request(Method::POST, &format!("/v1/send/{id}"))
        .json(&body);
    gateway
        .client
        .try_send(request.timeout(Duration::from_secs(2)))
        .await
}

#[tokio::test]
async fn it_takes_messages_counts_them_by_id_and_reports_duplicates() {
    let gateway = Gateway::start();
    for id in [1, 2, 2, 9_223_372_036_854_775_807] {
        let answer = send(&gateway, id).await.expect("an answer").expect(200);
        assert_eq!(answer, json!({ "code": 0, "message": "OK" }));
    }
    let tally = gateway.tally().await;
    assert_eq!(
        (&tally["requests"], &tally["messages"]),
        (&json!(4), &json!(3))
    );
    assert_eq!(tally["duplicates"], 1);
    let page = gateway.client.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.text.contains("<b>1</b> duplicates"), "{}", page.text);
    assert!(page.text.contains("&lt;Привет&gt;") && !page.text.contains("<Привет>"));
    let latest = gateway.latest().await;
    assert_eq!(latest.len(), 4);
    assert_eq!(
        (&latest[0]["text"], &latest[0]["phone"]),
        (&json!("<Привет>"), &json!(79161112233_u64))
    );
    let wrong = json!({ "id": 7, "phone": 1, "text": "a" });
    for (path, body) in [
        ("/v1/send/8", &wrong),
        ("/v1/send/x", &wrong),
        ("/v1/send/7", &Value::Null),
    ] {
        assert_eq!(gateway.client.post(path, body).await.status, 400, "{path}");
    }
    assert_eq!(gateway.client.get("/nowhere").await.status, 404);
    assert_eq!(gateway.count("messages").await, 3);
}

#[tokio::test]
async fn it_asks_for_its_token() {
    let gateway = Gateway::with(&["--token", "open-sesame"]);
    assert_eq!(send(&gateway, 1).await.expect("an answer").status, 401);
    let body = json!({ "id": 1, "phone": 79161112233_u64, "text": "a" });
    for (token, status) in [("wrong", 401), ("open-sesame", 200)] {
        let client = gateway.client.with_token(token);
        assert_eq!(
            client.post("/v1/send/1", &body).await.status,
            status,
            "{token}"
        );
    }
    assert_eq!(gateway.count("messages").await, 1);
}

#[tokio::test]
async fn it_misbehaves_as_told() {
    let always = |flag: &str| Gateway::with(&[flag, "1000"]);
    for (flag, status) in [("--fail-per-mille", 503), ("--invalid-per-mille", 400)] {
        let gateway = always(flag);
        assert_eq!(
            send(&gateway, 1).await.expect("an answer").status,
            status,
            "{flag}"
        );
        assert_eq!(gateway.count("messages").await, 0, "{flag}");
    }
    let gateway = always("--hang-per-mille");
    assert!(send(&gateway, 1).await.expect_err("no answer").is_timeout());
    assert_eq!(gateway.count("messages").await, 1, "it took the message");
    let gateway = always("--reset-per-mille");
    for id in 0..20 {
        assert!(
            !send(&gateway, id)
                .await
                .expect_err("no answer")
                .is_timeout()
        );
    }
    assert!(
        (1..20).contains(&gateway.count("messages").await),
        "half of them were taken"
    );
    let gateway = Gateway::with(&["--latency-ms", "300"]);
    let began = std::time::Instant::now();
    send(&gateway, 1).await.expect("an answer").expect(200);
    // Timers go by whole milliseconds.
    assert!(began.elapsed() >= Duration::from_millis(298));
}

#[test]
fn flags_that_make_no_sense_are_refused() {
    for args in [
        ["--fail-per-mille", "1001"],
        ["--latency-ms", "soon"],
        ["--hang-per-mille", "x"],
    ] {
        let ended = run(&["gateway", args[0], args[1]]);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(args[0]), "{ended:?}");
    }
    let ended = run(&["gateway", "--listen", "nowhere"]);
    assert!(ended.one_line(2).contains("--listen"), "{ended:?}");
}

#[test]
fn shares_above_the_whole_and_addresses_that_are_none_are_refused() {
    for (flags, thing) in [
        (
            ["--fail-per-mille", "600", "--reset-per-mille", "401"],
            "per-mille",
        ),
        (["--listen", "99999", "--latency-ms", "1"], "99999"),
        (
            ["--listen", "127.0.0.1:99999", "--latency-ms", "1"],
            "127.0.0.1:99999",
        ),
    ] {
        let ended = run(&[&["gateway"][..], &flags].concat());
        assert!(ended.one_line(2).contains(thing), "{ended:?}");
    }
}
