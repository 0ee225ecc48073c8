//! Messages: one, lists by mailing, customer and status.

use serde_json::{Value, json};

use super::{customer, walk, with};
use crate::support::{Gateway, Node, Setup};

/// Two mailings to 25 customers: one was taken, one refused by the gateway for good.
async fn sent() -> (Gateway, Node) {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    node.import(25).await;
    node.mail("taken", json!({})).await;
    node.until("taken", json!({ "done": 25 })).await;
    gateway
        .behave(json!({ "acts": [{ "answer": { "status": 400 } }] }))
        .await;
    node.mail("refused", json!({ "tag_filter": "staff", "text": "Отказ" }))
        .await;
    node.until("refused", json!({ "invalid": 8 })).await;
    (gateway, node)
}

#[tokio::test]
async fn a_message_says_what_was_sent_to_whom_and_what_became_of_it() {
    let (gateway, node) = sent().await;
    let ids = walk(
        &node.client,
        "/messages",
        &[("mailing", "taken")],
        100,
        "id",
    )
    .await;
    let mut at_gateway: Vec<_> = gateway.taken().await.iter().map(u64::to_string).collect();
    at_gateway.sort();
    let mut sorted = ids.clone();
    sorted.sort();
    assert_eq!(sorted, at_gateway, "the gateway gets the same ids");
    for id in &ids {
        let number: i64 = id.parse().expect("a number");
        assert!(number > 0, "63 bits");
    }
    let message = node
        .client
        .get(&format!("/messages/{}", ids[2]))
        .await
        .expect(200);
    let customer = message["customer_id"].as_str().expect("an id");
    let of_customer = node
        .client
        .get(&format!("/customers/{customer}"))
        .await
        .expect(200);
    assert_eq!(message["id"], ids[2].as_str());
    assert_eq!(message["mailing_id"], "taken");
    assert_eq!(message["phone"], of_customer["phone"]);
    assert_eq!(message["text"], "Скидка 20 % до воскресенья");
    assert_eq!(
        (&message["status"], &message["attempts"]),
        (&json!("done"), &json!(1))
    );
    let time = |field: &str| -> jiff::Timestamp {
        message[field]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect(field)
    };
    assert!(time("created_at") <= time("sent_at") && time("sent_at") <= time("updated_at"));
    let fields = message.as_object().expect("fields").keys().count();
    assert_eq!(fields, 10, "nothing else: {message}");
    let refused = node.messages("refused").await.remove(0);
    assert_eq!(
        (&refused["status"], refused.get("sent_at")),
        (&json!("invalid"), None)
    );
    // What a message was expanded with stays.
    let changed = json!({ "phone": "+79990000000" });
    node.client
        .put(&format!("/customers/{customer}"), &changed)
        .await
        .expect(200);
    let again = node
        .client
        .get(&format!("/messages/{}", ids[2]))
        .await
        .expect(200);
    assert_eq!(again, message);
}

#[tokio::test]
async fn messages_are_listed_each_once_by_mailing_customer_and_status() {
    let (_gateway, node) = sent().await;
    let all = walk(&node.client, "/messages", &[], 1_000, "id").await;
    assert_eq!(all.len(), 33);
    assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
    let filters: [(&[(&str, &str)], usize); 10] = [
        (&[], 33),
        (&[("mailing", "taken")], 25),
        (&[("mailing", "refused")], 8),
        (&[("status", "done")], 25),
        (&[("status", "invalid")], 8),
        (&[("status", "created")], 0),
        (&[("customer", "customer-2")], 2),
        (&[("customer", "customer-2"), ("status", "done")], 1),
        (&[("customer", "customer-1"), ("mailing", "refused")], 0),
        (
            &[
                ("customer", "customer-2"),
                ("mailing", "refused"),
                ("status", "invalid"),
            ],
            1,
        ),
    ];
    for (params, count) in filters {
        let whole = walk(&node.client, "/messages", params, 1_000, "id").await;
        assert_eq!(whole.len(), count, "{params:?}");
        for limit in [1, 4] {
            let paged = walk(&node.client, "/messages", params, limit, "id").await;
            assert_eq!(paged, whole, "{params:?} {limit}");
        }
        for (filter, wanted) in params {
            let field = match *filter {
                "status" => "status",
                "mailing" => "mailing_id",
                _ => "customer_id",
            };
            let found = walk(&node.client, "/messages", params, 1_000, field).await;
            assert!(
                found.iter().all(|value| value == wanted),
                "{params:?}: {found:?}"
            );
        }
    }
    for status in ["sending", "failed", "expired", "cancelled", "unconfirmed"] {
        assert!(
            walk(&node.client, "/messages", &[("status", status)], 9, "id")
                .await
                .is_empty()
        );
    }
}

#[tokio::test]
async fn messages_of_what_is_not_there_are_not_there() {
    let (_gateway, node) = sent().await;
    for params in [("mailing", "none"), ("customer", "none")] {
        node.client
            .get(&with("/messages", &[params]))
            .await
            .problem(404, "not_found");
    }
    let id = node.messages("taken").await[0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    for wrong in [
        "0",
        "1",
        "-1",
        "x",
        "9223372036854775807",
        "99999999999999999999",
        "4294967296.0",
        &format!("0{id}"),
        &format!("+{id}"),
        &format!("{id}%20"),
    ] {
        let answer = node.client.get(&format!("/messages/{wrong}")).await;
        answer.problem(404, "not_found");
    }
    node.client.delete("/mailings/taken").await.expect(204);
    node.client
        .get(&format!("/messages/{id}"))
        .await
        .problem(404, "not_found");
    node.client
        .get("/messages?mailing=taken")
        .await
        .problem(404, "not_found");
    assert_eq!(
        walk(&node.client, "/messages", &[], 100, "id").await.len(),
        8
    );
}

#[tokio::test]
async fn a_message_that_waits_is_listed_as_it_waits() {
    let node = Setup::new()
        .set("NOTTY_POSTMAN__ENABLED", "false")
        .start()
        .await;
    node.client
        .post("/customers", &customer("one", json!({})))
        .await
        .expect(201);
    node.mail("waits", json!({})).await;
    node.until("waits", json!({ "created": 1 })).await;
    let message = node.messages("waits").await.remove(0);
    assert_eq!(
        (&message["status"], &message["attempts"]),
        (&json!("created"), &json!(0))
    );
    assert_eq!(message.get("sent_at"), None::<&Value>);
    node.client.poke("/mailings/waits/cancel").await.expect(200);
    node.until("waits", json!({ "cancelled": 1 })).await;
    let found = walk(
        &node.client,
        "/messages",
        &[("status", "cancelled")],
        9,
        "id",
    )
    .await;
    assert_eq!(found, [message["id"].as_str().expect("an id")]);
}
