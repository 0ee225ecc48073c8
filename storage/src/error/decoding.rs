//! Faults of encoded bytes: damage, or the work of a newer version.

use serde::de;

/// The reason why bytes do not decode.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("it ends too early")]
    Ended,
    /// A number is too large for its field.
    #[error("{0} is too large for its field")]
    TooLarge(i128),
    /// A byte where a number must begin names no width.
    #[error("a byte where a number must begin names no width")]
    NoNumber,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// A byte must be 0 or 1.
    #[error("{0} where 0 or 1 must stand")]
    NoSwitch(u8),
    /// A struct has fields that this version does not know.
    #[error("{of} has {bytes} bytes of fields that are not known here")]
    UnknownFields {
        /// The name of the struct.
        of: &'static str,
        /// The bytes of these fields.
        bytes: usize,
    },
    /// A number stands for something that this version does not know.
    #[error("{of} has no number {number} here")]
    UnknownNumber {
        /// The name of the enum.
        of: &'static str,
        /// The number that is not known.
        number: u32,
    },
    /// The value breaks a rule of its type.
    #[error("{0}")]
    Refused(String),
}

impl DecodeError {
    /// True if a newer version may have written it: it is no damage then.
    pub fn is_newer(&self) -> bool {
        matches!(
            self,
            Self::UnknownFields { .. } | Self::UnknownNumber { .. }
        )
    }
}

impl de::Error for DecodeError {
    fn custom<T: std::fmt::Display>(what: T) -> Self {
        Self::Refused(what.to_string())
    }
}
