//! Texts that people write: names, tags, descriptions, the text of a mailing.

use super::Invalid;
use crate::limits::{DESC_CHARS, NAME_CHARS, TEXT_CHARS, WORD_CHARS};

fn parse_line(what: &str, text: &str, most: usize) -> Result<String, Invalid> {
    if text.chars().count() > most {
        return Err(Invalid::new(
            "too_long",
            format!("{what} has at most {most} characters"),
        ));
    }
    if text.chars().any(char::is_control) {
        let detail = format!("{what} has no control characters, tabs or line ends");
        return Err(Invalid::new("control_character", detail));
    }
    Ok(text.to_owned())
}

macro_rules! line {
    ($(#[$doc:meta])* $name:ident, $what:literal, $most:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Bounded, without control characters; `too_long` or `control_character` otherwise.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                parse_line($what, text, $most).map(Self)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, owned.
            pub fn into_string(self) -> String {
                self.0
            }
        }
    };
}

line!(
    /// A customer's name.
    Name, "a name", NAME_CHARS
);
line!(
    /// A tag or an operator.
    Word, "a tag or an operator", WORD_CHARS
);
line!(
    /// A mailing's description.
    Desc, "a description", DESC_CHARS
);

/// What a mailing says: 1 to 1,600 characters, no control characters but the line feed.
#[derive(Clone, PartialEq, Eq)]
pub struct MailingText(String);

impl MailingText {
    /// `empty_text`, `too_long` or `control_character` where it does not fit.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() || text.trim().is_empty() {
            return Err(Invalid::new(
                "empty_text",
                "a text has at least one visible character",
            ));
        }
        if text.chars().count() > TEXT_CHARS {
            let detail = format!("a text has at most {TEXT_CHARS} characters");
            return Err(Invalid::new("too_long", detail));
        }
        if text.chars().any(|c| c.is_control() && c != '\n') {
            let detail = "a text has no control characters but the line feed";
            return Err(Invalid::new("control_character", detail));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// Redacted: a text never reaches a log.
impl std::fmt::Debug for MailingText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MailingText(…)")
    }
}
