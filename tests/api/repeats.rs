//! Repeats under an `Idempotency-Key`: the first answer again, and nothing done twice.

use reqwest::Method;
use serde_json::{Value, json};

use super::{customer, walk};
use crate::support::{Answer, Client, Setup, mailing, minutes_from_now};

async fn post(client: &Client, path: &str, key: &str, body: &Value) -> Answer {
    let request = client
        .request(Method::POST, path)
        .header("Idempotency-Key", key);
    client
        .send(if body.is_null() {
            request
        } else {
            request.json(body)
        })
        .await
}

/// The first answer comes again: its status and its body.
#[track_caller]
fn same(first: &Answer, again: &Answer) {
    assert_eq!((first.status, &first.text), (again.status, &again.text));
}

#[tokio::test]
async fn a_repeat_of_any_post_gets_the_first_answer_again() {
    let node = Setup::new().start().await;
    let client = &node.client;
    let plan = mailing("x", json!({ "start": minutes_from_now(30) }));
    let (body, other) = (
        customer("x", json!({})),
        customer("x", json!({ "name": "B" })),
    );
    let nameless = customer("", json!({ "id": null }));
    let nameless_plan = mailing("", json!({ "id": null, "start": minutes_from_now(30) }));
    let posts = [
        ("/customers", &body, 201),
        ("/customers", &body, 409),
        ("/customers", &nameless, 201),
        ("/customer/x", &other, 200),
        ("/customer/none", &customer("none", json!({})), 404),
        ("/mailings", &plan, 201),
        ("/mailings", &plan, 409),
        ("/mailings", &nameless_plan, 201),
        ("/sub/x", &plan, 200),
        ("/mailings/x/pause", &Value::Null, 200),
        (
            "/mailings/x/resume",
            &json!({ "accept_duplicates": true }),
            200,
        ),
        ("/mailings/x/cancel", &Value::Null, 200),
        ("/mailings/x/pause", &Value::Null, 409),
        ("/mailings/none/cancel", &Value::Null, 404),
    ];
    let mut firsts = Vec::new();
    for (n, (path, body, status)) in posts.iter().enumerate() {
        let first = post(client, path, &format!("key-{n}"), body).await;
        assert_eq!(first.status.as_u16(), *status, "{n} {path}: {}", first.text);
        firsts.push(first);
    }
    let before = walk(client, "/customers", &[], 10, "id").await;
    client.delete("/customers/x").await.expect(204);
    client.delete("/mailings/x").await.expect(204);
    for (n, (path, body, _)) in posts.iter().enumerate() {
        same(
            &firsts[n],
            &post(client, path, &format!("key-{n}"), body).await,
        );
    }
    let after = walk(client, "/customers", &[], 10, "id").await;
    assert_eq!(
        after,
        before[1..],
        "a repeat creates nothing, and revives nothing"
    );
    client.get("/mailings/x").await.problem(404, "not_found");
    assert_eq!(walk(client, "/mailings", &[], 10, "id").await.len(), 1);
}

#[tokio::test]
async fn a_key_with_another_body_or_another_route_is_422() {
    let node = Setup::new().start().await;
    let client = &node.client;
    post(client, "/customers", "key", &customer("a", json!({})))
        .await
        .expect(201);
    let other = post(client, "/customers", "key", &customer("b", json!({}))).await;
    other.problem(422, "idempotency_key_reused");
    client.get("/customers/b").await.problem(404, "not_found");
    node.mail("x", json!({ "start": minutes_from_now(30) }))
        .await;
    node.mail("y", json!({ "start": minutes_from_now(30) }))
        .await;
    post(client, "/mailings/x/pause", "pause", &Value::Null)
        .await
        .expect(200);
    let elsewhere = post(client, "/mailings/y/pause", "pause", &Value::Null).await;
    elsewhere.problem(422, "idempotency_key_reused");
    assert_eq!(
        client.get("/mailings/y").await.expect(200)["status"],
        "scheduled"
    );
    // What did not pass validation used up no key.
    post(client, "/customers", "fresh", &json!({}))
        .await
        .problem(400, "missing");
    post(client, "/customers", "fresh", &customer("b", json!({})))
        .await
        .expect(201);
    post(client, "/customers", "Key", &customer("c", json!({})))
        .await
        .expect(201);
}

#[tokio::test]
async fn a_key_is_kept_over_a_kill() {
    let node = Setup::new().start().await;
    let body = customer("", json!({ "id": null }));
    let plan = mailing("x", json!({}));
    let first = post(&node.client, "/customers", "killed", &body).await;
    let planned = post(&node.client, "/mailings", "planned", &plan).await;
    first.expect(201);
    planned.expect(201);
    node.until_field("x", "status", json!("active")).await;
    let node = node.kill_and_restart().await;
    same(
        &first,
        &post(&node.client, "/customers", "killed", &body).await,
    );
    same(
        &planned,
        &post(&node.client, "/mailings", "planned", &plan).await,
    );
    let other = post(
        &node.client,
        "/customers",
        "killed",
        &customer("a", json!({})),
    )
    .await;
    other.problem(422, "idempotency_key_reused");
    assert_eq!(
        walk(&node.client, "/customers", &[], 10, "id").await.len(),
        1
    );
}

#[tokio::test]
async fn repeats_that_come_at_once_do_one_thing() {
    let node = Setup::new().start().await;
    let body = customer("", json!({ "id": null }));
    let posts = (0..20).map(|_| post(&node.client, "/customers", "at-once", &body));
    let answers = futures_util::future::join_all(posts).await;
    for answer in &answers {
        answer.expect(201);
        same(&answers[0], answer);
    }
    assert_eq!(
        walk(&node.client, "/customers", &[], 10, "id").await.len(),
        1
    );
}

#[tokio::test]
async fn a_key_belongs_to_the_one_who_gave_it() {
    let tokens = r#"[{ name = "a", token = "secret-a", role = "operator" },
        { name = "b", token = "secret-b", role = "operator" }]"#;
    let node = Setup::new()
        .set("NOTTY_API__TOKENS", &tokens.replace('\n', " "))
        .start()
        .await;
    for (token, id) in [("secret-a", "one"), ("secret-b", "two")] {
        let client = node.client.with_token(token);
        let created = post(&client, "/customers", "key", &customer(id, json!({}))).await;
        assert_eq!(created.expect(201)["id"], id);
    }
}

#[tokio::test]
async fn imports_and_previews_are_done_again_whatever_the_key() {
    let node = Setup::new().start().await;
    let plan = mailing("x", json!({}));
    let preview = post(&node.client, "/mailings/preview", "key", &plan)
        .await
        .expect(200);
    assert_eq!(preview["customers"], 0);
    for wanted in [
        json!({ "created": 1, "updated": 0 }),
        json!({ "created": 0, "updated": 1 }),
    ] {
        let request = node.client.request(Method::POST, "/customers/import");
        let request = request
            .header("Idempotency-Key", "key")
            .header("content-type", "text/csv");
        let answer = node
            .client
            .send(request.body("id,phone\na,+79161112233\n"))
            .await
            .expect(200);
        assert_eq!(answer["created"], wanted["created"]);
        assert_eq!(answer["updated"], wanted["updated"]);
    }
    let preview = post(&node.client, "/mailings/preview", "key", &plan)
        .await
        .expect(200);
    assert_eq!(preview["customers"], 1);
}

#[tokio::test]
async fn a_key_that_cannot_be_one_is_refused() {
    let node = Setup::new().start().await;
    let body = customer("a", json!({}));
    let long = "k".repeat(256);
    for key in ["", "  ", long.as_str(), "ключ"] {
        let answer = post(&node.client, "/customers", key, &body).await;
        assert_eq!(answer.faults(), ["Idempotency-Key invalid_key"], "{key:?}");
    }
    node.client
        .get("/customers/a")
        .await
        .problem(404, "not_found");
    post(&node.client, "/customers", &"k".repeat(255), &body)
        .await
        .expect(201);
}
