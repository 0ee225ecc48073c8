//! The closed list of what a profile may put into a request: `{id}`, `{phone}`, `{text}` and so on.

use std::fmt;

use notty_storage::limits::TEXT_CHARS;

use super::keys::way_out;

/// Bytes of any value but the text in a URL: a receipt's address is the longest.
const OTHER_BYTES: usize = 4_096;
/// The beginning of a secret's placeholder.
const SECRET: &str = "secret.";
/// All placeholders but secrets, by name.
const NAMED: [(&str, Placeholder); 13] = [
    ("id", Placeholder::Id),
    ("id.text", Placeholder::IdText),
    ("id.31", Placeholder::Id31),
    ("phone", Placeholder::Phone),
    ("phone.digits", Placeholder::PhoneDigits),
    ("phone.number", Placeholder::PhoneNumber),
    ("text", Placeholder::Text),
    ("text.utf16hex", Placeholder::TextUtf16Hex),
    ("segments", Placeholder::Segments),
    ("encoding", Placeholder::Encoding),
    ("sender", Placeholder::Sender),
    ("valid_minutes", Placeholder::ValidMinutes),
    ("receipt_url", Placeholder::ReceiptUrl),
];

/// A value that a request gets for each message or account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Placeholder {
    /// The message's id, a number of 63 bits.
    Id,
    /// The message's id, as a text.
    IdText,
    /// A number from 1 to 2147483647 that follows from the message's id.
    Id31,
    /// The phone with its plus.
    Phone,
    /// The digits of the phone, as a text.
    PhoneDigits,
    /// The digits of the phone, as a number.
    PhoneNumber,
    /// The text of the message.
    Text,
    /// The text in UTF-16 with the high byte first, as hexadecimal digits.
    TextUtf16Hex,
    /// Number of SMS that the text makes.
    Segments,
    /// The profile's word for the encoding of the text.
    Encoding,
    /// The name that the message comes from.
    Sender,
    /// Minutes until the message is of no use.
    ValidMinutes,
    /// The URL that takes the receipts of this message.
    ReceiptUrl,
    /// A secret of the account, by its name.
    Secret(String),
}

impl Placeholder {
    /// Reads the name between the braces.
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        let found = Self::of_secret(name).or_else(|| Self::named(name));
        found.ok_or_else(|| unknown(name))
    }

    fn of_secret(name: &str) -> Option<Self> {
        let secret = name.strip_prefix(SECRET)?;
        is_word(secret).then(|| Self::Secret(secret.to_owned()))
    }

    fn named(name: &str) -> Option<Self> {
        let found = NAMED.iter().find(|(known, _)| *known == name);
        found.map(|(_, placeholder)| placeholder.clone())
    }

    /// The name of the secret, if it is one.
    pub(super) fn secret(&self) -> Option<&str> {
        match self {
            Self::Secret(name) => Some(name),
            _ => None,
        }
    }

    /// True if it is the same in all requests of an account.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self, Self::Sender | Self::Secret(_))
    }

    /// True if every character of it may stand in a header.
    pub(super) fn fits_header(&self) -> bool {
        !matches!(self, Self::Text)
    }

    /// Bytes of its value in the encoding of a URL, at most.
    pub(super) fn longest(&self) -> usize {
        // Four bytes of UTF-8, each as `%F0`, or two units of UTF-16.
        if self.is_text() {
            TEXT_CHARS * 12
        } else {
            OTHER_BYTES
        }
    }

    /// True if an account may have no value for it.
    pub(super) fn is_optional(&self) -> bool {
        matches!(self, Self::Sender | Self::ValidMinutes | Self::ReceiptUrl)
    }

    /// True if it is the text, in any form.
    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::TextUtf16Hex)
    }

    /// True if it is the phone, in any form.
    pub(super) fn is_phone(&self) -> bool {
        matches!(self, Self::Phone | Self::PhoneDigits | Self::PhoneNumber)
    }

    /// True if JSON has it as a number.
    pub(super) fn is_number(&self) -> bool {
        matches!(
            self,
            Self::Id | Self::Id31 | Self::PhoneNumber | Self::Segments | Self::ValidMinutes
        )
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(name) => write!(f, "{{{SECRET}{name}}}"),
            other => write!(f, "{{{}}}", name_of(other)),
        }
    }
}

fn name_of(placeholder: &Placeholder) -> &'static str {
    let found = NAMED.iter().find(|(_, named)| named == placeholder);
    found.map_or("", |(name, _)| name)
}

/// True for a name that a variable of the environment can have.
fn is_word(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_word_byte)
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

fn unknown(name: &str) -> String {
    let named = NAMED.iter().map(|(name, _)| *name);
    let known: Vec<&str> = named.chain(["secret.NAME"]).collect();
    let way_out = way_out(name, &known);
    format!("there is no placeholder `{{{name}}}`; {way_out}")
}
