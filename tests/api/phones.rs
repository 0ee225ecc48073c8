//! Phones: customers that rows without an id mean, and customers who share a phone.

use serde_json::{Value, json};

use crate::support::{Node, Setup};

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

    let twice = import(&node, "phone\n+79160000003\n+79160000003\n").await;
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
