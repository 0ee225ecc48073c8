//! Positions: every answer says which one it reflects, and a request may ask for one.

use reqwest::Method;
use serde_json::{Value, json};

use super::customer;
use crate::support::{Answer, Node, Setup, mailing, minutes_from_now, waits_mostly};

fn index(answer: &Answer) -> u64 {
    answer
        .header("notty-index")
        .parse()
        .unwrap_or_else(|_| panic!("no Notty-Index: {answer:?}"))
}

async fn at_least(node: &Node, index: &str) -> Answer {
    let request = node.client.request(Method::GET, "/customers/x");
    node.client
        .send(request.header("Notty-Min-Index", index))
        .await
}

#[tokio::test]
async fn every_answer_says_which_position_it_reflects() {
    let node = Setup::new().start().await;
    for path in [
        "/customers",
        "/customers/none",
        "/mailings",
        "/mailings/none",
        "/messages",
        "/messages/1",
        "/stats",
        "/stats/",
        "/stats/mailings/none",
        "/healthz",
        "/readyz",
        "/metrics",
        "/cluster",
        "/docs",
        "/openapi.json",
        "/nowhere",
        "/customers?limit=0",
        "/customers/%FF",
    ] {
        index(&node.client.get(path).await);
    }
    for (method, path) in [
        (Method::DELETE, "/customers"),
        (Method::POST, "/customers"),
        (Method::PUT, "/mailings/x"),
        (Method::POST, "/mailings/x/pause"),
        (Method::POST, "/customers/import"),
        (Method::HEAD, "/customers"),
    ] {
        index(&node.client.send(node.client.request(method, path)).await);
    }
    let large = json!({ "name": "x".repeat(100_000) });
    index(&node.client.post("/customers", &large).await);
    index(&at_least(&node, "x").await);
}

#[tokio::test]
async fn routes_that_need_no_token_wait_for_no_position_and_ask_no_leader() {
    let tokens = r#"[{ name = "a", token = "secret-a", role = "reader" }]"#;
    let node = Setup::new().set("NOTTY_API__TOKENS", tokens).start().await;
    // One that waited would be 503 after some seconds, one that looked at them 400.
    let positions = ["18446744073709551615", "none"];
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/docs",
        "/docs/scalar.js",
        "/openapi.json",
    ] {
        for (consistency, position) in ["linearizable", "any"].iter().zip(positions) {
            let path = format!("{path}?consistency={consistency}");
            let request = node.client.request(Method::GET, &path);
            let answer = node
                .client
                .send(request.header("Notty-Min-Index", position))
                .await;
            assert!(
                [200, 303].contains(&answer.status.as_u16()),
                "{path}: {answer:?}"
            );
        }
    }
    // All others do look.
    let reader = node.client.with_token("secret-a");
    let faults = reader.get("/stats?consistency=any").await.faults();
    assert_eq!(faults, ["consistency invalid_consistency"]);
}

#[tokio::test]
async fn every_write_says_its_own_position_and_reads_that_follow_reflect_it() {
    let node = Setup::new().start().await;
    let plan = mailing("x", json!({ "start": minutes_from_now(30) }));
    let body = customer("x", json!({}));
    let client = &node.client;
    let mut last = index(&client.get("/customers").await);
    let mut further = |answer: Answer, status: u16| {
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
        assert!(index(&answer) > last, "{answer:?} after {last}");
        last = index(&answer);
        last
    };
    let created = further(client.post("/customers", &body).await, 201);
    let read = at_least(&node, &created.to_string()).await;
    assert!(index(&read) >= created);
    assert_eq!(read.expect(200)["id"], "x");
    further(client.put("/customers/x", &body).await, 200);
    further(
        client
            .upload("/customers/import", "text/csv", "phone\n+79161112233\n")
            .await,
        200,
    );
    further(client.post("/mailings", &plan).await, 201);
    further(
        client
            .put("/mailings/x", &mailing("x", json!({ "desc": "b" })))
            .await,
        200,
    );
    further(client.poke("/mailings/x/pause").await, 200);
    further(client.poke("/mailings/x/resume").await, 200);
    further(client.poke("/mailings/x/cancel").await, 200);
    further(client.delete("/mailings/x").await, 204);
    further(client.delete("/customers/x").await, 204);
    further(client.delete("/customers/x").await, 404);
}

#[tokio::test]
async fn a_request_waits_for_the_position_that_it_asks_for() {
    let node = Setup::new()
        .set("NOTTY_POSTMAN__ENABLED", "false")
        .start()
        .await;
    let now = index(
        &node
            .client
            .post("/customers", &customer("a", json!({})))
            .await,
    );
    let wanted = (now + 20).to_string();
    let reading = at_least(&node, &wanted);
    let writing = async {
        let mut written = now;
        for n in 0..20 {
            let body = customer(if n == 9 { "x" } else { "y" }, json!({}));
            written = index(&node.client.post("/customers", &body).await);
        }
        written
    };
    let (read, written) = tokio::join!(reading, writing);
    assert!(written >= now + 20);
    assert!(index(&read) >= now + 20);
    assert_eq!(
        read.expect(200)["id"],
        "x",
        "it was not there when the request came"
    );
}

#[tokio::test]
async fn a_position_that_does_not_come_is_told_so_and_nonsense_is_refused() {
    waits_mostly();
    let node = Setup::new().start().await;
    let answers = futures_util::future::join_all(
        ["1000000", "18446744073709551615"].map(|index| at_least(&node, index)),
    );
    for answer in answers.await {
        answer.problem(503, "index_not_reached");
        assert!(
            answer
                .header("retry-after")
                .parse::<u32>()
                .is_ok_and(|seconds| seconds > 0)
        );
    }
    for nonsense in [
        "",
        "x",
        "-1",
        "1.5",
        "1e3",
        "0x10",
        "18446744073709551616",
        "1, 2",
    ] {
        let answer = at_least(&node, nonsense).await;
        assert_eq!(
            answer.faults(),
            ["Notty-Min-Index invalid_index"],
            "{nonsense:?}"
        );
    }
    at_least(&node, "0").await.problem(404, "not_found");
    let request = node
        .client
        .request(Method::POST, "/customers")
        .json(&customer("x", json!({})));
    let answer = node
        .client
        .send(request.header("Notty-Min-Index", "soon"))
        .await;
    answer.problem(400, "invalid_index");
    node.client
        .get("/customers/x")
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_read_may_ask_the_leader_first() {
    let node = Setup::new().start().await;
    node.client
        .post("/customers", &customer("x", json!({})))
        .await
        .expect(201);
    for path in [
        "/customers",
        "/customers/x",
        "/mailings",
        "/messages",
        "/stats",
        "/stats/customers/x",
        "/cluster",
    ] {
        let answer = node
            .client
            .get(&format!("{path}?consistency=linearizable"))
            .await;
        answer.expect(200);
        index(&answer);
    }
    let listed = node
        .client
        .get("/customers?limit=1&consistency=linearizable")
        .await
        .expect(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    for value in ["", "eventual", "LINEARIZABLE"] {
        let answer = node
            .client
            .get(&format!("/customers?consistency={value}"))
            .await;
        assert_eq!(
            answer.faults(),
            ["consistency invalid_consistency"],
            "{value:?}"
        );
    }
    assert_eq!(
        node.client.get("/customers/x").await.expect(200)["id"],
        Value::from("x")
    );
}
