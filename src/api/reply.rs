//! Successful responses: a body, or none, with the position of the log that it reflects.
//!
//! Errors are built in [`error`](super::error).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::error::{ApiError, NOTTY_INDEX};

/// The result of every handler.
pub(super) type ApiResult = Result<Response, ApiError>;

/// A response with a JSON body, and the position that the body reflects.
pub(super) fn reply<T: Serialize>(status: StatusCode, index: u64, body: &T) -> Response {
    at_position((status, Json(body)), index)
}

/// A response without a body, after a write at a position.
pub(super) fn done(index: u64) -> Response {
    at_position(StatusCode::NO_CONTENT, index)
}

/// The response with the header that names the position.
fn at_position(content: impl IntoResponse, index: u64) -> Response {
    let mut response = content.into_response();
    response.headers_mut().insert(NOTTY_INDEX, index.into());
    response
}

/// The bodies of a page's items.
pub(super) fn to_bodies<T, B: From<T>>(items: Vec<T>) -> Vec<B> {
    items.into_iter().map(B::from).collect()
}

/// Adds the path of a resource that was just created: that of its collection, and its id.
pub(super) fn with_location(mut response: Response, collection: &str, id: &str) -> Response {
    // An id may have letters that no header and no path has as they are.
    let encoded: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    let path = format!("{collection}/{encoded}");
    if let Ok(value) = HeaderValue::from_str(&path) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}
