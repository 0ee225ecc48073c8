//! The HTTP API: its routes, its request and response bodies, and the checks of every request.
//!
//! Each resource has one file, which declares its routes; [`table`] composes router, OpenAPI
//! document and guard from them. Bodies and their OpenAPI descriptions exist here and nowhere else.
//!
//! A request passes these steps in order: its route is found; its token is checked against the role
//! of the route, or, on an API without tokens, its origin is checked; it waits for the position that
//! it asked for; the handler parses it as a whole, or rejects it with all of its faults.

mod activity;
mod allowed;
mod backup;
mod cluster;
mod code;
mod completion;
mod customers;
mod docs;
mod endpoint;
mod error;
mod examples;
mod guard;
mod idempotency;
mod import;
mod input;
mod listen;
mod mailings;
mod messages;
mod node;
mod origin;
mod parts;
mod places;
mod problems;
mod receipts;
mod reply;
mod stats;
mod table;
mod times;
mod watched;

use std::sync::Arc;

use axum::{
    Router,
    extract::MatchedPath,
    http::header,
    middleware,
    response::{IntoResponse, Response},
};

pub use code::Code;
pub use docs::openapi;
pub use error::{ApiError, FieldFault, ProblemBody};
pub use guard::Tokens;
pub use import::{IMPORT_COLUMNS, check_import_row};
pub use listen::{CONNECTIONS, ServedRoutes, serve};
pub use parts::{ApiParts, SendingCapacity};
pub(crate) use times::parse_time;

use self::{
    allowed::AllowedMethods,
    guard::Guard,
    idempotency::IdempotencyKey,
    parts::{Api, WRITE_TIME},
    reply::{ApiResult, done, reply, to_bodies, with_location},
    table::RouteTable,
};

/// Builds the router of the whole API.
pub fn router(parts: ApiParts) -> Router {
    let api: Api = Arc::new(parts);
    let table = RouteTable::new();
    let allowed = Arc::new(table.allowed());
    let (router, admissions) = table.compose();
    let guard = Arc::new(Guard {
        api: api.clone(),
        admissions,
    });

    // The guard comes last, and so stands around the fallbacks too: a request without a route needs a
    // token like any other.
    router
        .fallback(unknown_route)
        .method_not_allowed_fallback(move |path| wrong_method(allowed.clone(), path))
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .with_state(api)
}

async fn unknown_route() -> ApiError {
    let detail = "there is no such route; /docs lists all of them";
    ApiError::new(Code::UnknownRoute, detail)
}

async fn wrong_method(allowed: Arc<AllowedMethods>, path: MatchedPath) -> Response {
    let detail = "this route has no such method; /docs lists all of them";
    let mut answer = ApiError::new(Code::MethodNotAllowed, detail).into_response();
    // Without a header of ours the router adds its own.
    if let Some(methods) = allowed.header(path.as_str()) {
        answer.headers_mut().insert(header::ALLOW, methods);
    }
    answer
}
