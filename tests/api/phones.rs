//! Phones: customers that rows without an id mean, and customers who share a phone.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Gateway, Node, Setup, eventually};

const CSV: &str = "text/csv";

async fn import(node: &Node, csv: &'static str) -> Value {
    node.client
        .upload("/customers/import", CSV, csv)
        .await
        .expect(200)
}

async fn customers(node: &Node) -> Value {
    node.client.get("/customers").await.expect(200)["items"].clone()
}

#[tokio::test]
async fn a_list_without_ids_that_is_imported_twice_changes_nothing_the_second_time() {
    let node = Setup::new().start().await;
    let list = "phone,name\n+79160000001,Anna\n+79160000002,Boris\n";
    let first = import(&node, list).await;
    assert_eq!(
        (&first["created"], &first["updated"]),
        (&json!(2), &json!(0))
    );
    let before = customers(&node).await;

    let second = import(&node, list).await;
    assert_eq!(
        (&second["created"], &second["updated"]),
        (&json!(0), &json!(2))
    );
    assert_eq!(customers(&node).await, before);

    let twice = import(&node, "phone\n+79160000003\n+7 (916) 000-00-03\n").await;
    assert_eq!(
        (&twice["created"], &twice["updated"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn a_row_without_an_id_whose_phone_several_have_is_rejected_by_itself() {
    let node = Setup::new().start().await;
    // A create without an id is a new customer, whoever has its phone.
    for _ in 0..2 {
        let body = json!({ "phone": "+79160000001" });
        node.client.post("/customers", &body).await.expect(201);
    }

    let answer = import(&node, "phone\n+79160000002\n+79160000001\n").await;
    assert_eq!(
        (&answer["created"], &answer["rejected"]),
        (&json!(1), &json!(1))
    );
    let error = &answer["errors"][0];
    assert_eq!(
        (&error["line"], &error["code"]),
        (&json!(3), &json!("ambiguous_phone"))
    );
}

/// Time limit of most things; far more than they need.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn two_customers_with_one_phone_get_one_message_and_the_other_is_told_why() {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    import(
        &node,
        "id,phone\na,+79160000001\nb,+79160000001\nc,+79160000002\n",
    )
    .await;
    node.mail("m", json!({})).await;
    node.until("m", json!({ "done": 2, "cancelled": 1 })).await;

    let page = node
        .client
        .get("/messages?mailing=m&status=cancelled")
        .await;
    let message = page.expect(200)["items"][0].clone();
    assert_eq!(message["customer_id"], json!("b"));
    assert_eq!(
        message["reason"]["code"],
        json!("duplicate_phone"),
        "{message}"
    );
    let page = node.client.get("/messages?mailing=m&customer=a").await;
    assert_eq!(page.expect(200)["items"][0].get("reason"), None);

    node.mail("both", json!({ "unique_phones": false })).await;
    node.until("both", json!({ "done": 3 })).await;
}

#[tokio::test]
async fn a_mailing_for_those_at_its_start_is_nothing_to_who_comes_later() {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    import(&node, "id,phone,tag\na,+79160000001,x\nb,+79160000002,y\n").await;
    let mailing = json!({ "audience": "at_start", "tag_filter": "x" });
    node.mail("m", mailing).await;
    node.until("m", json!({ "done": 1 })).await;

    let live = import(&node, "id,phone,tag\nb,+79160000002,x\nc,+79160000003,x\n").await;
    assert_eq!(live["live_mailings"], json!([]));
    node.mail("later", json!({ "tag_filter": "x" })).await;
    node.until("later", json!({ "done": 3 })).await;
    let stats = node.client.get("/stats/mailings/m").await.expect(200);
    assert_eq!(stats["done"], json!(1), "{stats}");
    let mailing = node.client.get("/mailings/m").await.expect(200);
    assert_eq!(
        (&mailing["status"], &mailing["caught_up"]),
        (&json!("active"), &json!(true))
    );
}

#[tokio::test]
async fn an_import_names_the_active_mailings_that_its_customers_match() {
    let node = Setup::new()
        .set("NOTTY_POSTMAN__ENABLED", "false")
        .start()
        .await;
    import(&node, "id,phone,tag\na,+79160000001,x\n").await;
    node.mail("everybody", json!({})).await;
    node.mail("some", json!({ "tag_filter": "y" })).await;
    node.mail("nobody", json!({ "tag_filter": "z" })).await;
    node.mail("first", json!({ "audience": "at_start" })).await;
    for id in ["everybody", "some", "nobody", "first"] {
        eventually("the mailing has started", SOON, async || {
            let mailing = node
                .client
                .get(&format!("/mailings/{id}"))
                .await
                .expect(200);
            (mailing["status"] == json!("active")).then_some(())
        })
        .await;
    }

    // One is as it was, one has changed, one is new.
    let list = "id,phone,tag\na,+79160000001,x\n";
    assert_eq!(import(&node, list).await["live_mailings"], json!([]));
    let list = "id,phone,tag\na,+79160000001,y\nb,+79160000002,x\n";
    let live = json!([{ "id": "everybody", "matches": 2 }, { "id": "some", "matches": 1 }]);
    assert_eq!(import(&node, list).await["live_mailings"], live);
}
