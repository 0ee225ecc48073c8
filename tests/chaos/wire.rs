//! Requests to the nodes, and what is known after each: that it was executed, that it was not, or
//! neither.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::support::{Answer, Client};

/// How long an answer may take; a node that is frozen meanwhile is thawed long before.
const PATIENCE: Duration = Duration::from_secs(40);

/// What is known after a request.
#[derive(Debug)]
pub enum Outcome {
    /// It was executed, or read, at this position.
    Acked { index: u64, body: Value },
    /// It was refused for good: 4xx.
    Refused {
        status: u16,
        code: String,
        body: Value,
    },
    /// It was certainly not executed.
    Not,
    /// It may have been executed, or may yet be.
    Unknown,
}

/// Sends a request.
pub async fn call(client: &Client, request: RequestBuilder) -> Outcome {
    match client.try_send(request.timeout(PATIENCE)).await {
        Ok(answer) => judge(&answer),
        Err(error) if error.is_connect() => Outcome::Not,
        Err(_) => Outcome::Unknown,
    }
}

/// A request with JSON.
pub async fn send(client: &Client, method: Method, path: &str, body: Option<&Value>) -> Outcome {
    let request = client.request(method, path);
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    call(client, request).await
}

fn judge(answer: &Answer) -> Outcome {
    let body = serde_json::from_str(&answer.text).unwrap_or(Value::Null);
    let code = body["code"].as_str().unwrap_or_default().to_owned();
    let index = answer.header("notty-index").parse().unwrap_or(0);
    match answer.status.as_u16() {
        200..300 => Outcome::Acked { index, body },
        status @ 400..500 => Outcome::Refused { status, code, body },
        503 => Outcome::Not,
        504 => Outcome::Unknown,
        status => panic!("an answer of status {status}: {answer:?}"),
    }
}
