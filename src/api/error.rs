//! What the API says when it refuses: RFC 9457 problems with a stable code.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use notty_raft::{ChangeError, ProposeError};
use notty_storage::{Rejection, model::Invalid};
use serde::Serialize;
use utoipa::ToSchema;

/// The position of the log that an answer reflects.
pub(super) const NOTTY_INDEX: HeaderName = HeaderName::from_static("notty-index");

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// The field; empty where it is the whole body.
    #[schema(example = "phone")]
    pub field: String,
    /// The stable name of what is wrong.
    #[schema(example = "invalid_phone")]
    pub code: String,
    /// What is wrong and what would be right.
    #[schema(example = "a phone number is `+` and 10 to 15 digits, like +79161112233")]
    pub detail: String,
}

impl Fault {
    pub(super) fn new(field: &str, code: &str, detail: impl Into<String>) -> Self {
        Self { field: field.to_owned(), code: code.to_owned(), detail: detail.into() }
    }

    pub(super) fn of(field: &str, invalid: &Invalid) -> Self {
        Self::new(field, invalid.code, invalid.detail.clone())
    }
}

/// A problem as RFC 9457 has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the code says more.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    pub kind: String,
    /// The name of the status.
    #[schema(example = "Bad Request")]
    pub title: String,
    /// The status.
    #[schema(example = 400)]
    pub status: u16,
    /// The stable name of what is wrong.
    #[schema(example = "invalid_phone")]
    pub code: String,
    /// What is wrong and what would be right.
    #[schema(example = "a phone number is `+` and 10 to 15 digits, like +79161112233")]
    pub detail: String,
    /// All faults of a request that did not pass validation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
}

/// A refusal.
#[derive(Clone, Debug)]
pub struct ApiError {
    status: StatusCode,
    code: String,
    detail: String,
    errors: Vec<Fault>,
    retry_after: Option<u32>,
    index: Option<u64>,
    more: Option<(HeaderName, HeaderValue)>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            index: None,
            more: None,
        }
    }

    /// All faults of a request; at least one.
    pub(super) fn invalid(errors: Vec<Fault>) -> Self {
        let first = errors.first().cloned().unwrap_or_else(|| Fault::new("", "invalid", "invalid"));
        let detail = match errors.len() {
            0 | 1 if first.field.is_empty() => first.detail,
            0 | 1 => format!("{}: {}", first.field, first.detail),
            n => format!("{n} fields are wrong, the first: {}: {}", first.field, first.detail),
        };
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, &first.code, detail) }
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("no {what} is there with this id"))
    }

    pub(super) fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { more: Some((name, value)), ..self }
    }

    pub(super) fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    fn rejected(rejection: &Rejection, index: u64) -> Self {
        let status = match rejection {
            Rejection::CustomerNotFound | Rejection::MailingNotFound => StatusCode::NOT_FOUND,
            Rejection::EndPassed | Rejection::OutOfBounds { .. } => StatusCode::BAD_REQUEST,
            Rejection::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Rejection::TooManyKeys | Rejection::CustomerBusy => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::CONFLICT,
        };
        let mut error = Self::new(status, rejection.code(), rejection.to_string());
        error.index = Some(index);
        if *rejection == Rejection::EndPassed {
            error.errors.push(Fault::new("end", rejection.code(), rejection.to_string()));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            error.retry_after = Some(1);
        }
        error
    }
}

impl From<ProposeError> for ApiError {
    fn from(error: ProposeError) -> Self {
        let unavailable = |code: &str| {
            Self::new(StatusCode::SERVICE_UNAVAILABLE, code, error.to_string()).retry_after(1)
        };
        match &error {
            ProposeError::Rejected { rejection, index } => Self::rejected(rejection, *index),
            ProposeError::NoLeader => unavailable("no_leader"),
            ProposeError::Overloaded => unavailable("overloaded"),
            ProposeError::Stopped => unavailable("stopping"),
            ProposeError::Unknown => {
                let detail = "whether it was executed is not known; repeating it with the same \
                              Idempotency-Key is safe";
                Self::new(StatusCode::GATEWAY_TIMEOUT, "outcome_unknown", detail)
            }
        }
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        let (status, code) = match &error {
            ChangeError::NoLeader | ChangeError::HandedOver => {
                (StatusCode::SERVICE_UNAVAILABLE, "no_leader")
            }
            ChangeError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "change_under_way"),
            ChangeError::Unknown => (StatusCode::GATEWAY_TIMEOUT, "outcome_unknown"),
            ChangeError::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            ChangeError::Exists(_) | ChangeError::FormerName { .. } => {
                (StatusCode::CONFLICT, "node_exists")
            }
            ChangeError::Unreachable(_) => (StatusCode::CONFLICT, "node_unreachable"),
            ChangeError::NotEmpty(_) => (StatusCode::CONFLICT, "node_not_empty"),
            ChangeError::LastVoter(_) => (StatusCode::CONFLICT, "last_voter"),
            ChangeError::Majority(_) => (StatusCode::CONFLICT, "no_majority"),
            ChangeError::NotTransferred(_) => (StatusCode::CONFLICT, "not_transferred"),
            ChangeError::Refused(_) => (StatusCode::CONFLICT, "refused"),
        };
        let told = Self::new(status, code, error.to_string());
        match status {
            StatusCode::SERVICE_UNAVAILABLE => told.retry_after(1),
            _ => told,
        }
    }
}

impl From<notty_storage::Error> for ApiError {
    fn from(error: notty_storage::Error) -> Self {
        tracing::error!(%error, "a question could not be answered");
        let detail = "this node could not read its state; its log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "storage_fault", detail)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
            errors: self.errors,
        };
        let mut response = (self.status, Json(problem)).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(index) = self.index {
            headers.insert(NOTTY_INDEX, index.into());
        }
        if let Some((name, value)) = self.more {
            headers.insert(name, value);
        }
        response
    }
}
