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

use super::code::Code;

/// The position of the log that an answer reflects.
pub(super) const NOTTY_INDEX: HeaderName = HeaderName::from_static("notty-index");

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// The field; empty where it is the whole body.
    #[schema(example = "phone")]
    pub field: String,
    /// The stable name of what is wrong.
    #[schema(value_type = String, example = "invalid_phone")]
    pub code: Code,
    /// What is wrong and what would be right.
    #[schema(example = "a phone number is `+` and 10 to 15 digits, like +79161112233")]
    pub detail: String,
}

impl Fault {
    pub(super) fn new(field: &str, code: Code, detail: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            code,
            detail: detail.into(),
        }
    }

    pub(super) fn of(field: &str, wrong: Wrong) -> Self {
        Self::new(field, wrong.code, wrong.detail)
    }
}

/// Why a value was refused, before it is known of which field.
#[derive(Clone, Debug)]
pub(super) struct Wrong {
    code: Code,
    detail: String,
}

impl Wrong {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

impl From<Invalid> for Wrong {
    fn from(invalid: Invalid) -> Self {
        Self {
            code: Code::from(&invalid),
            detail: invalid.detail,
        }
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
    #[schema(value_type = String, example = "invalid_phone")]
    pub code: Code,
    /// What is wrong and what would be right.
    #[schema(example = "a phone number is `+` and 10 to 15 digits, like +79161112233")]
    pub detail: String,
    /// All faults of a request that did not pass validation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
}

impl Problem {
    pub(super) fn of(code: Code, detail: String, errors: Vec<Fault>) -> Self {
        let status = code.status();
        Self {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            code,
            detail,
            errors,
        }
    }
}

/// A refusal.
#[derive(Clone, Debug)]
pub struct ApiError {
    code: Code,
    detail: String,
    errors: Vec<Fault>,
    retry_after: Option<u32>,
    index: Option<u64>,
    more: Option<(HeaderName, HeaderValue)>,
}

impl ApiError {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            code,
            detail,
            errors: Vec::new(),
            retry_after: None,
            index: None,
            more: None,
        }
    }

    /// All faults of a request; at least one.
    pub(super) fn invalid(errors: Vec<Fault>) -> Self {
        let first = errors.first().cloned();
        // Nobody refuses a request without a fault; if somebody did, this would be the least wrong.
        let first = first.unwrap_or_else(|| Fault::new("", Code::InvalidJson, "invalid"));
        let detail = match errors.len() {
            0 | 1 if first.field.is_empty() => first.detail,
            0 | 1 => format!("{}: {}", first.field, first.detail),
            n => format!(
                "{n} fields are wrong, the first: {}: {}",
                first.field, first.detail
            ),
        };
        Self {
            errors,
            ..Self::new(first.code, detail)
        }
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("no {what} is there with this id"))
    }

    pub(super) fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self {
            more: Some((name, value)),
            ..self
        }
    }

    pub(super) fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    fn rejected(rejection: &Rejection, index: u64) -> Self {
        let code = Code::from(rejection);
        let mut error = Self::new(code, rejection.to_string());
        error.index = Some(index);

        if *rejection == Rejection::EndPassed {
            error
                .errors
                .push(Fault::new("end", code, rejection.to_string()));
        }
        error.retried_if_unavailable()
    }

    /// Unavailable is a matter of a moment: says when to try again.
    fn retried_if_unavailable(self) -> Self {
        if self.code.status() == StatusCode::SERVICE_UNAVAILABLE {
            self.retry_after(1)
        } else {
            self
        }
    }
}

impl From<ProposeError> for ApiError {
    fn from(error: ProposeError) -> Self {
        let unavailable = |code| Self::new(code, error.to_string()).retry_after(1);
        match &error {
            ProposeError::Rejected { rejection, index } => Self::rejected(rejection, *index),
            ProposeError::NoLeader => unavailable(Code::NoLeader),
            ProposeError::UnexpectedReply => Self::new(Code::UnexpectedReply, error.to_string()),
            ProposeError::Overloaded => unavailable(Code::Overloaded),
            ProposeError::Stopped => unavailable(Code::Stopping),
            ProposeError::Unknown => {
                let detail = "whether it was executed is not known; repeating it with the same \
                              Idempotency-Key is safe";
                Self::new(Code::OutcomeUnknown, detail)
            }
        }
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        Self::new(Code::from(&error), error.to_string()).retried_if_unavailable()
    }
}

impl From<notty_storage::Error> for ApiError {
    fn from(error: notty_storage::Error) -> Self {
        tracing::error!(%error, "a question could not be answered");
        let detail = "this node could not read its state; its log says why";
        Self::new(Code::StorageFault, detail)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let problem = Problem::of(self.code, self.detail, self.errors);
        let mut response = (status, Json(problem)).into_response();

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
