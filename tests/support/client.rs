//! A client of a node's API: what was answered, whole.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;

use super::{
    eventually,
    node::{SOON, mailing, sample_csv},
};

/// A client of one API.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// What was asked, for the message of a failed test.
    asked: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

/// Nodes close connections that are idle for 10 s; a request must not meet that moment.
const KEPT: Duration = Duration::from_secs(5);

/// A client that keeps so many connections open between requests.
fn http_client(kept: usize) -> reqwest::Client {
    // The command line's own choice of cryptography; installed once, whoever comes first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(kept)
        .pool_idle_timeout(KEPT)
        .build()
        .expect("a client")
}

impl Client {
    pub fn new(base: &str) -> Self {
        Self {
            http: http_client(usize::MAX),
            base: base.to_owned(),
            token: None,
        }
    }

    /// The same with a token.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// The same, with a connection of its own for each request: one that is kept between two requests may
    /// be closed by the node at the moment when the second one begins.
    pub fn with_new_connections(&self) -> Self {
        Self {
            http: http_client(0),
            ..self.clone()
        }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request to be completed by hand.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request; the answer is read whole.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        self.try_send(request).await.expect("an answer")
    }

    /// The same; an error if there is no answer.
    pub async fn try_send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
        let request = request.build()?;
        let asked = format!("{} {}", request.method(), request.url());
        let response = self.http.execute(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        Ok(Answer {
            asked,
            status,
            headers,
            text,
        })
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// Repeats a GET until the leader, which it asks first, has answered.
    pub async fn ask(&self, path: &str) -> Answer {
        eventually(path, SOON, async || {
            let answer = self.get(path).await;
            (answer.status != 503).then_some(answer)
        })
        .await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Repeats a POST under one key until a leader has answered it: on a busy machine the leader may change
    /// at any moment.
    pub async fn insist(&self, path: &str, body: &Value) -> Answer {
        static KEYS: AtomicU64 = AtomicU64::new(0);
        let key = KEYS.fetch_add(1, Ordering::Relaxed);

        eventually(path, SOON, async || {
            let request = self.request(Method::POST, path).json(body);
            let answer = self.send(request.header("Idempotency-Key", key)).await;
            // No leader, or nobody knows whether it was executed.
            (![503, 504].contains(&answer.status.as_u16())).then_some(answer)
        })
        .await
    }

    /// A POST without a body.
    pub async fn poke(&self, path: &str) -> Answer {
        self.send(self.request(Method::POST, path)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// A body of a content type.
    pub async fn upload(&self, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header("content-type", kind);
        self.send(request.body(body)).await
    }

    /// Imports sample customers `customer-1` to `customer-{count}`.
    pub async fn import(&self, count: u64) {
        let answer = self.upload("/customers/import", "text/csv", sample_csv(1, count));
        assert_eq!(answer.await.expect(200)["created"], count);
    }

    /// Creates a mailing from now on for an hour, with some fields otherwise.
    pub async fn mail(&self, id: &str, otherwise: Value) {
        let mailing = mailing(id, otherwise);
        self.insist("/mailings", &mailing).await.expect(201);
    }
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|_| panic!("{}: no JSON: {}", self.asked, self.text))
    }

    /// Its JSON, which must come with this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(
            self.status.as_u16(),
            status,
            "{}: {}",
            self.asked,
            self.text
        );
        if self.text.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }

    /// A problem (RFC 9457) of this status and code; whole.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            self.asked
        );
        assert_eq!(body["status"], status, "{}: {}", self.asked, self.text);
        assert_eq!(body["code"], code, "{}: {}", self.asked, self.text);
        for field in ["type", "title", "detail"] {
            let told = body[field].as_str().is_some_and(|text| !text.is_empty());
            assert!(told, "{}: no {field}: {}", self.asked, self.text);
        }
        body
    }

    /// The fields and codes of a problem's faults, sorted, as `field code`.
    #[track_caller]
    pub fn faults(&self) -> Vec<String> {
        let body = self.expect(400);
        let faults = body["errors"].as_array().cloned().unwrap_or_default();
        let text = |fault: &Value, name: &str| fault[name].as_str().unwrap_or_default().to_owned();
        let told = faults
            .iter()
            .map(|f| format!("{} {}", text(f, "field"), text(f, "code")));
        let mut told: Vec<_> = told.collect();
        told.sort();
        told
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}
