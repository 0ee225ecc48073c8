//! Faults that none of the values of notty's types has.

use serde::ser;

/// The reason why a type has no stored form.
#[derive(Debug, thiserror::Error)]
pub(super) enum EncodeError {
    /// A list does not know how long it is before it has been walked.
    #[error("a list has no length")]
    NoLength,
    /// A field is left out, so that those after it would be read in its place.
    #[error("the field {0} is skipped: fields are known by their places")]
    Skipped(&'static str),
    /// A struct ends in more zeros than a reader adds again.
    #[error("a struct ends in too many zeros")]
    Zeros,
    /// The type itself refuses.
    #[error("{0}")]
    Refused(String),
}

impl ser::Error for EncodeError {
    fn custom<T: std::fmt::Display>(what: T) -> Self {
        Self::Refused(what.to_string())
    }
}
