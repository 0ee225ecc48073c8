//! The values of a JSON body.

use serde_json::{Map, Value};

use super::{
    super::{body::JsonForm, placeholder::Placeholder},
    Optional,
    found::RequestFindings,
    pattern::TextPattern,
};

/// A JSON value as it must be.
pub(super) enum JsonPattern {
    /// The members by name.
    Object(Vec<(String, JsonPart)>),
    /// The elements in their order.
    Array(Vec<JsonPart>),
    /// A text with values in it, or a value that is nothing but a placeholder.
    Text(TextPattern),
    /// A value that is always the same.
    Plain(Value),
}

/// A member or element of a JSON value.
pub(super) struct JsonPart {
    pattern: JsonPattern,
    is_optional: bool,
}

impl JsonPattern {
    /// A pattern for a value of the profile.
    pub(super) fn new(form: &JsonForm, optional: Optional) -> Self {
        match form {
            JsonForm::Text(template) => Self::Text(TextPattern::new(template)),
            JsonForm::Plain(text) => Self::Plain(serde_json::from_str(text).unwrap_or_default()),
            JsonForm::Array(elements) => Self::array(elements, optional),
            JsonForm::Object(members) => Self::Object(object(members, optional)),
        }
    }

    fn array(elements: &[JsonForm], optional: Optional) -> Self {
        let parts = elements.iter().map(|form| JsonPart::new(form, optional));
        Self::Array(parts.collect())
    }

    /// Adds members that only some accounts send.
    pub(super) fn add_optional(&mut self, added: &JsonForm, optional: Optional) {
        if let (Self::Object(members), JsonForm::Object(added)) = (self, added) {
            let added = object(added, optional).into_iter();
            members.extend(added.map(|(name, part)| (name, part.optional())));
        }
    }

    /// Reads a value as it came. `at` is its place as a JSON pointer.
    pub(super) fn read(&self, at: &str, value: &Value, findings: &mut RequestFindings) {
        match self {
            Self::Object(members) => read_object(members, at, value, findings),
            Self::Array(elements) => read_array(elements, at, value, findings),
            Self::Text(pattern) => read_text(pattern, at, value, findings),
            Self::Plain(wanted) => read_plain(wanted, at, value, findings),
        }
    }
}

impl JsonPart {
    fn new(form: &JsonForm, optional: Optional) -> Self {
        // Nothing may be left of a value, as of a field without a sender.
        let is_absent = |placeholder: &Placeholder| optional.may_lack(placeholder);
        Self {
            pattern: JsonPattern::new(form, optional),
            is_optional: form.clone().without(&is_absent).is_none(),
        }
    }

    fn optional(self) -> Self {
        Self {
            is_optional: true,
            ..self
        }
    }
}

fn object(members: &[(String, JsonForm)], optional: Optional) -> Vec<(String, JsonPart)> {
    let parts = members.iter();
    let parts = parts.map(|(name, form)| (name.clone(), JsonPart::new(form, optional)));
    parts.collect()
}

fn read_object(
    parts: &[(String, JsonPart)],
    at: &str,
    value: &Value,
    findings: &mut RequestFindings,
) {
    let Some(members) = value.as_object() else {
        return findings.misfit(format!("`{at}` is no JSON object"));
    };
    for (name, part) in parts {
        read_member(part, &format!("{at}/{name}"), members.get(name), findings);
    }
    check_members(parts, at, members, findings);
}

fn read_member(part: &JsonPart, at: &str, value: Option<&Value>, findings: &mut RequestFindings) {
    match value {
        Some(value) => part.pattern.read(at, value, findings),
        None if part.is_optional => {}
        None => findings.misfit(format!("`{at}` is missing")),
    }
}

/// Notes members that the profile does not have.
fn check_members(
    parts: &[(String, JsonPart)],
    at: &str,
    members: &Map<String, Value>,
    findings: &mut RequestFindings,
) {
    let is_known = |name: &String| parts.iter().any(|(known, _)| known == name);
    for name in members.keys().filter(|name| !is_known(name)) {
        let misfit = format!("`{at}/{name}` is there, which the profile does not have");
        findings.misfit(misfit);
    }
}

fn read_array(parts: &[JsonPart], at: &str, value: &Value, findings: &mut RequestFindings) {
    let Some(elements) = value.as_array() else {
        return findings.misfit(format!("`{at}` is no JSON array"));
    };
    let Some(parts) = present(parts, elements.len()) else {
        let (is, wanted) = (elements.len(), parts.len());
        return findings.misfit(format!("`{at}` has {is} elements, and not {wanted}"));
    };

    for (n, (part, value)) in parts.iter().zip(elements).enumerate() {
        part.pattern.read(&format!("{at}/{n}"), value, findings);
    }
}

/// The parts of an array of this length. Those that may be left out are left out together: an account
/// lacks the same values everywhere.
fn present(parts: &[JsonPart], length: usize) -> Option<Vec<&JsonPart>> {
    let choices = [parts.iter().collect(), fewest(parts)];
    let mut choices = choices.into_iter();
    choices.find(|choice: &Vec<&JsonPart>| choice.len() == length)
}

fn fewest(parts: &[JsonPart]) -> Vec<&JsonPart> {
    let lasting = parts.iter().filter(|part| !part.is_optional);
    lasting.collect()
}

fn read_plain(wanted: &Value, at: &str, value: &Value, findings: &mut RequestFindings) {
    if wanted != value {
        findings.misfit(format!("`{at}` is not {wanted}"));
    }
}

fn read_text(pattern: &TextPattern, at: &str, value: &Value, findings: &mut RequestFindings) {
    match text_of(pattern, value) {
        Ok(text) => findings.take_text(&format!("`{at}`"), pattern, Some(&text)),
        Err(fault) => findings.misfit(format!("`{at}` is {fault}")),
    }
}

/// The text of a value, or the digits of a number where one is wanted.
fn text_of(pattern: &TextPattern, value: &Value) -> Result<String, &'static str> {
    match value {
        Value::String(_) if is_number(pattern) => Err("a text, and must be a number"),
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if may_be_number(pattern) => Ok(number.to_string()),
        _ if is_number(pattern) => Err("no number"),
        _ => Err("no text"),
    }
}

fn is_number(pattern: &TextPattern) -> bool {
    pattern.lone().is_some_and(Placeholder::is_number)
}

/// True for a number, and for a word that may be one.
fn may_be_number(pattern: &TextPattern) -> bool {
    is_number(pattern) || pattern.lone() == Some(&Placeholder::Encoding)
}
