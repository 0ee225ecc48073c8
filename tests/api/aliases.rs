//! The routes of the first Notty: kept, with the same bodies as the routes of today.

use serde_json::{Value, json};

use super::{customer, with};
use crate::support::{Gateway, Node, Setup, mailing, minutes_from_now};

/// Both routes give the same answer.
async fn agree(node: &Node, alias: &str, route: &str) -> Value {
    let (old, new) = (node.client.get(alias).await, node.client.get(route).await);
    assert_eq!(
        (old.status, &old.text),
        (new.status, &new.text),
        "{alias} and {route}"
    );
    assert_eq!(old.header("content-type"), new.header("content-type"));
    old.json()
}

#[tokio::test]
async fn customers_can_be_kept_by_the_old_routes() {
    let node = Setup::new().start().await;
    let body = customer("old", json!({ "name": "A", "tag": "t" }));
    let answer = node.client.post("/customer", &body).await;
    let created = answer.expect(201);
    assert_eq!(answer.header("location"), "/customers/old");
    assert_eq!(
        agree(&node, "/customer/old", "/customers/old").await,
        created
    );
    node.client
        .post("/customer", &body)
        .await
        .problem(409, "customer_exists");
    // POST on an id replaces the whole object.
    let changed = json!({ "phone": "+79990000000" });
    let updated = node
        .client
        .post("/customer/old", &changed)
        .await
        .expect(200);
    let wanted = json!({ "id": "old", "name": "", "phone": "+79990000000", "operator": "",
        "tag": "" });
    assert_eq!(updated, wanted);
    assert_eq!(
        agree(&node, "/customer/old", "/customers/old").await,
        wanted
    );
    agree(&node, "/customer/old/stats", "/customers/old/stats").await;
    agree(&node, "/stats/customer/old", "/stats/customers/old").await;
    let mismatch = node
        .client
        .post("/customer/old", &customer("other", json!({})))
        .await;
    assert_eq!(mismatch.faults(), ["id id_mismatch"]);
    assert_eq!(
        node.client.post("/customer", &json!({})).await.faults(),
        ["phone missing"]
    );
    node.client
        .post("/customer/none", &changed)
        .await
        .problem(404, "not_found");
    node.client.delete("/customer/old").await.expect(204);
    for path in [
        "/customer/old",
        "/customer/old/stats",
        "/stats/customer/old",
    ] {
        node.client.get(path).await.problem(404, "not_found");
    }
    node.client
        .delete("/customer/old")
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn mailings_can_be_kept_by_the_old_routes() {
    let node = Setup::new().start().await;
    let body = mailing("old", json!({ "start": minutes_from_now(30) }));
    let answer = node.client.post("/sub", &body).await;
    let created = answer.expect(201);
    assert_eq!(answer.header("location"), "/mailings/old");
    assert_eq!(agree(&node, "/sub/old", "/mailings/old").await, created);
    node.client
        .post("/sub", &body)
        .await
        .problem(409, "mailing_exists");
    let changed = mailing(
        "old",
        json!({ "text": "Новый", "start": minutes_from_now(40) }),
    );
    let updated = node.client.post("/sub/old", &changed).await.expect(200);
    assert_eq!(
        (&updated["text"], &updated["id"]),
        (&json!("Новый"), &json!("old"))
    );
    assert_eq!(agree(&node, "/sub/old", "/mailings/old").await, updated);
    for alias in [
        "/sub/old/stats",
        "/subscription/old/stats",
        "/stats/subscription/old",
        "/stats/subs/old",
    ] {
        agree(&node, alias, "/mailings/old/stats").await;
        agree(&node, alias, "/stats/mailings/old").await;
    }
    let mismatch = node
        .client
        .post("/sub/old", &mailing("other", json!({})))
        .await;
    assert_eq!(mismatch.faults(), ["id id_mismatch"]);
    node.client
        .post("/sub/none", &mailing("none", json!({})))
        .await
        .problem(404, "not_found");
    let wrong = node.client.post("/sub", &json!({ "text": "a" })).await;
    assert_eq!(wrong.faults(), ["end missing", "start missing"]);
    node.client.delete("/sub/old").await.expect(204);
    for path in [
        "/sub/old",
        "/sub/old/stats",
        "/subscription/old/stats",
        "/stats/subscription/old",
        "/stats/subs/old",
    ] {
        node.client.get(path).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn messages_and_stats_can_be_read_by_the_old_routes() {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    node.import(12).await;
    node.mail("sent", json!({})).await;
    node.until("sent", json!({ "done": 12 })).await;
    for message in node.messages("sent").await {
        let id = message["id"].as_str().expect("an id");
        let (alias, route) = (format!("/message/{id}"), format!("/messages/{id}"));
        assert_eq!(agree(&node, &alias, &route).await, message);
    }
    assert_eq!(agree(&node, "/stats/", "/stats").await["done"], 12);
    for params in [
        vec![("tag", "STAFF")],
        vec![("operator", "мтс"), ("from", "2020-01-01")],
    ] {
        agree(&node, &with("/stats/", &params), &with("/stats", &params)).await;
    }
    let routes = [
        (
            "/customer/customer-1/stats",
            "/customers/customer-1/stats",
            1,
        ),
        (
            "/stats/customer/customer-1",
            "/stats/customers/customer-1",
            1,
        ),
        ("/sub/sent/stats", "/mailings/sent/stats", 12),
        ("/subscription/sent/stats", "/mailings/sent/stats", 12),
        ("/stats/subscription/sent", "/stats/mailings/sent", 12),
        ("/stats/subs/sent", "/stats/mailings/sent", 12),
    ];
    for (alias, route, done) in routes {
        assert_eq!(agree(&node, alias, route).await["done"], done, "{alias}");
    }
    node.client
        .get("/message/1")
        .await
        .problem(404, "not_found");
    node.client
        .get("/stats/?from=x")
        .await
        .problem(400, "invalid_date");
}
