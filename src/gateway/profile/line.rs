//! Lines of a request: whatever is the same in all requests is written once, in its encoding, and only
//! what differs from message to message is left to fill in.

use super::{
    account::GatewayAccount,
    body::{FieldForm, JsonForm},
    encode::{FillPlace, encode},
    placeholder::Placeholder,
    template::{Template, TemplatePiece},
};

/// A part of a request that is nearly written. It has secrets in it, so it has no form for a log.
#[derive(Clone, Default)]
pub(super) struct Line(Vec<LinePiece>);

#[derive(Clone)]
enum LinePiece {
    /// Is written and encoded already.
    Fixed(String),
    /// Waits for the message.
    Filled(Placeholder, FillPlace),
}

impl LinePiece {
    fn fixed(&self) -> Option<&str> {
        match self {
            Self::Fixed(text) => Some(text),
            Self::Filled(..) => None,
        }
    }

    fn longest(&self) -> usize {
        match self {
            Self::Fixed(text) => text.len(),
            Self::Filled(placeholder, _) => placeholder.longest(),
        }
    }
}

impl Line {
    /// Adds a text as it is.
    pub(super) fn push(&mut self, text: &str) {
        if let Some(LinePiece::Fixed(fixed)) = self.0.last_mut() {
            fixed.push_str(text);
        } else {
            self.0.push(LinePiece::Fixed(text.to_owned()));
        }
    }

    /// Adds what stands between two elements, but not before the first one.
    fn push_separator(&mut self, n: usize, separator: &str) {
        if n > 0 {
            self.push(separator);
        }
    }

    fn push_encoded(&mut self, value: &str, place: FillPlace) {
        let mut encoded = String::new();
        encode(&mut encoded, value, false, place);
        self.push(&encoded);
    }

    fn push_placeholder(
        &mut self,
        placeholder: &Placeholder,
        place: FillPlace,
        account: &GatewayAccount,
    ) {
        if placeholder.is_fixed() {
            let value = account.value(placeholder).unwrap_or_default();
            self.push_encoded(value, place);
        } else {
            self.0.push(LinePiece::Filled(placeholder.clone(), place));
        }
    }

    /// Adds a template whose own text is in its encoding already, as that of a URL is.
    pub(super) fn push_template(
        &mut self,
        template: &Template,
        place: FillPlace,
        account: &GatewayAccount,
    ) {
        for piece in &template.0 {
            match piece {
                TemplatePiece::Fixed(text) => self.push(text),
                TemplatePiece::Filled(found) => self.push_placeholder(found, place, account),
            }
        }
    }

    /// Adds a template whose own text is encoded too.
    fn push_value(&mut self, template: &Template, place: FillPlace, account: &GatewayAccount) {
        for piece in &template.0 {
            match piece {
                TemplatePiece::Fixed(text) => self.push_encoded(text, place),
                TemplatePiece::Filled(found) => self.push_placeholder(found, place, account),
            }
        }
    }

    /// Adds fields in the form `name=value&name=value`.
    pub(super) fn push_fields(
        &mut self,
        fields: &[FieldForm],
        place: FillPlace,
        account: &GatewayAccount,
    ) {
        for (n, (name, value)) in fields.iter().enumerate() {
            self.push_separator(n, "&");
            self.push_encoded(name, place);
            self.push("=");
            self.push_value(value, place, account);
        }
    }

    /// Adds a JSON value.
    pub(super) fn push_json(&mut self, form: &JsonForm, account: &GatewayAccount) {
        match form {
            JsonForm::Plain(value) => self.push(value),
            JsonForm::Text(template) => self.push_json_text(template, account),
            JsonForm::Array(elements) => self.push_json_array(elements, account),
            JsonForm::Object(members) => self.push_json_object(members, account),
        }
    }

    fn push_json_text(&mut self, template: &Template, account: &GatewayAccount) {
        // Nothing but a placeholder keeps its type.
        if let Some(placeholder) = template.lone_placeholder() {
            self.push_placeholder(placeholder, FillPlace::JsonValue, account);
            return;
        }
        self.push("\"");
        self.push_value(template, FillPlace::JsonString, account);
        self.push("\"");
    }

    fn push_json_array(&mut self, elements: &[JsonForm], account: &GatewayAccount) {
        self.push("[");
        for (n, element) in elements.iter().enumerate() {
            self.push_separator(n, ",");
            self.push_json(element, account);
        }
        self.push("]");
    }

    fn push_json_object(&mut self, members: &[(String, JsonForm)], account: &GatewayAccount) {
        self.push("{");
        for (n, (name, value)) in members.iter().enumerate() {
            self.push_separator(n, ",");
            self.push_encoded(name, FillPlace::JsonValue);
            self.push(":");
            self.push_json(value, account);
        }
        self.push("}");
    }

    /// The texts that are written already.
    pub(super) fn fixed(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(LinePiece::fixed)
    }

    /// Bytes that it has for any message, at most.
    pub(super) fn longest(&self) -> usize {
        self.0.iter().map(LinePiece::longest).sum()
    }

    /// Writes the line for a message. `fill` adds the value of a placeholder to the text.
    pub(super) fn write(&self, fill: impl Fn(&Placeholder, FillPlace, &mut String)) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                LinePiece::Fixed(fixed) => text.push_str(fixed),
                LinePiece::Filled(placeholder, place) => fill(placeholder, *place, &mut text),
            }
        }
        text
    }
}
