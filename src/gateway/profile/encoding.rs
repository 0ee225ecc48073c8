//! The words that a provider has for the encodings of a text.

use toml::Value;

use super::{body::word, encode::is_printable, keys::KeyReader};
use crate::segments::Encoding;

/// The profile's words for the encodings of a text.
#[derive(Clone, Debug)]
pub(super) struct EncodingWords {
    gsm_7: EncodingWord,
    ucs_2: EncodingWord,
}

/// The word for one encoding.
#[derive(Clone, Debug)]
pub(super) struct EncodingWord {
    /// The word as it is sent, in printable characters of ASCII.
    pub(super) text: String,
    /// True if JSON has it without quotes.
    pub(super) is_number: bool,
}

impl EncodingWords {
    /// Reads the table `encoding` of the request.
    pub(super) fn read(keys: &mut KeyReader<'_>) -> Self {
        let spot = keys.spot("encoding");
        let table = keys.table("encoding").cloned().unwrap_or_default();
        let mut words = KeyReader::new(&table, spot);
        let read = Self {
            gsm_7: EncodingWord::read(&mut words, "gsm7"),
            ucs_2: EncodingWord::read(&mut words, "ucs2"),
        };
        words.finish();
        read
    }

    /// The word for an encoding.
    pub(super) fn word(&self, encoding: Encoding) -> &EncodingWord {
        match encoding {
            Encoding::Gsm7 => &self.gsm_7,
            Encoding::Ucs2 => &self.ucs_2,
        }
    }
}

impl EncodingWord {
    /// The word for an encoding; its own name, unless the profile has another.
    fn read(words: &mut KeyReader<'_>, key: &'static str) -> Self {
        let given = words.value(key).and_then(|value| {
            let spot = words.spot(key);
            spot.expect(
                Self::parse(value),
                value,
                "a whole number, or a text in ASCII",
            )
        });
        given.unwrap_or_else(|| Self::of_text(key.to_owned()))
    }

    fn parse(value: &Value) -> Option<Self> {
        // A header may have it, which has no other characters.
        let text = word(value).filter(|text| is_printable(text))?;
        let is_number = value.is_integer();
        Some(Self { text, is_number })
    }

    fn of_text(text: String) -> Self {
        let is_number = false;
        Self { text, is_number }
    }
}
