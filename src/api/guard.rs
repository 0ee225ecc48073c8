//! The checks of every request before its handler: its token or its origin, and the position of the
//! log that it waits for. Every request is counted here too, also one that is rejected.
//!
//! Roles are declared with the routes and come from the [table](super::table); the rules for an API
//! without tokens are in [`origin`].

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use notty_raft::ProposeError;
use subtle::ConstantTimeEq;

use super::{
    Api,
    code::Code,
    endpoint::Access,
    error::{ApiError, NOTTY_INDEX},
    input::drain,
    origin,
    table::{Admission, Admissions},
};
use crate::config::TokenConfig;

/// The route that the configuration may open to everybody.
const METRICS: &str = "/metrics";
/// Routes whose failures are counted, and not logged.
const QUIET_ROUTES: [&str; 2] = ["/readyz", "/receipts/{gateway}/{id}"];
/// The longest wait for the position that a request asks for.
const POSITION_TIME: Duration = Duration::from_secs(5);
/// Time in which a linearizable read finds a leader whose majority answers.
const LINEARIZE_TIME: Duration = Duration::from_secs(1);
/// Pause between two tries of a linearizable read.
const LINEARIZE_PAUSE: Duration = Duration::from_millis(50);

/// The tokens of the API; without any, everyone on this machine may use it.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Vec<TokenConfig>);

/// The guard in front of all routes.
pub(super) struct Guard {
    pub(super) api: Api,
    pub(super) admissions: Admissions,
}

/// The name of the token that a request carries; empty without tokens.
#[derive(Clone, Debug)]
pub(super) struct CallerName(pub(super) String);

impl Tokens {
    /// The tokens of the configuration.
    pub fn new(tokens: Vec<TokenConfig>) -> Self {
        Self(tokens)
    }

    /// Finds the configured token that a caller gave.
    fn find(&self, given: &str) -> Option<&TokenConfig> {
        let mut found = None;
        // Goes through all of them every time: an early end would reveal by its time which token was
        // nearly right.
        for token in &self.0 {
            if is_same_token(token, given) {
                found = Some(token);
            }
        }
        found
    }
}

fn is_same_token(token: &TokenConfig, given: &str) -> bool {
    let expected = token.token.expose().as_bytes();
    bool::from(expected.ct_eq(given.as_bytes()))
}

/// Checks that a caller may use a route, and returns the caller's name.
fn authorize(api: &Api, request: &Request, admission: Admission) -> Result<CallerName, ApiError> {
    let nameless = CallerName(String::new());

    // Without tokens, the origin of a request is all that protects the API.
    if api.tokens.0.is_empty() {
        origin::check(
            request.method(),
            request.uri(),
            request.headers(),
            admission,
        )?;
        return Ok(nameless);
    }
    let Access::Needs(role) = admission.access else {
        return Ok(nameless);
    };
    if api.metrics_are_open && matched_path(request) == Some(METRICS) {
        return Ok(nameless);
    }

    let token = token_of(api, request.headers())?;
    if token.role < role {
        let (name, has) = (&token.name, token.role.name());
        let detail = format!(
            "the role of token `{name}` does not allow this: it is {has}, and {} is needed",
            role.name()
        );
        return Err(ApiError::new(Code::Forbidden, detail));
    }
    Ok(CallerName(token.name.clone()))
}

/// The configured token that a request carries.
fn token_of<'a>(api: &'a Api, headers: &HeaderMap) -> Result<&'a TokenConfig, ApiError> {
    let given = bearer_token(headers);
    let known = given.and_then(|given| api.tokens.find(given));
    known.ok_or_else(|| unauthorized(given.is_some()))
}

/// The token in `Authorization: Bearer {token}`.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| token.trim())
}

fn unauthorized(has_token: bool) -> ApiError {
    let detail = if has_token {
        "this token is not one of those that are configured ([api] tokens)"
    } else {
        "a token is needed: Authorization: Bearer {token}; the command line takes it from \
         NOTTY_TOKEN"
    };
    let error = ApiError::new(Code::Unauthorized, detail);
    error.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

/// Waits until the state here reflects what the request asks for.
async fn await_position(api: &Api, headers: HeaderMap, uri: Uri) -> Result<(), ApiError> {
    // Until then the state lacks writes that were acknowledged before the start.
    if !api.node.has_caught_up() {
        let reasons = api.node.reasons_of_start();
        let detail = super::node::not_ready_text(&reasons);
        return Err(ApiError::unavailable(Code::NotReady, detail));
    }

    if let Some(value) = headers.get("notty-min-index") {
        await_index(api, parse_index(value)?).await?;
    }

    let query = uri.query().unwrap_or_default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name == "consistency" {
            check_consistency(&value)?;
            linearize(api).await?;
        }
    }
    Ok(())
}

async fn await_index(api: &Api, index: u64) -> Result<(), ApiError> {
    if api.node.wait_applied(index, POSITION_TIME).await {
        return Ok(());
    }
    let detail = format!("this node has not applied position {index} yet");
    Err(ApiError::unavailable(Code::IndexNotReached, detail))
}

fn parse_index(value: &HeaderValue) -> Result<u64, ApiError> {
    let text = value.to_str().unwrap_or_default();
    let text = text.trim();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let index = text.parse().ok().filter(|_| is_plain);
    index.ok_or_else(|| {
        let detail = "the Notty-Index of an answer is needed";
        ApiError::invalid_field("Notty-Min-Index", Code::InvalidIndex, detail)
    })
}

fn check_consistency(value: &str) -> Result<(), ApiError> {
    if value == "linearizable" {
        return Ok(());
    }
    let detail = "the only consistency that can be asked for is `linearizable`";
    let code = Code::InvalidConsistency;
    Err(ApiError::invalid_field("consistency", code, detail))
}

/// Waits until the state here reflects all that was acknowledged. Tries again for a while if there is
/// no leader: on a busy machine one may need more time to hear from a majority, or a new one is being
/// elected.
pub(super) async fn linearize(api: &Api) -> Result<(), ProposeError> {
    let until = tokio::time::Instant::now() + LINEARIZE_TIME;
    loop {
        match api.node.linearize().await {
            Err(ProposeError::NoLeader) if tokio::time::Instant::now() < until => {
                tokio::time::sleep(LINEARIZE_PAUSE).await;
            }
            answer => return answer,
        }
    }
}

/// Checks a request, passes it on, and counts it.
pub(super) async fn check(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let method = request.method().to_string();
    let route = matched_path(&request).unwrap_or("unknown").to_owned();

    let response = guard.answer(request, next).await;

    let status = response.status();
    guard
        .api
        .metrics
        .requested(&method, &route, status.as_u16(), began.elapsed());
    if is_worth_a_line(&route, status) {
        tracing::warn!(
            method,
            route,
            status = status.as_u16(),
            "a request could not be served"
        );
    }
    response
}

/// True if an answer is worth a line of the log.
///
/// Probes ask for readiness all the time, and gateways send each receipt until it is taken: a node that is not
/// ready would fill the log. Metrics count both.
fn is_worth_a_line(route: &str, status: StatusCode) -> bool {
    status.is_server_error() && !QUIET_ROUTES.contains(&route)
}

/// Refuses a request. Its body is read first: a client that still sends would not see the answer.
async fn refuse(request: Request, error: ApiError) -> Response {
    drain(request.into_body()).await;
    error.into_response()
}

/// The path as the route declares it: metrics by it stay few, whatever ids clients ask for.
fn matched_path(request: &Request) -> Option<&str> {
    let matched = request.extensions().get::<MatchedPath>();
    matched.map(MatchedPath::as_str)
}

impl Guard {
    async fn answer(&self, mut request: Request, next: Next) -> Response {
        let admission = self
            .admissions
            .find(request.method(), matched_path(&request));
        let checked = match authorize(&self.api, &request, admission) {
            // A caller without a token must not be able to have the node wait, or ask the leader.
            Ok(caller) if admission.is_open() => Ok(caller),
            Ok(caller) => {
                let headers = request.headers().clone();
                let uri = request.uri().clone();
                let waited = await_position(&self.api, headers, uri).await;
                waited.map(|()| caller)
            }
            Err(error) => Err(error),
        };

        // Read before the handler reads the state: the answer reflects at least this position.
        let index = self.api.node.applied_index();
        let mut response = match checked {
            Ok(caller) => {
                request.extensions_mut().insert(caller);
                next.run(request).await
            }
            Err(error) => refuse(request, error).await,
        };

        // After a write the handler has set the position of the write, which is a later one.
        let headers = response.headers_mut();
        headers.entry(NOTTY_INDEX).or_insert_with(|| index.into());
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_anybody_can_ask_for_again_and_again_does_not_fill_the_log() {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        assert!(is_worth_a_line("/stats", unavailable));
        assert!(!is_worth_a_line("/stats", StatusCode::NOT_FOUND));
        for route in QUIET_ROUTES {
            assert!(!is_worth_a_line(route, unavailable), "{route}");
        }
        let receipts = super::super::receipts::routes();
        assert!(
            receipts
                .iter()
                .all(|endpoint| QUIET_ROUTES.contains(&&*endpoint.path))
        );
    }
}
