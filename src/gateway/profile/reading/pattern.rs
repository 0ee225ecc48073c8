//! One text with placeholders, found again in a request.

use percent_encoding::percent_decode_str;
use regex::Regex;

use super::super::{
    placeholder::Placeholder,
    template::{Template, TemplatePiece},
};

/// A placeholder, with the value that stands in its place.
pub(super) type FoundValue = (Placeholder, String);

/// A text as it must be: fixed parts, and values between them.
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
        let pieces = template.0.iter().map(|piece| match piece {
            TemplatePiece::Fixed(text) => regex::escape(text),
            TemplatePiece::Filled(_) => value.to_owned(),
        });
        let pieces: String = pieces.collect();
        Self {
            regex: Regex::new(&format!("^(?s:{pieces})$")).expect("escaped texts are a pattern"),
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
        let lone = self.placeholders.first()?;
        (self.form == lone.to_string()).then_some(lone)
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
        let captures = self.regex.captures(text)?;
        let values = captures.iter().skip(1).flatten();
        let values = values.map(|value| value.as_str().to_owned());
        Some(self.placeholders.iter().cloned().zip(values).collect())
    }

    /// The values of a path, decoded; `None` if the path is of another form.
    pub(super) fn encoded_values(&self, path: &str) -> Option<Vec<FoundValue>> {
        let values = self.values(path)?.into_iter();
        let decoded = values.map(|(placeholder, value)| {
            let value = percent_decode_str(&value).decode_utf8().ok()?;
            Some((placeholder, value.into_owned()))
        });
        decoded.collect()
    }

    /// The text with dots in the place of each secret, if it is of this form.
    pub(super) fn masked(&self, text: &str, dots: &str) -> Option<String> {
        let captures = self.regex.captures(text)?;
        let mut masked = text.to_owned();
        let values = captures.iter().skip(1).flatten().zip(&self.placeholders);

        // From the end, so that the places before stay where they are.
        let secrets = values.filter(|(_, placeholder)| placeholder.secret().is_some());
        for (value, _) in secrets.collect::<Vec<_>>().into_iter().rev() {
            masked.replace_range(value.range(), dots);
        }
        Some(masked)
    }
}
