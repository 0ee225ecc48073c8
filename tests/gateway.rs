//! What each answer of the gateway makes of a message: the table of the guarantee, row by row.

mod bridge;
mod connections;
mod ids;
mod pauses;
mod profiles;
mod receipts;
mod repeats;
mod words;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Gateway, Node, Setup, eventually, mailing, minutes_from_now, waits_mostly};

/// A node whose tries follow quickly, with one customer.
fn quick(gateway: &Gateway) -> Setup {
    Setup::at(gateway)
        .set("NOTTY_RETRY__INITIAL_MS", "50")
        // A gateway on a busy machine may stand still for a moment.
        .set("NOTTY_GATEWAY__TIMEOUT_MS", "4000")
}

/// Sends one message to a gateway that acts so once and behaves afterwards.
async fn one_message(act: Value) -> (Gateway, Node) {
    let gateway = Gateway::start();
    gateway.act(json!([act]), 1).await;
    let node = quick(&gateway).start().await;
    node.import(1).await;
    node.mail("one", json!({})).await;
    (gateway, node)
}

async fn message(node: &Node) -> Value {
    node.messages("one")
        .await
        .into_iter()
        .next()
        .expect("a message")
}

/// The answer settles the message for good, without another try.
async fn settles(act: Value, status: &str) {
    let (gateway, node) = one_message(act.clone()).await;
    node.until("one", json!({ status: 1 })).await;
    assert_eq!(message(&node).await["attempts"], 1, "{act}");
    assert_eq!(gateway.count("requests").await, 1, "{act}");
    assert_eq!(gateway.count("duplicates").await, 0, "{act}");
}

/// The message is certainly not taken: it is tried again, and taken then.
async fn is_tried_again(act: Value) {
    let (gateway, node) = one_message(act.clone()).await;
    node.until("one", json!({ "done": 1 })).await;
    assert_eq!(message(&node).await["attempts"], 2, "{act}");
    assert_eq!(gateway.count("requests").await, 2, "{act}");
    assert_eq!(gateway.count("duplicates").await, 0, "{act}");
}

fn answer(status: u16, body: &str) -> Value {
    json!({ "answer": { "status": status, "body": body } })
}

#[tokio::test]
async fn a_2xx_with_code_0_or_without_code_is_done() {
    settles(json!("take"), "done").await;
    settles(answer(200, r#"{"message":"OK"}"#), "done").await;
    settles(answer(202, r#"{"code":0}"#), "done").await;
}

#[tokio::test]
async fn a_400_is_invalid() {
    settles(answer(400, r#"{"code":1}"#), "invalid").await;
}

#[tokio::test]
async fn any_other_status_is_tried_again() {
    for status in [301, 307, 401, 404, 429, 500, 503] {
        is_tried_again(answer(status, "")).await;
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Gateway::start();
    let location = format!("Location: {}/1", elsewhere.url());
    let act = json!({ "answer": { "status": 307, "headers": [location] } });
    let (_gateway, node) = one_message(act).await;
    node.until("one", json!({ "done": 1 })).await;
    assert_eq!(elsewhere.count("requests").await, 0);
}

#[tokio::test]
async fn what_leaves_open_whether_it_was_taken_is_unconfirmed() {
    waits_mostly();
    for act in [
        "hang",
        "reset_before",
        "reset_after",
        "close",
        "garbage",
        "oversized",
        "broken",
    ] {
        settles(json!(act), "unconfirmed").await;
    }
    for body in [r#"{"code":7}"#, r#"{"code":"0"}"#, "", "OK", r#"{"code":"#] {
        settles(answer(200, body), "unconfirmed").await;
    }
    for status in [502, 504] {
        settles(answer(status, ""), "unconfirmed").await;
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_says_nothing_whatever_its_status() {
    for status in [400, 503] {
        let act = json!({ "answer": { "status": status, "body": "{", "breaks_off": true } });
        settles(act, "unconfirmed").await;
    }
}

#[tokio::test]
async fn which_statuses_are_unsure_is_configured() {
    let gateway = Gateway::start();
    gateway
        .act(json!([answer(502, ""), answer(503, "")]), 2)
        .await;
    let node = quick(&gateway)
        .set("NOTTY_GATEWAY__UNSURE_STATUSES", "[503]")
        .start()
        .await;
    node.import(1).await;
    node.mail("one", json!({})).await;
    // The 502 now says that it was not taken; the 503 after it leaves it open.
    node.until("one", json!({ "unconfirmed": 1 })).await;
    assert_eq!(gateway.count("requests").await, 2);
}

#[tokio::test]
async fn an_idempotent_gateway_gets_the_same_body_again() {
    waits_mostly();
    for act in ["hang", "reset_before", "reset_after", "close", "garbage"] {
        let gateway = Gateway::start();
        gateway.act(json!([act]), 1).await;
        let node = quick(&gateway)
            .set("NOTTY_GATEWAY__IDEMPOTENT", "true")
            .start()
            .await;
        node.import(1).await;
        node.mail("one", json!({})).await;
        node.until("one", json!({ "done": 1 })).await;
        let latest = gateway.latest().await;
        let same = |field: &str| latest.iter().all(|other| other[field] == latest[0][field]);
        assert_eq!(latest.len(), 2, "{act}");
        assert!(
            same("id") && same("phone") && same("text"),
            "{act}: {latest:?}"
        );
    }
}

#[tokio::test]
async fn nothing_was_written_is_tried_again() {
    // Nothing listens; a name that does not exist; TLS where none is spoken.
    let gateway = Gateway::start();
    let tls = format!("https://{}/v1/send", gateway.address);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = format!(
        "https://{}/v1/send",
        silent.local_addr().expect("an address")
    );
    for url in [
        "http://127.0.0.1:9/",
        "http://gateway.invalid/",
        &tls,
        &silent,
    ] {
        let node = quick(&gateway)
            .set("NOTTY_GATEWAY__URL", url)
            .set("NOTTY_GATEWAY__CONNECT_TIMEOUT_MS", "300")
            .start()
            .await;
        node.import(1).await;
        node.mail("one", json!({})).await;
        eventually("two tries", Duration::from_secs(20), async || {
            let message = node.messages("one").await.into_iter().next()?;
            (message["attempts"].as_u64() >= Some(2)).then_some(())
        })
        .await;
        let stats = node.stats("one").await;
        assert_eq!(stats["unconfirmed"], 0, "{url}: {stats}");
    }
    assert_eq!(gateway.count("requests").await, 0);
}

#[tokio::test]
async fn a_connection_that_the_gateway_closed_meanwhile_costs_nothing() {
    let gateway = Gateway::start();
    // Answers, then hangs up: the kept connection is stale when the next message comes.
    let close = json!({ "answer": { "status": 503, "headers": ["Connection: close"] } });
    gateway.act(json!([close]), 3).await;
    let node = quick(&gateway)
        .set("NOTTY_GATEWAY__CONCURRENCY", "1")
        .start()
        .await;
    node.import(20).await;
    node.mail("one", json!({})).await;
    node.until("one", json!({ "done": 20 })).await;
    assert_eq!(gateway.count("duplicates").await, 0);
}

#[tokio::test]
async fn the_gateway_gets_what_the_contract_says() {
    let gateway = Gateway::with(&["--token", "gateway-secret"]);
    let node = quick(&gateway)
        .set("NOTTY_GATEWAY__TOKEN", "gateway-secret")
        .start()
        .await;
    node.import(1).await;
    node.mail(
        "one",
        json!({ "text": "Строка \"в кавычках\"\nи ещё одна" }),
    )
    .await;
    node.until("one", json!({ "done": 1 })).await;
    let got = gateway.latest().await.remove(0);
    let told = message(&node).await;
    assert_eq!(got["id"], told["id"]);
    assert_eq!(got["phone"], 70_000_000_001_u64);
    assert_eq!(got["text"], "Строка \"в кавычках\"\nи ещё одна");
    let id: u64 = got["id"]
        .as_str()
        .expect("a string")
        .parse()
        .expect("a number");
    assert!(id >> 32 >= 1 && id < 1 << 63, "{id}");
}

#[tokio::test]
async fn a_wrong_token_at_the_gateway_loses_nothing() {
    let gateway = Gateway::with(&["--token", "gateway-secret"]);
    let node = quick(&gateway)
        .set("NOTTY_GATEWAY__TOKEN", "wrong")
        .start()
        .await;
    node.import(3).await;
    node.mail("one", json!({})).await;
    eventually("a second try", Duration::from_secs(20), async || {
        let messages = node.messages("one").await;
        let twice = |message: &Value| message["attempts"].as_u64() >= Some(2);
        messages.iter().any(twice).then_some(())
    })
    .await;
    let lines = node.stop().await.join("\n");
    assert!(
        !lines.contains("wrong-token") && !lines.contains("+7000"),
        "{lines}"
    );
}

#[tokio::test]
async fn pauses_between_tries_grow_and_the_end_ends_them() {
    waits_mostly();
    let gateway = Gateway::start();
    gateway.behave(json!({ "fail_per_mille": 1000 })).await;
    let node = Setup::at(&gateway)
        .set("NOTTY_RETRY__INITIAL_MS", "100")
        .start()
        .await;
    node.import(1).await;
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(4);
    node.mail("one", json!({ "end": end.to_string() })).await;
    node.until("one", json!({ "expired": 1 })).await;
    node.until_field("one", "status", json!("finished")).await;
    // 100 ms doubled each time, and up to 28 % longer: four to six tries fit into four seconds.
    let attempts = message(&node).await["attempts"].as_u64().expect("a number");
    assert!((4..=7).contains(&attempts), "{attempts}");
    assert_eq!(gateway.count("requests").await, attempts);
}

#[tokio::test]
async fn the_gateways_retry_after_is_heeded() {
    waits_mostly();
    let wait = json!({ "answer": { "status": 429, "headers": ["Retry-After: 2"] } });
    let began = std::time::Instant::now();
    let (gateway, node) = one_message(wait).await;
    node.until("one", json!({ "done": 1 })).await;
    assert!(
        began.elapsed() >= Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(gateway.count("requests").await, 2);
}

#[tokio::test]
async fn a_gateway_in_trouble_does_not_burn_a_mailing() {
    let gateway = Gateway::start();
    gateway.behave(json!({ "acts": ["close"] })).await;
    let node = quick(&gateway)
        .set("NOTTY_GATEWAY__CONCURRENCY", "4")
        .start()
        .await;
    node.import(500).await;
    node.mail("one", json!({})).await;
    eventually("the breaker opens", Duration::from_secs(20), async || {
        let metrics = node.client.get("/metrics").await.text;
        metrics.contains("notty_postman_breaker 1").then_some(())
    })
    .await;
    // 20 in a row open it; what the other slots had begun by then comes on top, and a probe each
    // second.
    let burnt = eventually("they are reported", Duration::from_secs(5), async || {
        node.stats("one").await["unconfirmed"]
            .as_u64()
            .filter(|burnt| *burnt >= 20)
    })
    .await;
    assert!(burnt <= 30, "{burnt}");
    gateway.behave(json!({})).await;
    eventually(
        "all the rest is done",
        Duration::from_secs(30),
        async || {
            let stats = node.stats("one").await;
            let [done, lost] = ["done", "unconfirmed"].map(|s| stats[s].as_u64().expect("a count"));
            (done + lost == 500 && lost <= 34).then_some(())
        },
    )
    .await;
    assert_eq!(gateway.count("duplicates").await, 0);
}

/// Sends 5,000 messages to a gateway that loses answers, and is mended once it was probed.
async fn lossy(how: &str, per_mille: &str) {
    let gateway = Gateway::with(&[how, per_mille]);
    let node = Setup::at(&gateway)
        .set("NOTTY_GATEWAY__TIMEOUT_MS", "1000")
        .start()
        .await;
    node.import(5_000).await;
    node.mail("lossy", json!({})).await;
    let what = format!("{how} {per_mille}: the breaker opens");
    eventually(&what, Duration::from_secs(30), async || {
        let metrics = node.client.get("/metrics").await.text;
        metrics.contains("notty_postman_breaker 1").then_some(())
    })
    .await;
    // Probes go on, and find no gateway that is well.
    let before = gateway.count("requests").await;
    gateway.requests(before + 3).await;
    let stats = node.stats("lossy").await;
    assert!(
        stats["created"].as_u64() > Some(4_000),
        "{how} {per_mille}: {stats}"
    );
    // The credit at the start, and one more for every eighth that goes well. What opened the breaker and
    // what it tried then is among the last requests.
    let [done, lost] = ["done", "unconfirmed"].map(|s| stats[s].as_u64().expect("a count"));
    let probes = gateway.count("requests").await - before + 4;
    let few = 64 + done / 8 + probes;
    assert!(lost <= few, "{how} {per_mille}: {few}, {stats}");

    gateway.behave(json!({})).await;
    let what = format!("{how} {per_mille}: all the rest is done");
    let in_all = eventually(&what, Duration::from_secs(60), async || {
        let stats = node.stats("lossy").await;
        let [done, lost] = ["done", "unconfirmed"].map(|s| stats[s].as_u64().expect("a count"));
        (done + lost == 5_000).then_some(lost)
    })
    .await;
    println!("{how} {per_mille}: {lost} of 5,000 are in doubt, {in_all} in the end");
    assert_eq!(gateway.count("duplicates").await, 0);
}

#[tokio::test]
async fn a_gateway_that_never_answers_many_requests_leaves_few_messages_in_doubt() {
    waits_mostly();
    for per_mille in ["500", "800", "900"] {
        lossy("--hang-per-mille", per_mille).await;
    }
}

#[tokio::test]
async fn a_gateway_that_resets_many_connections_leaves_few_messages_in_doubt() {
    waits_mostly();
    for per_mille in ["500", "800", "900"] {
        lossy("--reset-per-mille", per_mille).await;
    }
}

/// A node whose 40 messages are all in doubt at an idempotent gateway; it was killed before it could
/// repeat any.
async fn in_doubt(gateway: &Gateway) -> Setup {
    gateway.behave(json!({ "acts": ["hang"] })).await;
    let url = format!("http://localhost:{}/v1/send", gateway.port());
    let setup = Setup::new()
        .set("NOTTY_GATEWAY__URL", &url)
        .set("NOTTY_GATEWAY__IDEMPOTENT", "true")
        .set("NOTTY_GATEWAY__TIMEOUT_MS", "1000")
        .set("NOTTY_RETRY__INITIAL_MS", "4000");
    let mut node = setup.start().await;
    node.import(40).await;
    node.mail("one", json!({})).await;
    eventually("all are in doubt", Duration::from_secs(20), async || {
        (node.stats("one").await["failed"] == 40).then_some(())
    })
    .await;
    node.process.kill();
    gateway.behave(json!({})).await;
    setup
}

#[tokio::test]
async fn a_message_in_doubt_goes_to_no_other_gateway_and_to_no_other_account() {
    waits_mostly();
    let (gateway, other) = (Gateway::start(), Gateway::start());
    let node = in_doubt(&gateway)
        .await
        .set("NOTTY_GATEWAY__URL", &other.url())
        .start()
        .await;
    node.until("one", json!({ "unconfirmed": 40 })).await;
    assert_eq!(
        (
            gateway.count("requests").await,
            other.count("requests").await
        ),
        (40, 0)
    );

    let gateway = Gateway::start();
    let node = in_doubt(&gateway)
        .await
        .set("NOTTY_GATEWAY__TOKEN", "another")
        .start()
        .await;
    node.until("one", json!({ "unconfirmed": 40 })).await;
    assert_eq!(gateway.count("requests").await, 40);
    assert!(!node.stop().await.join("\n").contains("another"));
}

#[tokio::test]
async fn a_message_in_doubt_is_not_repeated_once_the_gateway_is_not_idempotent_any_more() {
    waits_mostly();
    let gateway = Gateway::start();
    let node = in_doubt(&gateway)
        .await
        .set("NOTTY_GATEWAY__IDEMPOTENT", "false")
        .start()
        .await;
    node.until("one", json!({ "unconfirmed": 40 })).await;
    assert_eq!(gateway.count("requests").await, 40);
}

#[tokio::test]
async fn a_message_in_doubt_is_repeated_at_the_same_gateway_however_that_is_written() {
    waits_mostly();
    let gateway = Gateway::start();
    let setup = in_doubt(&gateway).await;
    let url = format!("HTTP://LocalHost:{}/v1/send/", gateway.port());
    let node = setup.set("NOTTY_GATEWAY__URL", &url).start().await;
    node.until("one", json!({ "done": 40 })).await;
    assert_eq!(gateway.count("messages").await, 40);
}

#[tokio::test]
async fn requests_that_hang_do_not_hold_up_the_rest() {
    waits_mostly();
    let gateway = Gateway::with(&["--hang-per-mille", "20"]);
    let node = Setup::at(&gateway)
        .set("NOTTY_GATEWAY__TIMEOUT_MS", "4000")
        .set("NOTTY_GATEWAY__CONCURRENCY", "200")
        .set("NOTTY_LEASE__SIZE", "100")
        .start()
        .await;
    node.import(8_000).await;
    node.mail("hung", json!({})).await;
    node.until_field("hung", "caught_up", json!(true)).await;
    // About 160 of them hang, fewer than there are slots, in most of the 80 leases: one lease after
    // the other they would take minutes.
    let stats = node.stats("hung").await;
    let lost = stats["unconfirmed"].as_u64().expect("a count");
    assert!((80..=240).contains(&lost), "{stats}");
    let metrics = node.client.get("/metrics").await.text;
    assert!(
        metrics.contains("notty_postman_breaker 0"),
        "the breaker opened for nothing"
    );
}

#[tokio::test]
async fn a_mailing_whose_end_has_passed_is_refused() {
    let node = Setup::new().start().await;
    let late = mailing(
        "late",
        json!({ "end": minutes_from_now(-1), "start": minutes_from_now(-9) }),
    );
    node.client
        .post("/mailings", &late)
        .await
        .problem(400, "end_passed");
}
