//! Imports without phones: rows update the customers with their ids, who keep the phones that they have.

use serde_json::{Value, json};

use crate::support::{Client, Setup};

/// The two formats, with the same rows: the first and the second are of customers, the third is of nobody, the
/// fourth is of a customer, and the last has no id.
const FILES: [(&str, &str); 2] = [
    (
        "text/csv",
        "id,tag\na,new\nb,new\nnobody,new\na,newer\n,new\n",
    ),
    (
        "application/x-ndjson",
        "\n{\"id\":\"a\",\"tag\":\"new\"}\n{\"id\":\"b\",\"tag\":\"new\"}\n\
         {\"id\":\"nobody\",\"tag\":\"new\"}\n{\"id\":\"a\",\"tag\":\"newer\"}\n{\"tag\":\"new\"}\n",
    ),
];

async fn import(client: &Client, kind: &str, rows: &str) -> Value {
    let answer = client.upload("/customers/import", kind, rows.to_owned());
    answer.await.expect(200)
}

/// Line and code of each error, whose words name the phone.
fn errors(answer: &Value) -> Vec<(u64, &str)> {
    let errors = answer["errors"].as_array().expect("errors");
    let told = errors.iter().map(|error| {
        let detail = error["detail"].as_str().expect("a detail");
        assert!(
            detail.contains("phone") && detail.contains("id"),
            "{detail}"
        );
        let code = error["code"].as_str().expect("a code");
        (error["line"].as_u64().expect("a line"), code)
    });
    told.collect()
}

/// Two customers, and the file that changes their tags.
async fn change_tags(client: &Client, kind: &str, rows: &str) {
    let both = "id,phone,name,tag\na,+79160000001,A,old\nb,+79160000002,B,old\n";
    import(client, "text/csv", both).await;

    let answer = import(client, kind, rows).await;
    assert_eq!(
        (&answer["created"], &answer["updated"]),
        (&json!(0), &json!(3))
    );
    assert_eq!(
        errors(&answer),
        [(4, "missing"), (6, "missing")],
        "{answer}"
    );

    let a =
        json!({ "id": "a", "name": "A", "phone": "+79160000001", "operator": "", "tag": "newer" });
    assert_eq!(client.get("/customers/a").await.expect(200), a);
    let b =
        json!({ "id": "b", "name": "B", "phone": "+79160000002", "operator": "", "tag": "new" });
    assert_eq!(client.get("/customers/b").await.expect(200), b);
    client
        .get("/customers/nobody")
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_file_without_phones_updates_customers_by_their_ids() {
    let node = Setup::new().start().await;
    for (kind, rows) in FILES {
        change_tags(&node.client, kind, rows).await;

        // Both are still found by the phones that no row has named.
        let found = node.client.get("/customers?phone=%2B79160000002").await;
        assert_eq!(found.expect(200)["items"][0]["id"], "b", "{kind}");
        let by_phone = "phone,name\n+79160000001,Anna\n";
        let answer = import(&node.client, "text/csv", by_phone).await;
        assert_eq!(answer["updated"], 1, "{answer}");
    }
}

#[tokio::test]
async fn an_empty_phone_is_rejected_and_changes_nothing_of_the_customer() {
    let node = Setup::new().start().await;
    let client = &node.client;
    import(client, "text/csv", "id,phone,tag\na,+79160000001,old\n").await;
    let before = client.get("/customers/a").await.expect(200);

    for (kind, rows) in [
        ("text/csv", "id,phone,tag\na,,new\n"),
        (
            "application/x-ndjson",
            "\n{\"id\":\"a\",\"phone\":\"\",\"tag\":\"new\"}\n",
        ),
        (
            "application/x-ndjson",
            "\n{\"id\":\"a\",\"phone\":null,\"tag\":\"new\"}\n",
        ),
    ] {
        let answer = import(client, kind, rows).await;
        let error = &answer["errors"][0];
        assert_eq!(
            (&error["line"], &error["code"]),
            (&json!(2), &json!("missing"))
        );
        assert_eq!(client.get("/customers/a").await.expect(200), before);
    }
}
