//! The errors of the API: RFC 9457 problems, each with a stable code.
//!
//! The codes, with their statuses and meanings, are in [`code`](super::code); this file makes
//! responses of them, and of the errors that the node and the state return.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use notty_raft::{ChangeError, ProposeError, TimeLead};
use notty_storage::{Rejection, model::Invalid};
use serde::Serialize;
use utoipa::ToSchema;

use super::code::Code;

/// Header with the position of the log that an answer reflects.
pub(super) const NOTTY_INDEX: HeaderName = HeaderName::from_static("notty-index");

/// One fault of a request: the field, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Fault)]
pub struct FieldFault {
    /// Name of the field; empty if the fault is that of the whole body.
    #[schema(example = "phone")]
    pub field: String,
    /// Stable name of the fault, for programs.
    #[schema(value_type = String, example = "invalid_phone")]
    pub code: Code,
    /// The fault and its remedy in words, for people.
    #[schema(example = "a phone number is `+` and 10 to 15 digits, like +79161112233")]
    pub detail: String,
}

impl FieldFault {
    pub(super) fn new(field: &str, code: Code, detail: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            code,
            detail: detail.into(),
        }
    }

    pub(super) fn of(field: &str, wrong: InvalidValue) -> Self {
        Self::new(field, wrong.code, wrong.detail)
    }

    /// The field and its fault, for people.
    pub(super) fn in_words(&self) -> String {
        format!("{}: {}", self.field, self.detail)
    }
}

/// The reason why a value was refused, before its field is known.
#[derive(Clone, Debug)]
pub(crate) struct InvalidValue {
    code: Code,
    detail: String,
}

impl InvalidValue {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

impl From<InvalidValue> for String {
    fn from(invalid: InvalidValue) -> Self {
        invalid.detail
    }
}

impl From<Invalid> for InvalidValue {
    fn from(invalid: Invalid) -> Self {
        Self {
            code: Code::from(&invalid),
            detail: invalid.detail,
        }
    }
}

/// An error as RFC 9457 defines it ("problem details").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Always `about:blank`: `code` names the error.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    pub kind: String,
    /// Name of the HTTP status.
    #[schema(example = "Bad Request")]
    pub title: String,
    /// The HTTP status code.
    #[schema(example = 400)]
    pub status: u16,
    /// Stable name of the fault, for programs.
    #[schema(value_type = String, example = "invalid_phone")]
    pub code: Code,
    /// The fault and its remedy in words, for people.
    #[schema(example = "a phone number is `+` and 10 to 15 digits, like +79161112233")]
    pub detail: String,
    /// All faults of a request that did not pass validation; absent for other errors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldFault>,
}

impl ProblemBody {
    pub(super) fn of(code: Code, detail: String, errors: Vec<FieldFault>) -> Self {
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

/// An error response that is not sent yet.
#[derive(Clone, Debug)]
pub struct ApiError {
    code: Code,
    detail: String,
    errors: Vec<FieldFault>,
    /// Seconds after which the client may try again.
    retry_after: Option<u32>,
    /// Position of the entry that was rejected.
    index: Option<u64>,
    /// One more header of the response.
    extra_header: Option<(HeaderName, HeaderValue)>,
}

impl ApiError {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            code,
            detail,
            errors: Vec::new(),
            retry_after: None,
            index: None,
            extra_header: None,
        }
    }

    /// An error that passes soon: the client may try again in a second.
    pub(super) fn unavailable(code: Code, detail: impl Into<String>) -> Self {
        Self::new(code, detail).retry_after(1)
    }

    /// Rejects a request for the fault of one field.
    pub(super) fn invalid_field(field: &str, code: Code, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldFault::new(field, code, detail)])
    }

    /// Rejects a request for all of its faults, of which there must be at least one.
    pub(super) fn invalid(errors: Vec<FieldFault>) -> Self {
        // No caller passes an empty list. If one did, this answer would be the least wrong one.
        let known = errors.first().cloned();
        let first = known.unwrap_or_else(|| FieldFault::new("", Code::InvalidJson, "invalid"));

        let detail = match errors.len() {
            0 | 1 if first.field.is_empty() => first.detail,
            0 | 1 => first.in_words(),
            n => format!("{n} fields are wrong, the first: {}", first.in_words()),
        };

        Self {
            errors,
            ..Self::new(first.code, detail)
        }
    }

    /// Adds to the detail what more there is to know.
    pub(super) fn and_says(self, more: &str) -> Self {
        Self {
            detail: format!("{}; {more}", self.detail),
            ..self
        }
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("no {what} is there with this id"))
    }

    pub(super) fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self {
            extra_header: Some((name, value)),
            ..self
        }
    }

    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    /// Adds the reason to an end that has passed by the cluster's time alone, after a clock that was wrong.
    pub(super) fn explained_by(mut self, lead: Option<TimeLead>) -> Self {
        let (Code::EndPassed, Some(lead)) = (self.code, lead) else {
            return self;
        };
        self.detail = format!("{}: {lead}", self.detail);
        for fault in &mut self.errors {
            fault.detail = format!("{}: {lead}", fault.detail);
        }
        self
    }

    fn rejected(rejection: &Rejection, index: u64) -> Self {
        let code = Code::from(rejection);
        let mut error = Self::new(code, rejection.to_string());
        error.index = Some(index);

        // Found by the state alone, and still the fault of a field.
        if *rejection == Rejection::EndPassed {
            error
                .errors
                .push(FieldFault::new("end", code, rejection.to_string()));
        }
        error.retried_if_unavailable()
    }

    /// Adds `Retry-After` to an error with the status 503, which is a matter of a moment.
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
        let unavailable = |code| Self::unavailable(code, error.to_string());
        match &error {
            ProposeError::Rejected { rejection, index } => Self::rejected(rejection, *index),
            ProposeError::NoLeader => unavailable(Code::NoLeader),
            ProposeError::UnexpectedReply => Self::new(Code::UnexpectedReply, error.to_string()),
            ProposeError::Overloaded => unavailable(Code::Overloaded),
            ProposeError::Stopped => unavailable(Code::Stopping),

            // Without `Retry-After`: the write may have been executed, and only a key makes a repeat safe.
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
        tracing::error!(%error, "a request failed because the state could not be read");
        let detail = "this node could not read its state; its log says why";
        Self::new(Code::StorageFault, detail)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let problem = ProblemBody::of(self.code, self.detail, self.errors);
        let mut response = (status, Json(problem)).into_response();

        let headers = response.headers_mut();
        // The body has set the type of plain JSON.
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);

        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(index) = self.index {
            headers.insert(NOTTY_INDEX, index.into());
        }
        if let Some((name, value)) = self.extra_header {
            headers.insert(name, value);
        }
        response
    }
}
