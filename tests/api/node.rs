//! The node itself: alive, ready, its metrics, its cluster, its documentation.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::json;

use crate::support::{Ended, Gateway, Setup, notty};

#[tokio::test]
async fn a_node_says_that_it_is_alive_and_ready() {
    let node = Setup::new().start().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(
            node.client.get(path).await.expect(200),
            json!({ "status": "ok" }),
            "{path}"
        );
    }
}

#[tokio::test]
async fn every_metric_says_what_it_is() {
    let gateway = Gateway::start();
    let node = Setup::at(&gateway).start().await;
    node.import(5).await;
    node.mail("five", json!({})).await;
    node.until("five", json!({ "done": 5 })).await;
    node.client
        .get("/nowhere")
        .await
        .problem(404, "unknown_route");
    let answer = node.client.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    let (mut help, mut types, mut samples) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    for line in answer.text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), text) => {
                help.insert(name, text.unwrap_or_default());
            }
            (Some("#"), Some("TYPE"), Some(name), Some(_)) => {
                types.insert(name);
            }
            (Some("#"), ..) => {}
            (Some(sample), ..) => {
                samples.insert(sample.split('{').next().expect("a name"));
            }
            _ => panic!("an empty line"),
        }
    }
    assert!(types.len() >= 20, "{types:?}");
    for name in &types {
        let is_ours = name.starts_with("notty_") || name.starts_with("process_");
        assert!(is_ours, "{name}");
        assert!(
            help.get(name).is_some_and(|text| text.len() > 10),
            "{name} says nothing"
        );
    }
    for sample in samples {
        let known = types.iter().any(|name| sample.starts_with(name));
        assert!(known, "{sample} has no type");
    }
    for line in [
        "notty_customers 5",
        "notty_messages{status=\"done\"} 5",
        "notty_messages{status=\"unconfirmed\"} 0",
        "notty_gateway_answers_total{answer=\"done\"} 5",
        "notty_raft_leader 1",
        "notty_http_requests_total{method=\"GET\",route=\"unknown\",status=\"404\"} 1",
    ] {
        assert!(
            answer.text.lines().any(|other| other == line),
            "{line}:\n{}",
            answer.text
        );
    }
    assert!(
        !answer.text.contains("/nowhere"),
        "paths of strangers are no labels"
    );
}

#[tokio::test]
async fn a_node_by_itself_is_the_leader_of_its_cluster() {
    let node = Setup::new().start().await;
    let cluster = node.client.get("/cluster").await.expect(200);
    let nodes = cluster["nodes"].as_array().expect("nodes");
    assert_eq!(nodes.len(), 1);
    assert_eq!(cluster["leader"], nodes[0]["name"]);
    assert!(
        cluster["term"].as_u64().is_some_and(|term| term > 0),
        "{cluster}"
    );
    assert_eq!(
        (&nodes[0]["role"], &nodes[0]["reachable"]),
        (&json!("leader"), &json!(true))
    );
    assert_eq!(nodes[0]["api"], node.client.base());
    assert!(nodes[0]["peer"].is_string());
    let applied = nodes[0]["applied_index"].as_u64().expect("a position");
    assert!(applied > 0 && nodes[0]["last_index"].as_u64().expect("a position") >= applied);
    let fields: Vec<_> = nodes[0]
        .as_object()
        .expect("fields")
        .keys()
        .cloned()
        .collect();
    let wanted = [
        "api",
        "applied_index",
        "commit",
        "last_index",
        "name",
        "peer",
        "reachable",
        "reason",
        "role",
        "version",
    ];
    assert_eq!(fields, wanted);
}

#[tokio::test]
async fn the_documentation_page_needs_nothing_from_elsewhere() {
    let node = Setup::new().start().await;
    let page = node.client.get("/docs").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!(node.client.get("/docs/").await.text, page.text);
    let lower = page.text.to_lowercase();
    for foreign in [
        "src=\"http",
        "src='http",
        "src=\"//",
        "href=\"http",
        "href=\"//",
        "@import",
        "url(http",
        "<link",
        "<iframe",
    ] {
        assert!(!lower.contains(foreign), "{foreign}");
    }
    assert!(
        lower.contains("\"withdefaultfonts\":false"),
        "its fonts would come from elsewhere"
    );
    let script = page
        .text
        .split("src=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let script = script.expect("the page has a script");
    let answer = node
        .client
        .send(node.client.request(reqwest::Method::HEAD, script))
        .await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("text/javascript"));
    assert!(
        page.text.contains("/customers/import"),
        "the page has the document in it"
    );
}

#[tokio::test]
async fn the_document_is_served_as_it_is_printed() {
    let node = Setup::new().start().await;
    let answer = node.client.get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let printed = Ended::of(notty().arg("openapi"));
    assert_eq!(printed.code, Some(0));
    let printed: serde_json::Value = serde_json::from_str(&printed.stdout).expect("JSON");
    assert_eq!(answer.expect(200), printed);
}

#[tokio::test]
async fn the_root_shows_the_way_to_the_documentation() {
    let node = Setup::new().start().await;
    let answer = node.client.get("/").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (303, "/docs")
    );
}

#[tokio::test]
async fn methods_that_nobody_knows_are_one_series_of_the_metrics() {
    let node = Setup::new().start().await;
    for method in ["BREW", "PROPFIND", "PATCH", "get"] {
        let method = Method::from_bytes(method.as_bytes()).expect("a token");
        node.client
            .send(node.client.request(method, "/customers"))
            .await
            .problem(405, "method_not_allowed");
    }
    let metrics = node.client.get("/metrics").await.text;
    let series = metrics
        .lines()
        .filter(|line| line.starts_with("notty_http_requests_total{"));
    let strange: Vec<_> = series
        .filter(|line| !line.contains("method=\"GET\""))
        .collect();
    assert_eq!(strange.len(), 1, "{strange:#?}");
    assert!(
        strange[0].contains("method=\"other\"") && strange[0].ends_with(" 4"),
        "{strange:#?}"
    );
}
