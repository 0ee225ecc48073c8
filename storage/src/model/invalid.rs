//! The one error of parsing a domain value.

/// Why a value was refused: a stable code for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Invalid {
    /// Stable name of the fault, like `invalid_phone`.
    pub code: &'static str,
    /// What is wrong and what would be right. Never repeats a phone number or a text.
    pub detail: String,
}

impl Invalid {
    /// Makes one.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}
