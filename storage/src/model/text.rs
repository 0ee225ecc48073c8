//! Texts that people write: names, tags, descriptions, the text of a mailing.

use super::{Invalid, characters};
use crate::limits::{DESC_CHARS, NAME_CHARS, TEXT_CHARS, WORD_CHARS};

fn parse_line(what: &str, text: &str, most: usize) -> Result<String, Invalid> {
    // No text has more characters than bytes, so that most need not be counted.
    if text.len() > most && text.chars().count() > most {
        return Err(Invalid::new(
            "too_long",
            format!("{what} has at most {most} characters"),
        ));
    }
    if characters::have_a_break(text) {
        let detail = format!(
            "{what} has no control characters, tabs, line ends, or characters that turn the direction of \
             writing"
        );
        return Err(Invalid::new("control_character", detail));
    }
    if !text.is_empty() && !text.chars().any(characters::is_visible) {
        let detail = format!("{what} is empty, or has at least one visible character");
        return Err(Invalid::new("empty_text", detail));
    }
    Ok(text.to_owned())
}

macro_rules! line {
    ($(#[$doc:meta])* $name:ident, $what:literal, $most:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Bounded, without control characters, and empty or visible; `too_long`,
            /// `control_character` or `empty_text` otherwise.
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
        if !text.chars().any(characters::is_visible) {
            return Err(Invalid::new(
                "empty_text",
                "a text has at least one visible character",
            ));
        }
        if text.chars().count() > TEXT_CHARS {
            let detail = format!("a text has at most {TEXT_CHARS} characters");
            return Err(Invalid::new("too_long", detail));
        }
        if text.chars().any(characters::breaks_a_text) {
            let detail = "a text has no control characters but the line feed, and none that shows it in \
                          another order";
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts in which nothing can be seen: spaces, fillers, selectors, joiners.
    const INVISIBLE: [&str; 8] = [
        " \u{a0}\u{3000}",
        "\u{200b}",
        "\u{3164}\u{ffa0}",
        "\u{ad}",
        "\u{fe0f}",
        "\u{200d}\u{2060}\u{feff}",
        "\u{2800}",
        "\u{200e}\u{e0061}",
    ];

    #[test]
    fn a_text_in_which_nothing_is_seen_is_refused() {
        for text in INVISIBLE {
            let told = text.escape_unicode();
            for code in [
                MailingText::parse(text).expect_err(text).code,
                Name::parse(text).expect_err(text).code,
                Word::parse(text).expect_err(text).code,
                Desc::parse(text).expect_err(text).code,
            ] {
                assert_eq!(code, "empty_text", "{told}");
            }
            assert!(Name::parse(&format!("{text}.")).is_ok(), "{told}");
        }
        assert!(MailingText::parse("").is_err() && Name::parse("").is_ok());
    }

    #[test]
    fn characters_that_scripts_and_emoji_need_stay() {
        for text in [
            "Zoë 👩\u{200d}🚀\u{fe0f}",
            "می\u{200c}خواهم",
            "שלום\u{200f}!",
            "co\u{ad}op",
        ] {
            assert!(Name::parse(text).is_ok(), "{text}");
            assert!(MailingText::parse(text).is_ok(), "{text}");
        }
        let isolated = "Код: \u{2068}שלום\u{2069}\n";
        assert!(MailingText::parse(isolated).is_ok());
    }

    #[test]
    fn line_ends_and_characters_that_turn_the_direction_are_refused() {
        for char in [
            '\n', '\t', '\u{85}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{2066}',
        ] {
            let name = Name::parse(&format!("a{char}b")).expect_err("refused");
            assert_eq!(name.code, "control_character", "{char:?}");
        }
        for char in ['\r', '\u{85}', '\u{2028}', '\u{202d}', '\u{202e}'] {
            let text = MailingText::parse(&format!("a{char}b")).expect_err("refused");
            assert_eq!(text.code, "control_character", "{char:?}");
        }
    }
}
