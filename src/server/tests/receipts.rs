//! Receipts against a whole node, over HTTP: its gateway takes every message and loses every answer.

use notty_storage::model::{MessageId, ReceiptSecret};
use serde_json::Value;
use tokio::io::AsyncReadExt;

use super::*;
use crate::receipts::receipt_key::sign;

/// Requests that a gateway got, as texts.
type Requests = Arc<parking_lot::Mutex<Vec<String>>>;

/// A node whose messages are all in doubt, and what a gateway would know of it.
struct Stage {
    server: Server,
    secret: ReceiptSecret,
    client: reqwest::Client,
    requests: Requests,
    _dir: tempfile::TempDir,
}

/// A gateway that reads requests, and closes the connection in place of an answer.
async fn lossy_gateway() -> (String, Requests) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let requests = Requests::default();
    let heard = requests.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(hear(stream, heard.clone()));
        }
    });
    (format!("http://{address}/"), requests)
}

/// Reads one request to the end of its body, notes it, and closes the connection.
async fn hear(mut stream: tokio::net::TcpStream, heard: Requests) {
    let (mut text, mut piece) = (String::new(), [0; 4096]);
    while !text.ends_with('}') {
        match stream.read(&mut piece).await {
            Ok(length @ 1..) => text.push_str(&String::from_utf8_lossy(&piece[..length])),
            _ => return,
        }
    }
    heard.lock().push(text);
}

impl Stage {
    /// A node that has sent to so many customers; each message is unconfirmed.
    async fn with_doubts(count: u64) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut config = Config::default();
        config.node.data_dir = dir.path().join("data");
        config.postman.journal_dir = dir.path().join("journal");
        config.api.listen = "127.0.0.1:0".to_owned();
        let (url, requests) = lossy_gateway().await;
        config.gateway.url = url;
        config.node.public_url = "https://sms.example/notty/".to_owned();
        let server = Server::start(&config, Surroundings::real())
            .await
            .expect("it starts");

        let secret = || query::receipts::secret(&server.node.view().read()).expect("reads");
        let secret = until(secret).await;
        server.node.act(customers(count)).await.expect("written");
        server.node.act(mailing()).await.expect("created");

        let in_doubt = || {
            let counts = query::stats::overall(&server.node.view().read()).expect("reads");
            (counts.of(Status::Unconfirmed) == count).then_some(())
        };
        until(in_doubt).await;
        // The process does it for its commands.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build();
        Self {
            server,
            secret,
            client: client.expect("a client"),
            requests,
            _dir: dir,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
    }

    fn receipt_url(&self, id: &str, rest: &str) -> String {
        let number = id.parse().ok().and_then(MessageId::from_u64);
        let signature = sign(&self.secret, "default", number.expect("an id"));
        self.url(&format!("/receipts/default/{id}?k={signature}{rest}"))
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(self.url(path)).send().await;
        let text = answer.expect("an answer").text().await.expect("a body");
        serde_json::from_str(&text).expect("JSON")
    }

    async fn ids(&self) -> Vec<String> {
        let page = self.get("/messages?limit=1000").await;
        let items = page["items"].as_array().expect("items").iter();
        items
            .map(|item| item["id"].as_str().expect("an id").to_owned())
            .collect()
    }

    async fn status_of(&self, request: reqwest::RequestBuilder) -> u16 {
        request.send().await.expect("an answer").status().as_u16()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_settle_what_lost_answers_left_in_doubt() {
    let stage = Stage::with_doubts(6).await;
    let ids = stage.ids().await;
    let by_get = stage.receipt_url(&ids[0], "&status=delivered");
    assert_eq!(stage.status_of(stage.client.get(&by_get)).await, 204);
    assert_eq!(
        stage.status_of(stage.client.get(&by_get)).await,
        204,
        "again"
    );

    let form = [("status", "undelivered"), ("error", "34")];
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let kind = "application/x-www-form-urlencoded";
    let post = |id, body: String, kind| {
        let request = stage.client.post(stage.receipt_url(id, ""));
        request.header("content-type", kind).body(body)
    };
    let by_form = post(&ids[1], body, kind);
    assert_eq!(stage.status_of(by_form).await, 204);
    let json = r#"{"status": "sent"}"#.to_owned();
    // A gateway comes by the public name of the cluster.
    let by_json = post(&ids[2], json, "application/json").header("host", "sms.example");
    assert_eq!(stage.status_of(by_json).await, 204);

    let first = stage.get(&format!("/messages/{}", ids[0])).await;
    assert_eq!(
        (&first["status"], &first["delivery"]),
        (&"done".into(), &"delivered".into())
    );
    assert!(
        first["delivered_at"].is_string() && first["reason"].is_null(),
        "{first}"
    );
    let second = stage.get(&format!("/messages/{}", ids[1])).await;
    assert_eq!(second["reason"]["code"], "undelivered");
    assert!(
        second["reason"]["detail"]
            .as_str()
            .is_some_and(|text| text.contains("34"))
    );
    let third = stage.get(&format!("/messages/{}", ids[2])).await;
    assert_eq!(third["status"], "done");
    assert!(
        third["delivery"].is_null() && third["delivered_at"].is_null(),
        "{third}"
    );

    for path in ["/stats", "/stats?tag=%25"] {
        let stats = stage.get(path).await;
        assert_eq!(
            (&stats["done"], &stats["unconfirmed"]),
            (&3.into(), &3.into())
        );
        let delivery = serde_json::json!({ "delivered": 1, "undelivered": 1 });
        assert_eq!(stats["delivery"], delivery, "{path}");
    }
    let listed = stage.get("/messages?delivery=undelivered").await;
    assert_eq!(
        listed["items"].as_array().map(Vec::len),
        Some(1),
        "{listed}"
    );
    stage.server.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_told_where_to_report_of_each_message() {
    let stage = Stage::with_doubts(3).await;
    let requests = stage.requests.lock().clone();
    assert_eq!(requests.len(), 3);
    for request in requests {
        let mut headers = request.lines().filter_map(|line| line.split_once(": "));
        let told = headers.find(|(name, _)| *name == "notty-receipt-url");
        let (_, told) = told.expect("an address");
        let (base, path) = told.split_at("https://sms.example/notty".len());
        assert_eq!(base, "https://sms.example/notty");

        let url = stage.url(&format!("{path}&status=delivered"));
        assert_eq!(stage.status_of(stage.client.get(url)).await, 204, "{told}");
    }
    let stats = stage.get("/stats").await;
    assert_eq!(
        (&stats["done"], &stats["delivery"]["delivered"]),
        (&3.into(), &3.into())
    );
    stage.server.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_check_out_is_refused_and_counted() {
    let stage = Stage::with_doubts(2).await;
    let ids = stage.ids().await;
    let get = |url: String| stage.status_of(stage.client.get(url));
    let right = stage.receipt_url(&ids[0], "&status=delivered");

    assert_eq!(
        get(right.replace(&ids[0], &ids[1])).await,
        403,
        "another message"
    );
    assert_eq!(get(right.replace("k=1.", "k=1.A")).await, 403);
    assert_eq!(get(right.replace("?k=", "?x=")).await, 403);
    assert_eq!(get(right.replace("/default/", "/other/")).await, 404);
    assert_eq!(get(right.replace("=delivered", "=lost")).await, 400);
    let probe = stage.client.head(&right).send().await.expect("an answer");
    assert_eq!(probe.status().as_u16(), 405, "a probe is no receipt");
    assert_eq!(probe.headers()["allow"], "GET,POST");
    // Another node may have that gateway already.
    let id = ids[0].parse().ok().and_then(MessageId::from_u64);
    let of_other = sign(&stage.secret, "other", id.expect("an id"));
    let of_other = format!("/receipts/other/{}?k={of_other}&status=sent", ids[0]);
    assert_eq!(get(stage.url(&of_other)).await, 503);
    let beyond: u64 = ids[1].parse::<u64>().expect("a number") + 1;
    let unknown = stage.receipt_url(&beyond.to_string(), "&status=delivered");
    assert_eq!(get(unknown).await, 404);

    let metrics = stage.client.get(stage.url("/metrics")).send().await;
    let metrics = metrics.expect("an answer").text().await.expect("a body");
    for (why, count) in [
        ("wrong_signature", 3),
        ("unknown_gateway", 1),
        ("unreadable", 1),
        ("unknown_message", 1),
        ("purged", 0),
    ] {
        let line = format!("notty_receipts_refused_total{{why=\"{why}\"}} {count}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    for line in [
        "notty_receipts_taken_total 0",
        "notty_receipts_put_off_total 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let stats = stage.get("/stats").await;
    assert_eq!(stats["unconfirmed"], 2, "nothing was changed: {stats}");
    stage.server.stop().await.expect("it stops");
}
