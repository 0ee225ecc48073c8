//! Talking to a running notty: JSON over its API, problems as errors.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::{address::HttpUrl, config::ConfigError};

/// Time limit of an answer.
const ANSWER: Duration = Duration::from_secs(30);

/// The longest time in which a node takes nothing of an upload: it waits for a new leader meanwhile.
const STANDSTILL: Duration = Duration::from_secs(120);
/// Time for which a connection is kept between two requests. A node closes it after 10 s, and a request
/// that begins at that moment would fail.
const KEPT: Duration = Duration::from_secs(5);

/// Time limit of a change of the cluster: a removed node hands back its messages first.
const CHANGE: Duration = Duration::from_secs(90);

/// Time limit of an answer about readiness: the node itself waits half a second for its leader.
const READINESS: Duration = Duration::from_secs(1);

/// A client of one API.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    api: String,
    token: Option<String>,
}

/// The problem (RFC 9457) in the answer to a rejected request.
#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    field: String,
    detail: String,
}

impl Client {
    /// For an API; the token comes from `NOTTY_TOKEN`.
    pub(super) fn new(api: &str) -> anyhow::Result<Self> {
        check_url(api)?;

        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(Duration::from_secs(5))
            .pool_idle_timeout(KEPT)
            .tcp_user_timeout(STANDSTILL)
            .build()?;
        let token = std::env::var("NOTTY_TOKEN")
            .ok()
            .filter(|token| !token.is_empty());
        Ok(Self {
            http,
            api: api.trim_end_matches('/').to_owned(),
            token,
        })
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.api));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Response> {
        let response = request.send().await.map_err(|error| {
            let cause = innermost(&error);
            anyhow!(
                "{} cannot be reached ({cause}); start the node, or correct --api",
                self.api
            )
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(response).await.into())
    }

    /// A JSON answer to a GET.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.request(Method::GET, path).timeout(ANSWER);
        json(self.send(request).await?).await
    }

    /// A JSON answer to a POST.
    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.request(Method::POST, path).json(body).timeout(ANSWER);
        json(self.send(request).await?).await
    }

    /// A JSON answer to a PUT, which may take as long as a change of the cluster may.
    pub(super) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.request(Method::PUT, path).json(body).timeout(CHANGE);
        json(self.send(request).await?).await
    }

    /// The answer to a DELETE, which may take as long.
    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.request(Method::DELETE, path).timeout(CHANGE);
        json(self.send(request).await?).await
    }

    /// Streams a body up; no time limit, because it may be of any size.
    pub(super) async fn upload(
        &self,
        path: &str,
        kind: &str,
        body: reqwest::Body,
    ) -> anyhow::Result<Value> {
        let request = self
            .request(Method::POST, path)
            .header("content-type", kind)
            .body(body);
        json(self.send(request).await?).await
    }

    /// Streams a body down; no time limit, because it may be of any size.
    pub(super) async fn download(&self, path: &str) -> anyhow::Result<Response> {
        self.send(self.request(Method::GET, path)).await
    }

    /// Returns `true` if the node is ready.
    pub(super) async fn is_ready(&self) -> bool {
        self.check_ready().await.is_ok()
    }

    /// Fails with the reason if the node is not ready, or does not answer.
    pub(super) async fn check_ready(&self) -> anyhow::Result<()> {
        let request = self.request(Method::GET, "/readyz").timeout(READINESS);
        self.send(request).await.map(drop)
    }

    /// Waits until the node is ready.
    pub(super) async fn await_ready(&self, at_most: Duration) -> anyhow::Result<()> {
        let until = tokio::time::Instant::now() + at_most;
        while !self.is_ready().await {
            if tokio::time::Instant::now() > until {
                bail!("{} is not ready after {} s", self.api, at_most.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

fn check_url(api: &str) -> Result<(), ConfigError> {
    let Err(fault) = HttpUrl::parse(api) else {
        return Ok(());
    };
    // A password in it must not be shown.
    let shown = if api.contains('@') {
        "the URL"
    } else {
        &format!("`{api}`")
    };
    Err(ConfigError(format!(
        "--api (or NOTTY_API): {shown} {fault}; use a URL like http://127.0.0.1:8080"
    )))
}

async fn json(response: Response) -> anyhow::Result<Value> {
    if response.status() == StatusCode::NO_CONTENT {
        return Ok(Value::Null);
    }
    response
        .json()
        .await
        .context("the answer is not JSON: is --api the API of a notty node?")
}

/// That the API refused, and what it said.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
pub(super) struct Refusal {
    status: StatusCode,
    said: String,
}

impl Refusal {
    /// Returns `true` if a retry can help: the node or its cluster cannot answer at the moment.
    pub(super) fn may_pass(&self) -> bool {
        self.status.is_server_error() || self.status == StatusCode::TOO_MANY_REQUESTS
    }
}

/// Names the value that the API rejected. Other errors are about no value, and stay as they are.
pub(super) fn naming(what: &str, value: &str) -> impl FnOnce(anyhow::Error) -> anyhow::Error {
    let name = format!("{what} `{value}`");
    move |error| match error.downcast_ref::<Refusal>() {
        Some(refusal) if refusal.status.is_client_error() => error.context(name),
        _ => error,
    }
}

async fn refusal(response: Response) -> Refusal {
    let status = response.status();
    let said = match response.json::<Problem>().await {
        Ok(problem) if problem.errors.len() > 1 => {
            let faults = problem
                .errors
                .iter()
                .map(|f| format!("{}: {}", f.field, f.detail));
            format!(
                "{}: {}",
                problem.code,
                faults.collect::<Vec<_>>().join("; ")
            )
        }
        Ok(problem) => format!("{}: {}", problem.code, problem.detail),
        Err(_) => format!(
            "the API answered {status} without the problem that notty returns; is --api the API of a \
             notty node?"
        ),
    };
    Refusal { status, said }
}

/// The last source of an error, which names the cause.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// A count out of a JSON object.
pub(super) fn count(value: &Value, field: &str) -> u64 {
    value.get(field).and_then(Value::as_u64).unwrap_or(0)
}
