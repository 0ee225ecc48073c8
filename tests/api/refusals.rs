//! What is refused before a resource is asked: routes, methods, bodies, bytes that make no sense.

use reqwest::Method;
use serde_json::json;

use super::customer;
use crate::support::{Client, Setup, mailing, minutes_from_now};

/// Routes that take a JSON object.
const TAKING: [(Method, &str); 9] = [
    (Method::POST, "/customers"),
    (Method::PUT, "/customers/there"),
    (Method::POST, "/mailings"),
    (Method::PUT, "/mailings/there"),
    (Method::POST, "/mailings/preview"),
    (Method::POST, "/customer"),
    (Method::POST, "/customer/there"),
    (Method::POST, "/sub"),
    (Method::POST, "/sub/there"),
];

/// A node with a customer and a mailing named `there`.
async fn node() -> crate::support::Node {
    let node = Setup::new().start().await;
    node.client
        .post("/customers", &customer("there", json!({})))
        .await
        .expect(201);
    node.mail("there", json!({ "start": minutes_from_now(30) }))
        .await;
    node
}

async fn send(
    client: &Client,
    (method, path): &(Method, &str),
    kind: Option<&str>,
    body: impl Into<reqwest::Body>,
) -> crate::support::Answer {
    let mut request = client.request(method.clone(), path).body(body);
    if let Some(kind) = kind {
        request = request.header("content-type", kind);
    }
    client.send(request).await
}

#[tokio::test]
async fn an_unknown_route_is_404() {
    let node = node().await;
    for path in [
        "/customer",
        "/customers/",
        "/customers/there/",
        "/customers/there/x",
        "/sub",
        "//customers",
        "/Customers",
        "/mailings/there/start",
        "/favicon.ico",
        "/api/customers",
        "/../etc/passwd",
        "/%00",
    ] {
        let answer = node.client.get(path).await;
        let expected = matches!(path, "/customer" | "/sub");
        let (status, code) = if expected {
            (405, "method_not_allowed")
        } else {
            (404, "unknown_route")
        };
        answer.problem(status, code);
    }
    let request = node.client.request(Method::POST, "/nowhere").body("{");
    node.client
        .send(request)
        .await
        .problem(404, "unknown_route");
}

#[tokio::test]
async fn a_wrong_method_is_405_and_told_the_right_ones() {
    let node = node().await;
    for (path, method, allowed) in [
        ("/customers", Method::PUT, "GET,HEAD,POST"),
        ("/customers", Method::DELETE, "GET,HEAD,POST"),
        ("/customers", Method::OPTIONS, "GET,HEAD,POST"),
        ("/customers/there", Method::POST, "DELETE,GET,HEAD,PUT"),
        ("/customers/there", Method::PATCH, "DELETE,GET,HEAD,PUT"),
        ("/customers/there/stats", Method::POST, "GET,HEAD"),
        ("/mailings", Method::PUT, "GET,HEAD,POST"),
        ("/mailings/there", Method::POST, "DELETE,GET,HEAD,PUT"),
        ("/mailings/there/pause", Method::GET, "POST"),
        ("/mailings/there/resume", Method::PUT, "POST"),
        ("/mailings/there/cancel", Method::DELETE, "POST"),
        ("/mailings/there/stats", Method::PUT, "GET,HEAD"),
        ("/messages", Method::POST, "GET,HEAD"),
        ("/messages/1", Method::DELETE, "GET,HEAD"),
        ("/stats", Method::POST, "GET,HEAD"),
        ("/stats/mailings/there", Method::POST, "GET,HEAD"),
        ("/healthz", Method::POST, "GET,HEAD"),
        ("/readyz", Method::POST, "GET,HEAD"),
        ("/metrics", Method::POST, "GET,HEAD"),
        ("/docs", Method::POST, "GET,HEAD"),
        ("/openapi.json", Method::POST, "GET,HEAD"),
        ("/customer", Method::GET, "POST"),
        ("/customer/there", Method::PUT, "DELETE,GET,HEAD,POST"),
        ("/sub/there", Method::PUT, "DELETE,GET,HEAD,POST"),
        ("/stats/", Method::POST, "GET,HEAD"),
    ] {
        let answer = node
            .client
            .send(node.client.request(method.clone(), path))
            .await;
        answer.problem(405, "method_not_allowed");
        let mut told: Vec<_> = answer.header("allow").split(',').map(str::trim).collect();
        told.sort_unstable();
        assert_eq!(told.join(","), allowed, "{method} {path}");
    }
}

#[tokio::test]
async fn another_content_type_is_415() {
    let node = node().await;
    for route in &TAKING {
        for kind in [
            "text/plain",
            "application/xml",
            "application/x-www-form-urlencoded",
            "application/jsonp",
            "json",
            "",
        ] {
            let answer = send(&node.client, route, Some(kind), "{}").await;
            answer.problem(415, "unsupported_media_type");
        }
        send(&node.client, route, None, "{}")
            .await
            .problem(415, "unsupported_media_type");
        for kind in ["application/json; charset=utf-8", "Application/JSON"] {
            let answer = send(&node.client, route, Some(kind), "{\"shoe\":1}").await;
            assert!(
                answer.faults().contains(&"shoe unknown_field".to_owned()),
                "{route:?} {kind}"
            );
        }
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_400() {
    let node = node().await;
    let deep = "[".repeat(30_000);
    let deeper = format!("{{\"text\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for route in &TAKING {
        for body in [
            "",
            " ",
            "{",
            "}",
            "nul",
            "null",
            "1",
            "\"x\"",
            "[]",
            "[{}]",
            "{}{}",
            "{'a':1}",
            "{\"a\":1,}",
            "{\"a\":NaN}",
            "{\"a\":\"\u{0}\"}",
            "{\"phone\":\"\\ud800\"}",
            "\u{feff}{}",
            deep.as_str(),
            deeper.as_str(),
        ] {
            let answer = send(
                &node.client,
                route,
                Some("application/json"),
                body.to_owned(),
            )
            .await;
            answer.problem(400, "invalid_json");
        }
        for body in [
            &b"{\"name\":\"\xff\"}"[..],
            b"\xff\xfe{\0}\0",
            b"{\"name\":\"\xc3\x28\"}",
        ] {
            let answer = send(&node.client, route, Some("application/json"), body).await;
            answer.problem(400, "invalid_json");
        }
        let empty = send(&node.client, route, None, "").await;
        assert_eq!(empty.status, 400, "{route:?}: {}", empty.text);
    }
    let name = customer("zero", json!({ "name": "a\0b" }));
    assert_eq!(
        node.client.post("/customers", &name).await.faults(),
        ["name control_character"]
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413() {
    let node = node().await;
    for route in &TAKING {
        for bytes in [65 * 1024, 1024 * 1024] {
            let body = json!({ "name": "x".repeat(bytes) }).to_string();
            let answer = send(&node.client, route, Some("application/json"), body.clone()).await;
            answer.problem(413, "body_too_large");
            let pieces = vec![Ok::<_, std::io::Error>(body)];
            let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
            let answer = send(&node.client, route, Some("application/json"), stream).await;
            answer.problem(413, "body_too_large");
        }
    }
    // The longest texts fit, also when every character is escaped.
    let text = "\\u0451".repeat(1_600);
    let desc = "\\ud83d\\ude00".repeat(1_000);
    let (start, end) = (minutes_from_now(9), minutes_from_now(99));
    let body = format!(r#"{{"text":"{text}","desc":"{desc}","start":"{start}","end":"{end}"}}"#);
    node.client
        .upload("/mailings", "application/json", body)
        .await
        .expect(201);
}

#[tokio::test]
async fn unknown_parameters_are_refused_where_parameters_are_taken() {
    let node = node().await;
    for path in [
        "/customers",
        "/customers/there",
        "/customers/there/stats",
        "/mailings",
        "/mailings/there",
        "/mailings/there/stats",
        "/messages",
        "/messages/1",
        "/stats",
        "/stats/mailings/there",
        "/stats/customers/there",
        "/cluster",
    ] {
        let answer = node.client.get(&format!("{path}?shoe=43")).await;
        assert_eq!(answer.faults(), ["shoe unknown_parameter"], "{path}");
    }
    let body = customer("other", json!({}));
    for path in [
        "/customers?dry_run=true",
        "/customers?x",
        "/customers?tag=a",
    ] {
        node.client
            .post(path, &body)
            .await
            .problem(400, "unknown_parameter");
    }
    node.client
        .put("/customers/there?x=1", &body)
        .await
        .problem(400, "unknown_parameter");
    node.client
        .delete("/customers/there?x=1")
        .await
        .problem(400, "unknown_parameter");
    node.client
        .delete("/mailings/there?x=1")
        .await
        .problem(400, "unknown_parameter");
    let plan = mailing("other", json!({}));
    for path in ["/mailings?x=1", "/mailings/preview?x=1"] {
        node.client
            .post(path, &plan)
            .await
            .problem(400, "unknown_parameter");
    }
    let import = node
        .client
        .upload("/customers/import?mode=x", "text/csv", "phone\n")
        .await;
    import.problem(400, "unknown_parameter");
    node.client
        .get("/customers/other")
        .await
        .problem(404, "not_found");
    node.client.get("/customers/there").await.expect(200);
}

#[tokio::test]
async fn ids_in_paths_are_decoded_and_what_cannot_be_one_is_404() {
    let node = node().await;
    node.client
        .post("/customers", &customer("a-1", json!({})))
        .await
        .expect(201);
    assert_eq!(
        node.client.get("/customers/%61%2d1").await.expect(200)["id"],
        "a-1"
    );
    let long = "x".repeat(5_000);
    for id in [
        "a%2F1",
        "%00",
        "a%0A",
        "%D0%BA%D0%BB",
        "%FF",
        "%C3%28",
        "a%20b",
        "a_b",
        "..%2f..",
        "%25",
        long.as_str(),
    ] {
        for resource in [
            "customers",
            "mailings",
            "messages",
            "stats/customers",
            "stats/mailings",
            "customer",
            "sub",
            "message",
        ] {
            let path = format!("/{resource}/{id}");
            node.client.get(&path).await.problem(404, "not_found");
        }
        for resource in ["customers", "mailings"] {
            node.client
                .delete(&format!("/{resource}/{id}"))
                .await
                .problem(404, "not_found");
            node.client
                .get(&format!("/{resource}/{id}/stats"))
                .await
                .problem(404, "not_found");
        }
        let body = json!({ "phone": "+79161112233" });
        node.client
            .put(&format!("/customers/{id}"), &body)
            .await
            .problem(404, "not_found");
        node.client
            .poke(&format!("/mailings/{id}/pause"))
            .await
            .problem(404, "not_found");
    }
}

#[tokio::test]
async fn parameters_that_are_not_utf8_are_refused() {
    let node = node().await;
    for path in [
        "/customers?tag=%FF",
        "/customers?%FF=1",
        "/stats?operator=%C3%28",
        "/messages?status=%80",
        "/mailings?after=%ff",
    ] {
        let answer = node.client.get(path).await;
        answer.problem(400, "invalid_utf8");
    }
    let answer = node
        .client
        .get("/customers?tag=%00&operator=%0A&phone=%1F")
        .await;
    let faults = [
        "operator invalid_filter",
        "phone invalid_filter",
        "tag invalid_filter",
    ];
    assert_eq!(answer.faults(), faults);
}
