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

const WRITES: [(Method, &str); 17] = [
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
    (Method::POST, "/nowhere"),
];

async fn guarded() -> Node {
    Setup::new().set("NOTTY_API__TOKENS", &TOKENS.replace('\n', " ")).start().await
}

async fn ask(client: &Client, method: Method, path: &str) -> Answer {
    client.send(client.request(method, path)).await
}

#[tokio::test]
async fn without_the_right_token_nothing_but_health_is_answered() {
    let node = guarded().await;
    let reads = READS.iter().map(|path| (Method::GET, *path));
    for (method, path) in reads.chain(WRITES.clone()).chain([(Method::POST, "/mailings/preview")]) {
        let answer = ask(&node.client, method, path).await;
        answer.problem(401, "unauthorized");
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{path}");
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
        let answer = node.client.send(request.header("authorization", given)).await;
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
    let admin = node.client.with_token("admin-secret");
    assert_eq!(admin.get("/customers").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn an_operator_and_an_admin_may_write() {
    let node = guarded().await;
    for token in ["operator-secret", "admin-secret"] {
        let client = node.client.with_token(token);
        for (method, path) in WRITES {
            let status = ask(&client, method, path).await.status.as_u16();
            assert!([400, 404, 415].contains(&status), "{token} {path}: {status}");
        }
        for path in READS {
            let status = client.get(path).await.status.as_u16();
            assert!([200, 404, 400].contains(&status), "{token} {path}: {status}");
        }
        client.post("/customers", &customer("mine", json!({}))).await.expect(201);
        client.put("/customers/mine", &customer("mine", json!({}))).await.expect(200);
        client.delete("/customers/mine").await.expect(204);
        let body = mailing("mine", json!({ "start": minutes_from_now(9) }));
        client.post("/mailings", &body).await.expect(201);
        client.poke("/mailings/mine/pause").await.expect(200);
        client.delete("/mailings/mine").await.expect(204);
        client.upload("/customers/import", "text/csv", "phone\n").await.expect(200);
    }
}

#[tokio::test]
async fn an_api_without_a_token_is_not_served_to_the_outside() {
    let setup = Setup::new();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let mut command = notty();
        command.args(["serve", "--listen", address, "--data-dir"]).arg(setup.data());
        let ended = Ended::of(command.current_dir(setup.dir()));
        let line = ended.one_line(2);
        assert!(line.contains("api.listen") && line.contains("api.tokens"), "{line}");
    }
    let mut command = notty();
    command.args(["serve", "--listen", "0.0.0.0:0", "--data-dir"]).arg(setup.data());
    command.current_dir(setup.dir()).env("NOTTY_API__TOKENS", TOKENS.replace('\n', " "));
    let (_process, address) = Process::start(&mut command);
    let port = address.rsplit(':').next().expect("a port");
    let client = Client::new(&format!("http://127.0.0.1:{port}"));
    client.get("/customers").await.problem(401, "unauthorized");
}
