//! The HTTP API: routes, what they take and give, and what every request goes through.
//!
//! One file a resource, which declares its routes; [`table`] composes router, document and guard
//! from them. The shapes and their OpenAPI live here and nowhere else. A request passes,
//! in this order: its route is found; its token is checked against the route's role, or, on an API
//! without tokens, where it comes from; it waits for the position it asked for; the handler parses
//! it whole or refuses it with all of its faults.

mod activity;
mod backup;
mod cluster;
mod code;
mod completion;
mod customers;
mod docs;
mod endpoint;
mod error;
mod guard;
mod import;
mod input;
mod listen;
mod mailings;
mod messages;
mod node;
mod origin;
mod places;
mod problems;
mod stats;
mod table;

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
    middleware,
    response::{IntoResponse, Response},
};
use notty_raft::{Applied, Clock, Node, ProposeError};
use notty_storage::{Command, Error, Intent, Origin, Reader, query};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::{runtime::RuntimeFlavor, sync::Semaphore};

pub use code::Code;
pub use docs::openapi;
pub use error::{ApiError, Fault, Problem};
pub use guard::Tokens;
pub use import::{IMPORT_COLUMNS, check_import_row};
pub use listen::{CONNECTIONS, Routes, serve};

use self::{guard::Guard, table::RouteTable};
use crate::{metrics::Metrics, moderation::Moderation};

/// How long a write may take before its outcome counts as unknown.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// Characters of an `Idempotency-Key`, at most.
const KEY_CHARS: usize = 255;

/// Long questions at work at once, over the process: the log's writes need threads of the same
/// kind, and must never stand in a row behind lists.
static SCANS: Semaphore = Semaphore::const_new(16);

/// What the handlers work with.
pub struct ApiParts {
    /// The node.
    pub node: Arc<Node>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Who may use it.
    pub tokens: Tokens,
    /// The check for explicit language; none: switched off.
    pub moderation: Option<Moderation>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What a preview's duration is worked out from.
    pub pace: Pace,
}

/// What a preview's duration is worked out from.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Messages a second over the whole cluster; 0: no limit.
    pub rate_limit: u32,
    /// Requests in flight.
    pub concurrency: usize,
}

/// Shared by all handlers.
pub(crate) type Api = Arc<ApiParts>;

/// An answer.
pub(crate) type Answer = Result<Response, ApiError>;

impl ApiParts {
    /// Asks the state, and notes the position that the answer reflects.
    fn ask<T>(
        &self,
        question: impl FnOnce(&Reader<'_>) -> Result<T, Error>,
    ) -> Result<T, ApiError> {
        let view = self.node.view();
        let answer = self.node.checked(question(&view.read()))?;
        Ok(answer)
    }

    /// Asks the state for a long count, part by part: all of one position, with entries going on
    /// between the parts. In one look where too much changes meanwhile.
    fn count<C: query::Parts>(
        &self,
        begin: impl Fn(&Reader<'_>) -> Result<C, Error>,
    ) -> Result<C, ApiError> {
        let view = self.node.view();
        let (pin, count) = view.pin(&begin);
        let mut count = self.node.checked(count)?;
        while let Some(reader) = pin.read() {
            if !self.node.checked(count.part(&reader))? {
                return Ok(count);
            }
        }
        let reader = view.read();
        let mut count = self.node.checked(begin(&reader))?;
        while self.node.checked(count.part(&reader))? {}
        Ok(count)
    }

    /// Puts questions that look at much on a thread that nobody else waits for. Each of them should
    /// let the reader go soon, so that entries never wait for long.
    async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let place = SCANS.acquire().await;
        let api = self.clone();
        if tokio::runtime::Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
            // In a simulation all is done on one thread.
            return work(&api);
        }
        let worked = tokio::task::spawn_blocking(move || {
            // Held until the work has ended, also where the client does not wait for it.
            let _place = place;
            work(&api)
        });
        worked.await.unwrap_or_else(|_| {
            let detail = "the work on this answer ended early; the node's log says why";
            Err(ApiError::new(Code::StorageFault, detail))
        })
    }

    /// Has a command executed; an outcome that does not come in time is unknown.
    async fn write<A: Intent>(&self, command: Command<A>) -> Result<Applied<A::Reply>, ApiError> {
        let proposed = tokio::time::timeout(WRITE_TIME, self.node.propose(command)).await;
        Ok(proposed.unwrap_or(Err(ProposeError::Unknown))?)
    }
}

/// A body with the position it reflects.
fn reply<T: Serialize>(status: StatusCode, index: u64, body: &T) -> Response {
    let mut response = (status, Json(body)).into_response();
    response
        .headers_mut()
        .insert(error::NOTTY_INDEX, index.into());
    response
}

/// No body, with the position it reflects.
fn done(index: u64) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    response
        .headers_mut()
        .insert(error::NOTTY_INDEX, index.into());
    response
}

/// A client's `Idempotency-Key`, before it is bound to a request.
pub(crate) struct IdempotencyKey {
    key: Option<String>,
    route: String,
    caller: String,
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let caller = parts
            .extensions
            .get::<guard::Caller>()
            .map(|caller| caller.0.clone());
        let route = format!("{} {}", parts.method, parts.uri.path());
        let wrong = || {
            let detail = format!("an Idempotency-Key has 1 to {KEY_CHARS} visible characters");
            ApiError::invalid(vec![Fault::new(
                "Idempotency-Key",
                Code::InvalidKey,
                detail,
            )])
        };
        let key = match parts.headers.get("idempotency-key") {
            None => None,
            Some(value) => {
                let text = value.to_str().map_err(|_| wrong())?.trim();
                if text.is_empty() || text.len() > KEY_CHARS {
                    return Err(wrong());
                }
                Some(text.to_owned())
            }
        };
        Ok(Self {
            key,
            route,
            caller: caller.unwrap_or_default(),
        })
    }
}

impl IdempotencyKey {
    /// The command with its origin: the key, bound to the caller, the route and the body. Only a
    /// POST can be repeated by key: the other methods can be repeated as they are.
    fn bind<A>(&self, action: A, body: &[u8]) -> Command<A> {
        let command = Command::new(action);
        let Some(key) = self
            .key
            .as_ref()
            .filter(|_| self.route.starts_with("POST "))
        else {
            return command;
        };
        let key = digest(&[self.caller.as_bytes(), key.as_bytes()]);
        let request = digest(&[self.route.as_bytes(), body]);
        let caller = u128::from_be_bytes(digest(&[self.caller.as_bytes()])) as u64;
        command.by(Origin::Client {
            key,
            request,
            caller,
        })
    }
}

fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut short = [0; 16];
    short.copy_from_slice(&hash.finalize()[..16]);
    short
}

/// The whole API.
pub fn router(parts: ApiParts) -> Router {
    let api: Api = Arc::new(parts);
    let (router, admissions) = RouteTable::new().compose();
    let guard = Arc::new(Guard {
        api: api.clone(),
        admissions,
    });

    router
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .with_state(api)
}

async fn unknown_route() -> ApiError {
    let detail = "there is no such route; /docs lists all of them";
    ApiError::new(Code::UnknownRoute, detail)
}

async fn wrong_method() -> ApiError {
    let detail = "this route has no such method; /docs lists all of them";
    ApiError::new(Code::MethodNotAllowed, detail)
}

/// Where a thing that was just created is.
fn with_location(mut response: Response, path: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(path) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}
