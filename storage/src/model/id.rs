//! Ids that people give, and the numbers that stand for them in keys.

use serde::{Deserialize, Serialize};

use super::Invalid;
use crate::limits::ID_CHARS;

fn parse_id(text: &str) -> Result<String, Invalid> {
    let fits = !text.is_empty() && text.len() <= ID_CHARS;
    if fits && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Ok(text.to_owned());
    }
    let detail = format!("an id has 1 to {ID_CHARS} characters: Latin letters, digits and `-`");
    Err(Invalid::new("invalid_id", detail))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(String);

        impl $name {
            /// Letters (Latin), digits and `-`, 1 to 64 of them; `invalid_id` otherwise.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                parse_id(text).map(Self)
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A customer's id, as its owner knows it.
    CustomerId
);
id!(
    /// A mailing's id, as its owner knows it.
    MailingId
);

/// A mailing's dense number: the upper half of its messages' ids. Starts at 1, never reused.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct MailingNumber(pub u32);

impl std::fmt::Display for MailingNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_letters_digits_and_hyphens() {
        assert!(CustomerId::parse("customer-0000001").is_ok());
        for bad in ["", "a b", "a/b", "№1", "a_b", &"x".repeat(65)] {
            assert_eq!(CustomerId::parse(bad).expect_err(bad).code, "invalid_id");
        }
    }
}
