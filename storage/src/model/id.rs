//! Ids that people give, and the numbers that stand for them in keys.

use serde::{Deserialize, Serialize};

use super::{Invalid, characters};
use crate::limits::ID_CHARS;

/// Characters of an id beside letters and digits.
const SIGNS: [char; 5] = ['-', '_', '.', '@', '+'];

/// True for an id of ASCII alone, which nearly every one is, found without Unicode's tables.
fn is_plain(text: &str) -> bool {
    // As many characters as bytes.
    let fits = (2..=ID_CHARS).contains(&text.len());
    let may_be_an_id = |byte: u8| byte.is_ascii_alphanumeric() || SIGNS.contains(&char::from(byte));
    fits && text != ".." && text.bytes().all(may_be_an_id)
}

fn parse_id(text: &str) -> Result<String, Invalid> {
    if is_plain(text) {
        return Ok(text.to_owned());
    }

    let fits = (1..=ID_CHARS).contains(&text.chars().count());
    let may_be_an_id = |char| SIGNS.contains(&char) || characters::is_word(char);
    // A mark would be written with whatever stands before the id.
    let begins_well = !text.starts_with(characters::is_mark);
    // In a path these two are the place itself and the one above it.
    let is_a_step = matches!(text, "." | "..");

    if fits && begins_well && !is_a_step && text.chars().all(may_be_an_id) {
        return Ok(text.to_owned());
    }
    let detail = format!(
        "an id has 1 to {ID_CHARS} characters: letters and digits of any script, and `-`, `_`, `.`, \
         `@`, `+`"
    );
    Err(Invalid::new("invalid_id", detail))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(String);

        impl $name {
            /// Letters and digits of any script, `-`, `_`, `.`, `@` and `+`, 1 to 64 of them;
            /// `invalid_id` otherwise.
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
    fn an_id_is_letters_and_digits_of_any_script_and_five_signs() {
        for good in [
            "customer-0000001",
            "anna.k+new@example.com",
            "a_b",
            "...",
            "Клиент-7",
            "客戶",
            "ग्राहक",
            "й",
            &"ж".repeat(64),
        ] {
            assert_eq!(CustomerId::parse(good).expect("valid").as_str(), good);
        }
    }

    #[test]
    fn what_cannot_stand_in_a_path_or_be_seen_is_no_id() {
        for bad in [
            "",
            ".",
            "..",
            "a b",
            "a/b",
            "№1",
            "a\tb",
            "a\u{a0}b",
            "a%b",
            "\u{301}a",
            "\u{3164}",
            "a\u{200b}",
            "a\u{fe0f}",
            "a\u{202e}b",
            &"x".repeat(65),
            &"ж".repeat(65),
        ] {
            assert_eq!(CustomerId::parse(bad).expect_err(bad).code, "invalid_id");
        }
    }
}
