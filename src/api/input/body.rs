//! Bodies of requests: read within bounds of size and time, and parsed as one JSON object.
//!
//! A body that is refused is drained within bounds too, so that its client sees the answer. The single
//! fields are the business of [`Fields`].

use std::time::Duration;

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde_json::{Map, Value};

use super::fields::Fields;
use crate::api::{code::Code, error::ApiError};

/// The largest JSON body, in bytes.
const BODY_BYTES: usize = 64 * 1024;
/// Time for a JSON body to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Bytes of a refused body that are still read, at most. If the connection closed while the client
/// still sends, the client would be reset and never see the answer.
const DRAIN_BYTES: usize = 16 * 1024 * 1024;
/// Time for reading a refused body.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// A JSON object as the body of a request.
pub(in crate::api) struct JsonBody {
    pub(in crate::api) fields: Fields,
    /// The body as it was sent, which an `Idempotency-Key` is bound to.
    pub(in crate::api) bytes: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let headers = request.headers().clone();
        let bytes = read_body(request).await?;
        if bytes.is_empty() && !headers.contains_key(header::CONTENT_TYPE) {
            return Err(body_fault(Code::EmptyBody, "a JSON body is needed"));
        }
        Self::parse(&headers, bytes)
    }
}

impl JsonBody {
    fn parse(headers: &HeaderMap, bytes: Bytes) -> Result<Self, ApiError> {
        require_json(headers)?;
        let fields = parse_object(&bytes)?;
        Ok(Self { fields, bytes })
    }
}

/// A JSON object as the body, or no body at all.
pub(in crate::api) struct OptionalJsonBody(pub(in crate::api) JsonBody);

impl<S: Send + Sync> FromRequest<S> for OptionalJsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let headers = request.headers().clone();
        let bytes = read_body(request).await?;

        // Before the content type is looked at: a client that sends no body need not name a type.
        if bytes.iter().all(u8::is_ascii_whitespace) {
            let fields = Fields::new(Map::new());
            return Ok(Self(JsonBody { fields, bytes }));
        }
        JsonBody::parse(&headers, bytes).map(Self)
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = content_type(headers);
    if kind == "application/json" {
        return Ok(());
    }
    let detail = "this route takes application/json";
    Err(ApiError::new(Code::UnsupportedMediaType, detail))
}

/// The content type without its parameters, in lower case.
pub(in crate::api) fn content_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = value
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

/// Parses a body that must be one JSON object.
fn parse_object(bytes: &[u8]) -> Result<Fields, ApiError> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(values)) => Ok(Fields::new(values)),
        Ok(_) => Err(body_fault(Code::InvalidJson, "an object is needed")),
        Err(error) => {
            let detail = format!("the body is not JSON: {error}");
            Err(body_fault(Code::InvalidJson, detail))
        }
    }
}

/// A fault of the body as a whole.
fn body_fault(code: Code, detail: impl Into<String>) -> ApiError {
    ApiError::invalid_field("", code, detail)
}

/// Reads a body within bounds of size and time.
pub(in crate::api) async fn read_body(request: Request) -> Result<Bytes, ApiError> {
    let declared = content_length(request.headers());
    let mut body = request.into_body();

    // Refused by its declared length, before any of it is read.
    if declared.is_some_and(|length| length > BODY_BYTES) {
        drain(body).await;
        return Err(body_too_large());
    }

    match tokio::time::timeout(BODY_TIME, collect(&mut body)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            drain(body).await;
            Err(error)
        }

        // Not drained: a client that is so slow would hold its connection for longer still.
        Err(_) => {
            let detail = "the body did not come in time";
            Err(ApiError::new(Code::BodyTimeout, detail))
        }
    }
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    let value = headers.get(header::CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

fn body_too_large() -> ApiError {
    let detail = format!("a body of this route has at most {BODY_BYTES} bytes");
    ApiError::new(Code::BodyTooLarge, detail)
}

/// Reads a body to its end. A body without a declared length is bounded here.
async fn collect(body: &mut Body) -> Result<Bytes, ApiError> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::new(Code::BrokenBody, "the body broke off"))?;
        // Trailers are no data.
        let Ok(data) = frame.into_data() else {
            continue;
        };

        if bytes.len() + data.len() > BODY_BYTES {
            return Err(body_too_large());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// Reads and drops the rest of a body that is refused, within bounds, so that the client sees the
/// answer.
pub(in crate::api) async fn drain(mut body: Body) {
    let mut left = DRAIN_BYTES;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // The answer is sent now, even if the client still sends.
    let _ = tokio::time::timeout(DRAIN_TIME, reading).await;
}
