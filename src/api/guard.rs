//! The checks of every request before its handler: its token or its origin, and the position it
//! waits for.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use notty_raft::ProposeError;
use subtle::ConstantTimeEq;

use super::{
    Api,
    code::Code,
    endpoint::Access,
    error::{ApiError, Fault, NOTTY_INDEX},
    input::drain,
    origin,
    table::{Admission, Admissions},
};
use crate::config::TokenConfig;

/// The longest wait for the position that a request asks for.
const WAIT: Duration = Duration::from_secs(5);
/// For how long a leader is looked for that is sure to lead, and between two looks.
const SURE: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(50);

/// The tokens of the API; without any, everyone on this machine may use it.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Vec<TokenConfig>);

/// The guard before all routes.
pub(super) struct Guard {
    pub(super) api: Api,
    pub(super) admissions: Admissions,
}

/// The name of the token that a request carries; empty without tokens.
#[derive(Clone, Debug)]
pub(super) struct Caller(pub(super) String);

impl Tokens {
    /// The tokens of the configuration.
    pub fn new(tokens: Vec<TokenConfig>) -> Self {
        Self(tokens)
    }

    /// The owner of a token. Compares in constant time, all tokens each time.
    fn find(&self, given: &str) -> Option<&TokenConfig> {
        let same = |token: &&TokenConfig| {
            bool::from(token.token.expose().as_bytes().ct_eq(given.as_bytes()))
        };
        self.0.iter().fold(
            None,
            |found, token| if same(&token) { Some(token) } else { found },
        )
    }
}

fn authorize(api: &Api, request: &Request, admission: Admission) -> Result<Caller, ApiError> {
    if api.tokens.0.is_empty() {
        origin::check(
            request.method(),
            request.uri(),
            request.headers(),
            admission,
        )?;
        return Ok(Caller(String::new()));
    }
    let Access::Needs(role) = admission.access else {
        return Ok(Caller(String::new()));
    };

    let given = request.headers().get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.to_str().ok()?.split_once(' '));
    let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some(token) = given.and_then(|(_, given)| api.tokens.find(given.trim())) else {
        let detail = if given.is_some() {
            "this token is not one of those that are configured ([api] tokens)"
        } else {
            "a token is needed: Authorization: Bearer {token}; the command line takes it from \
             NOTTY_TOKEN"
        };
        let error = ApiError::new(Code::Unauthorized, detail);
        let scheme = HeaderValue::from_static("Bearer");
        return Err(error.with_header(header::WWW_AUTHENTICATE, scheme));
    };
    if token.role < role {
        let detail = format!("the role of token `{}` does not allow this", token.name);
        return Err(ApiError::new(Code::Forbidden, detail));
    }
    Ok(Caller(token.name.clone()))
}

/// Waits until the state reflects what the request asks for.
async fn await_position(api: &Api, headers: HeaderMap, uri: Uri) -> Result<(), ApiError> {
    if !api.node.has_caught_up() {
        let detail = "the node still applies what it knew before it was started";
        return Err(ApiError::new(Code::NotReady, detail).retry_after(1));
    }
    if let Some(value) = headers.get("notty-min-index") {
        let index = value
            .to_str()
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok());
        let Some(index) = index else {
            let detail = "the Notty-Index of an answer is needed";
            let fault = Fault::new("Notty-Min-Index", Code::InvalidIndex, detail);
            return Err(ApiError::invalid(vec![fault]));
        };
        if !api.node.wait_applied(index, WAIT).await {
            let detail = format!("this node has not applied position {index} yet");
            return Err(ApiError::new(Code::IndexNotReached, detail).retry_after(1));
        }
    }
    let query = uri.query().unwrap_or_default();
    for (_, value) in form_urlencoded::parse(query.as_bytes()).filter(|(n, _)| n == "consistency") {
        match &*value {
            "linearizable" => linearize(api).await?,
            _ => {
                let detail = "the only consistency that can be asked for is `linearizable`";
                let fault = Fault::new("consistency", Code::InvalidConsistency, detail);
                return Err(ApiError::invalid(vec![fault]));
            }
        }
    }
    Ok(())
}

/// Waits until the state here reflects all that was acknowledged. A leader that could not make sure
/// of a majority in time, as on a busy machine, or has just gone is asked again for a while.
async fn linearize(api: &Api) -> Result<(), ProposeError> {
    let until = tokio::time::Instant::now() + SURE;
    loop {
        match api.node.linearize().await {
            Err(ProposeError::NoLeader) if tokio::time::Instant::now() < until => {
                tokio::time::sleep(AGAIN).await;
            }
            answer => return answer,
        }
    }
}

/// Checks a request, passes it on, and counts it.
pub(super) async fn check(
    State(guard): State<Arc<Guard>>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let Guard { api, admissions } = &*guard;
    let method = request.method().to_string();
    let matched = request
        .extensions()
        .get::<MatchedPath>()
        .map(MatchedPath::as_str);
    let admission = admissions.find(request.method(), matched);
    let route = matched.unwrap_or("unknown").to_owned();

    let checked = match authorize(api, &request, admission) {
        // Nobody without a token has the node wait, or ask the leader.
        Ok(caller) if admission.is_open() => Ok(caller),
        Ok(caller) => {
            let headers = request.headers().clone();
            let uri = request.uri().clone();
            await_position(api, headers, uri).await.map(|()| caller)
        }
        Err(error) => Err(error),
    };
    // Taken before the state is read: the answer reflects at least this.
    let index = api.node.applied_index();
    let mut response = match checked {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => {
            drain(request.into_body()).await;
            error.into_response()
        }
    };
    response
        .headers_mut()
        .entry(NOTTY_INDEX)
        .or_insert_with(|| index.into());

    let status = response.status();
    api.metrics
        .requested(&method, &route, status.as_u16(), began.elapsed());
    // That a node is not ready yet is what its probes ask; it is said every time they do.
    if status.is_server_error() && route != "/readyz" {
        tracing::warn!(
            method,
            route,
            status = status.as_u16(),
            "a request could not be served"
        );
    }
    response
}
