//! One text with placeholders, found again in a request.

use percent_encoding::percent_decode_str;
use regex::{Captures, Regex};

use super::super::{
    placeholder::Placeholder,
    template::{Template, TemplatePiece},
};

/// A placeholder, with the value that stands in its place.
pub(super) type FoundValue = (Placeholder, String);

/// A text as it must be: fixed parts, and values between them.
#[derive(Clone)]
pub(super) struct TextPattern {
    regex: Regex,
    placeholders: Vec<Placeholder>,
    form: String,
}

impl TextPattern {
    /// A pattern for a text without any encoding.
    pub(super) fn new(template: &Template) -> Self {
        Self::with_values(template, "(.*?)")
    }

    /// A pattern for a path, whose values are encoded and end at a slash.
    pub(super) fn of_path(path: &Template) -> Self {
        Self::with_values(path, "([^/]*?)")
    }

    fn with_values(template: &Template, value: &str) -> Self {
        let pieces = template.0.iter().map(|piece| source(piece, value));
        let pieces: String = pieces.collect();
        let regex = Regex::new(&format!("^(?s:{pieces})$"));
        Self {
            regex: regex.expect("escaped texts are a pattern"),
            placeholders: template.placeholders().cloned().collect(),
            form: template.to_string(),
        }
    }

    /// The text as the profile has it.
    pub(super) fn form(&self) -> &str {
        &self.form
    }

    /// The placeholder, if the text is nothing else.
    pub(super) fn lone(&self) -> Option<&Placeholder> {
        let first = self.placeholders.first()?;
        (self.form == first.to_string()).then_some(first)
    }

    /// True if a text is of this form.
    pub(super) fn fits(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// True if a secret is a part of it.
    pub(super) fn has_secret(&self) -> bool {
        self.placeholders.iter().any(|p| p.secret().is_some())
    }

    /// The values of a text; `None` if the text is of another form.
    pub(super) fn values(&self, text: &str) -> Option<Vec<FoundValue>> {
        let values = texts(&self.regex.captures(text)?);
        Some(self.placeholders.iter().cloned().zip(values).collect())
    }

    /// The values of a path, decoded; `None` if the path is of another form.
    pub(super) fn encoded_values(&self, path: &str) -> Option<Vec<FoundValue>> {
        self.values(path)?.into_iter().map(decoded).collect()
    }

    /// The text with dots in the place of each secret. A text of another form stays as it is.
    pub(super) fn masked(&self, text: &str, dots: &str) -> String {
        let mut masked = text.to_owned();
        let Some(captures) = self.regex.captures(text) else {
            return masked;
        };

        // From the end, so that the places before stay where they are.
        let values = captures.iter().skip(1).flatten().zip(&self.placeholders);
        let secrets = values.filter(|(_, placeholder)| placeholder.secret().is_some());
        for (value, _) in secrets.collect::<Vec<_>>().into_iter().rev() {
            masked.replace_range(value.range(), dots);
        }
        masked
    }
}

/// The part of a regular expression that fits a piece.
fn source(piece: &TemplatePiece, value: &str) -> String {
    match piece {
        TemplatePiece::Fixed(text) => regex::escape(text),
        TemplatePiece::Filled(_) => value.to_owned(),
    }
}

fn texts(captures: &Captures<'_>) -> Vec<String> {
    let values = captures.iter().skip(1).flatten();
    values.map(|value| value.as_str().to_owned()).collect()
}

fn decoded((placeholder, value): FoundValue) -> Option<FoundValue> {
    let value = percent_decode_str(&value).decode_utf8().ok()?;
    Some((placeholder, value.into_owned()))
}
