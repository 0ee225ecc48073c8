//! The document against the service: methods, headers and kinds of answers are what it says.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Node, Setup};

async fn document(node: &Node) -> Value {
    node.client.get("/openapi.json").await.expect(200)
}

/// A path with an id in the place of each parameter.
fn filled(path: &str) -> String {
    let parts = path.split('/');
    let parts = parts.map(|part| if part.starts_with('{') { "1" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn allow_names_exactly_the_methods_of_the_document() {
    let node = Setup::new().start().await;
    let document = document(&node).await;
    for (path, item) in document["paths"].as_object().expect("paths") {
        let methods = item.as_object().expect("methods").keys();
        let mut wanted: BTreeSet<_> = methods.map(|method| method.to_uppercase()).collect();
        if wanted.contains("GET") {
            wanted.insert("HEAD".to_owned());
        }
        for method in [Method::PATCH, Method::OPTIONS] {
            let request = node.client.request(method.clone(), &filled(path));
            let answer = node.client.send(request).await;
            answer.problem(405, "method_not_allowed");
            let allowed = answer.header("allow").split(',');
            let allowed: BTreeSet<_> = allowed.map(|method| method.trim().to_owned()).collect();
            assert_eq!(allowed, wanted, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn each_read_sends_the_kind_that_is_documented() {
    let node = Setup::new().start().await;
    let document = document(&node).await;
    for (path, item) in document["paths"].as_object().expect("paths") {
        let content = &item["get"]["responses"]["200"]["content"];
        let Some(content) = content.as_object().filter(|_| !path.contains('{')) else {
            continue;
        };
        let answer = node.client.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        let sent = without_parameters(answer.header("content-type"));
        let documented: Vec<_> = content
            .keys()
            .map(|kind| without_parameters(kind))
            .collect();
        assert!(documented.contains(&sent), "{path}: {sent} {documented:?}");
    }
}

/// A media type without its version and character set.
fn without_parameters(kind: &str) -> &str {
    kind.split_once(';').map_or(kind, |(kind, _)| kind)
}

/// A create under a header.
async fn create(node: &Node, id: &str, name: &str, value: &str) -> Answer {
    let customer = json!({ "id": id, "phone": "+79161112233" });
    let request = node.client.request(Method::POST, "/customers");
    node.client
        .send(request.header(name, value).json(&customer))
        .await
}

#[tokio::test]
async fn headers_are_taken_as_their_schemas_have_them() {
    let node = Setup::new().start().await;
    let document = document(&node).await;
    let schema = |name: &str| document["components"]["parameters"][name]["schema"].clone();
    let key = "Idempotency-Key";
    assert_eq!(
        schema(key),
        json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$" })
    );
    let longest = "k".repeat(255);
    for (n, right) in ["!", "a b", "~~", &longest].into_iter().enumerate() {
        create(&node, &format!("key-{n}"), key, right)
            .await
            .expect(201);
    }
    for wrong in ["", "a\tb", "ключ", &"k".repeat(256)] {
        create(&node, "wrong", key, wrong)
            .await
            .problem(400, "invalid_key");
    }

    let index = "Notty-Min-Index";
    assert_eq!(schema(index)["minimum"], 0);
    create(&node, "index-0", index, "0").await.expect(201);
    for wrong in ["-1", "+0", "", "1.0", "0x1"] {
        create(&node, "wrong", index, wrong)
            .await
            .problem(400, "invalid_index");
    }
}
