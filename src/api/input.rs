//! Request input: JSON bodies and query parameters, checked field by field, so that one answer lists
//! all faults of a request.
//!
//! [`fields`] takes the fields of an object or a row, [`body`] reads bodies, [`params`] takes the
//! parameters of a path and a query. Here is the little that they share.

mod body;
mod fields;
mod params;

pub(super) use self::{
    body::{JsonBody, OptionalJsonBody, content_type, drain, read_body},
    fields::Fields,
    params::{Params, PathId},
};
use super::error::{FieldFault, InvalidValue};

/// Parses a number in its only form: digits, no sign, no leading zero. So that one id has one path.
pub(super) fn number(text: &str) -> Option<u64> {
    text.parse()
        .ok()
        .filter(|number: &u64| number.to_string() == text)
}

/// The id of a thing whose body has none. Drawn before the write is proposed, because all nodes must
/// apply the same id.
pub(super) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// The value that was parsed; `None`, with its fault noted, if parsing failed.
fn noted<T, E: Into<InvalidValue>>(
    faults: &mut Vec<FieldFault>,
    field: &str,
    parsed: Result<T, E>,
) -> Option<T> {
    let noting = |wrong: E| faults.push(FieldFault::of(field, wrong.into()));
    parsed.map_err(noting).ok()
}
