//! Who may do what: tokens, the three roles, and the open API.

use reqwest::Method;
use serde_json::json;

use super::customer;
use crate::support::{
    Answer, Client, Ended, Node, Process, Setup, mailing, minutes_from_now, notty,
};

const TOKENS: &str = r#"[
    { name = "ops", token = "admin-secret", role = "admin" },
    { name = "shop", token = "operator-secret", role = "operator" },
    { name = "wall", token = "reader-secret", role = "reader" } ]"#;

const READS: [&str; 26] = [
    "/customers",
    "/customers/x",
    "/customers/x/stats",
    "/mailings",
    "/mailings/x",
    "/mailings/x/stats",
    "/messages",
    "/messages/1",
    "/stats",
    "/stats/mailings/x",
    "/stats/customers/x",
    "/metrics",
    "/cluster",
    "/customer/x",
    "/customer/x/stats",
    "/sub/x",
    "/sub/x/stats",
    "/subscription/x/stats",
    "/message/1",
    "/stats/",
    "/stats/customer/x",
    "/stats/subscription/x",
    "/stats/subs/x",
    "/customers?limit=0",
    "/messages?mailing=none",
    "/nowhere",
];

const WRITES: [(Method, &str); 16] = [
    (Method::POST, "/customers"),
    (Method::PUT, "/customers/x"),
    (Method::DELETE, "/customers/x"),
    (Method::POST, "/customers/import"),
    (Method::POST, "/mailings"),
    (Method::PUT, "/mailings/x"),
    (Method::DELETE, "/mailings/x"),
    (Method::POST, "/mailings/x/pause"),
    (Method::POST, "/mailings/x/resume"),
    (Method::POST, "/mailings/x/cancel"),
    (Method::POST, "/customer"),
    (Method::POST, "/customer/x"),
    (Method::DELETE, "/customer/x"),
    (Method::POST, "/sub"),
    (Method::POST, "/sub/x"),
    (Method::DELETE, "/sub/x"),
];

/// Routes that a reader may ask by POST.
const OTHERS: [(Method, &str); 2] = [
    (Method::POST, "/mailings/preview"),
    (Method::POST, "/nowhere"),
];

async fn guarded() -> Node {
    Setup::new()
        .set("NOTTY_API__TOKENS", &TOKENS.replace('\n', " "))
        .start()
        .await
}

async fn ask(client: &Client, method: Method, path: &str) -> Answer {
    client.send(client.request(method, path)).await
}

#[tokio::test]
async fn without_the_right_token_nothing_but_health_is_answered() {
    let node = guarded().await;
    let reads = READS.iter().map(|path| (Method::GET, *path));
    for (method, path) in reads.chain(WRITES.clone()).chain(OTHERS) {
        let answer = ask(&node.client, method, path).await;
        answer.problem(401, "unauthorized");
        assert!(
            answer.header("www-authenticate").starts_with("Bearer"),
            "{path}"
        );
    }
    for given in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer admin-secre",
        "admin-secret",
        "Bearer admin-secret2",
        "Basic admin-secret",
        "Bearer admin-secret reader-secret",
    ] {
        let request = node.client.request(Method::GET, "/customers");
        let answer = node
            .client
            .send(request.header("authorization", given))
            .await;
        answer.problem(401, "unauthorized");
    }
    for path in ["/healthz", "/readyz"] {
        node.client.get(path).await.expect(200);
        node.client.with_token("wrong").get(path).await.expect(200);
    }
    let request = node.client.request(Method::GET, "/customers");
    let request = request.header("authorization", "bearer admin-secret");
    node.client.send(request).await.expect(200);
    let lines = node.stop().await.join("\n");
    assert!(!lines.contains("-secret"), "{lines}");
}

#[tokio::test]
async fn a_reader_reads_everything_and_writes_nothing() {
    let node = guarded().await;
    let reader = node.client.with_token("reader-secret");
    for path in READS {
        let status = reader.get(path).await.status.as_u16();
        assert!([200, 404, 400].contains(&status), "{path}: {status}");
    }
    for (method, path) in WRITES {
        ask(&reader, method, path).await.problem(403, "forbidden");
    }
    // Nothing is there that could be changed.
    ask(&reader, Method::POST, "/nowhere")
        .await
        .problem(404, "unknown_route");
    let admin = node.client.with_token("admin-secret");
    assert_eq!(
        admin.get("/customers").await.expect(200)["items"],
        json!([])
    );
}

#[tokio::test]
async fn an_operator_and_an_admin_may_write() {
    let node = guarded().await;
    for token in ["operator-secret", "admin-secret"] {
        let client = node.client.with_token(token);
        for (method, path) in WRITES {
            let status = ask(&client, method, path).await.status.as_u16();
            assert!(
                [400, 404, 415].contains(&status),
                "{token} {path}: {status}"
            );
        }
        for path in READS {
            let status = client.get(path).await.status.as_u16();
            assert!(
                [200, 404, 400].contains(&status),
                "{token} {path}: {status}"
            );
        }
        client
            .post("/customers", &customer("mine", json!({})))
            .await
            .expect(201);
        client
            .put("/customers/mine", &customer("mine", json!({})))
            .await
            .expect(200);
        client.delete("/customers/mine").await.expect(204);
        let body = mailing("mine", json!({ "start": minutes_from_now(9) }));
        client.post("/mailings", &body).await.expect(201);
        client.poke("/mailings/mine/pause").await.expect(200);
        client.delete("/mailings/mine").await.expect(204);
        client
            .upload("/customers/import", "text/csv", "phone\n")
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn a_backup_is_for_an_admin_alone() {
    let node = guarded().await;
    for method in [Method::GET, Method::HEAD] {
        for token in ["reader-secret", "operator-secret"] {
            let answer = ask(&node.client.with_token(token), method.clone(), "/backup").await;
            assert_eq!(answer.status.as_u16(), 403, "{token} {method}");
        }
        let answer = ask(&node.client, method, "/backup").await;
        assert_eq!(answer.status.as_u16(), 401);
    }
    let file = node.setup.dir().join("backup");
    let by = |token: &str| {
        let mut command = notty();
        command
            .arg("backup")
            .arg(&file)
            .args(["--api", node.client.base()]);
        Ended::of(command.env("NOTTY_TOKEN", token))
    };
    let refused = by("operator-secret");
    assert!(
        refused
            .one_line(1)
            .contains("does not allow this: it is operator, and admin is needed"),
        "{refused:?}"
    );
    assert!(!file.exists());
    assert_eq!(by("admin-secret").code, Some(0));
    assert!(file.exists());
}

#[tokio::test]
async fn an_api_without_a_token_is_not_served_to_the_outside() {
    let setup = Setup::new();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let mut command = notty();
        command
            .args(["serve", "--listen", address, "--data-dir"])
            .arg(setup.data());
        let ended = Ended::of(command.current_dir(setup.dir()));
        let line = ended.one_line(2);
        assert!(
            line.contains("api.listen") && line.contains("api.tokens"),
            "{line}"
        );
    }
    let mut command = notty();
    command
        .args(["serve", "--listen", "0.0.0.0:0", "--data-dir"])
        .arg(setup.data());
    command
        .current_dir(setup.dir())
        .env("NOTTY_API__TOKENS", TOKENS.replace('\n', " "));
    let (_process, address) = Process::start(&mut command);
    let port = address.rsplit(':').next().expect("a port");
    let client = Client::new(&format!("http://127.0.0.1:{port}"));
    client.get("/customers").await.problem(401, "unauthorized");
}

type Headers = &'static [(&'static str, &'static str)];

/// Headers of a request, and whether an open API shows its documentation and does anything else.
const ORIGINS: [(Headers, bool, bool); 14] = [
    (&[("host", "localhost:8080")], true, true),
    (&[("host", "127.0.0.1")], true, true),
    (
        &[("host", "[::1]:99"), ("origin", "http://[::1]:99")],
        true,
        true,
    ),
    (
        &[("host", "localhost:80"), ("sec-fetch-site", "same-origin")],
        true,
        true,
    ),
    // A name of the page's own that leads here.
    (&[("host", "rebound.example:8080")], false, false),
    (
        &[
            ("host", "rebound.example"),
            ("origin", "http://rebound.example"),
        ],
        false,
        false,
    ),
    (&[("host", "127.0.0.1.example")], false, false),
    // An address that was typed in.
    (
        &[("host", "localhost:80"), ("sec-fetch-site", "none")],
        true,
        true,
    ),
    // A page from elsewhere that sends without reading.
    (
        &[("host", "localhost:80"), ("origin", "http://shop.example")],
        true,
        false,
    ),
    (
        &[("host", "localhost:80"), ("origin", "http://localhost:81")],
        true,
        false,
    ),
    (
        &[("host", "localhost:80"), ("origin", "https://localhost:80")],
        true,
        false,
    ),
    (&[("host", "localhost:80"), ("origin", "null")], true, false),
    (
        &[("host", "localhost:80"), ("sec-fetch-site", "cross-site")],
        true,
        false,
    ),
    (
        &[("host", "localhost:80"), ("sec-fetch-site", "same-site")],
        true,
        false,
    ),
];

#[tokio::test]
async fn an_open_api_takes_nothing_from_web_pages_of_others() {
    let node = Setup::new().start().await;
    node.mail("sale", json!({ "start": minutes_from_now(9) }))
        .await;
    let ask = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let request = node.client.request(method, path);
        let request = headers
            .iter()
            .fold(request, |request, (n, value)| request.header(*n, *value));
        node.client.send(request).await
    };
    for (headers, documents, all) in ORIGINS {
        for (method, path, taken) in [
            (Method::GET, "/docs", documents),
            (Method::GET, "/openapi.json", documents),
            (Method::GET, "/customers", all),
            (Method::GET, "/stats?tag=all", all),
            (Method::GET, "/backup", all),
            (Method::POST, "/mailings/sale/pause", all),
            (Method::POST, "/mailings/sale/resume", all),
        ] {
            let answer = ask(method, path, headers).await;
            match taken {
                true => assert_eq!(answer.status.as_u16(), 200, "{headers:?}: {}", answer.text),
                false => drop(answer.problem(403, "forbidden_origin")),
            }
        }
        for path in ["/healthz", "/readyz"] {
            ask(Method::GET, path, headers).await.expect(200);
        }
    }
    // What the page of the documentation sends.
    let own = node.client.base().to_owned();
    let headers: [(&str, &str); 2] = [("origin", &own), ("sec-fetch-site", "same-origin")];
    ask(Method::POST, "/mailings/sale/cancel", &headers)
        .await
        .expect(200);
}

#[tokio::test]
async fn with_a_token_it_does_not_matter_where_a_request_comes_from() {
    let node = guarded().await;
    let client = node.client.with_token("admin-secret");
    let request = client
        .request(Method::POST, "/customers")
        .json(&customer("far", json!({})));
    let request = request
        .header("host", "notty.example")
        .header("origin", "https://shop.example");
    client.send(request).await.expect(201);
}
