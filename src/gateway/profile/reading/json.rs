//! A JSON body.

use serde_json::Value;

use super::{
    super::{body::JsonForm, placeholder::Placeholder},
    Optional,
    found::RequestFindings,
    pattern::TextPattern,
};

/// A JSON value as it must be.
pub(super) enum JsonPattern {
    /// The members by name; true for one that may be left out.
    Object(Vec<(String, JsonPattern, bool)>),
    /// The elements in their order; true for one that may be left out.
    Array(Vec<(JsonPattern, bool)>),
    /// A text with values in it, or a value that is nothing but a placeholder.
    Text(TextPattern),
    /// A value that is always the same.
    Plain(Value),
}

impl JsonPattern {
    /// A pattern for a value of the profile.
    pub(super) fn new(form: &JsonForm, optional: Optional) -> Self {
        match form {
            JsonForm::Text(template) => Self::Text(TextPattern::new(template)),
            JsonForm::Plain(text) => Self::Plain(serde_json::from_str(text).unwrap_or_default()),
            JsonForm::Array(elements) => Self::Array(
                elements
                    .iter()
                    .map(|form| (Self::new(form, optional), may_go(form, optional)))
                    .collect(),
            ),
            JsonForm::Object(members) => {
                let is_optional = |form: &JsonForm| may_go(form, optional);
                Self::Object(object(members, optional, is_optional))
            }
        }
    }

    /// Adds members that only some accounts send.
    pub(super) fn add_optional(&mut self, added: &JsonForm, optional: Optional) {
        if let (Self::Object(members), JsonForm::Object(added)) = (self, added) {
            members.extend(object(added, optional, |_| true));
        }
    }

    /// Reads a value as it came. `at` is its place as a JSON pointer.
    pub(super) fn read(&self, at: &str, value: &Value, findings: &mut RequestFindings) {
        match (self, value) {
            (Self::Object(patterns), Value::Object(members)) => {
                read_members(patterns, at, members, findings);
            }
            (Self::Array(patterns), Value::Array(elements)) => {
                read_elements(patterns, at, elements, findings);
            }
            (Self::Text(pattern), value) => read_text(pattern, at, value, findings),
            (Self::Plain(wanted), value) if wanted == value => {}
            (Self::Plain(wanted), _) => findings.misfit(format!("`{at}` is not {wanted}")),
            (Self::Object(_), _) => findings.misfit(format!("`{at}` is no JSON object")),
            (Self::Array(_), _) => findings.misfit(format!("`{at}` is no JSON array")),
        }
    }
}

/// True if nothing may be left of a value, as of a field without a sender.
fn may_go(form: &JsonForm, optional: Optional) -> bool {
    let is_absent = |placeholder: &Placeholder| optional.may_lack(placeholder);
    form.clone().without(&is_absent).is_none()
}

fn object(
    members: &[(String, JsonForm)],
    optional: Optional,
    is_optional: impl Fn(&JsonForm) -> bool,
) -> Vec<(String, JsonPattern, bool)> {
    let members = members.iter().map(|(name, form)| {
        let pattern = JsonPattern::new(form, optional);
        (name.clone(), pattern, is_optional(form))
    });
    members.collect()
}

fn read_members(
    patterns: &[(String, JsonPattern, bool)],
    at: &str,
    members: &serde_json::Map<String, Value>,
    findings: &mut RequestFindings,
) {
    for (name, pattern, is_optional) in patterns {
        match members.get(name) {
            Some(value) => pattern.read(&format!("{at}/{name}"), value, findings),
            None if *is_optional => {}
            None => findings.misfit(format!("`{at}/{name}` is missing")),
        }
    }

    let is_known = |name: &String| patterns.iter().any(|(known, ..)| known == name);
    for name in members.keys().filter(|name| !is_known(name)) {
        findings.misfit(format!(
            "`{at}/{name}` is there, which the profile does not have"
        ));
    }
}

fn read_elements(
    patterns: &[(JsonPattern, bool)],
    at: &str,
    elements: &[Value],
    findings: &mut RequestFindings,
) {
    // Elements that may be left out are left out together: all accounts lack the same values.
    let least = patterns
        .iter()
        .filter(|(_, is_optional)| !is_optional)
        .count();
    let is_short = elements.len() == least;
    if !is_short && elements.len() != patterns.len() {
        let (is, wanted) = (elements.len(), patterns.len());
        findings.misfit(format!("`{at}` has {is} elements, and not {wanted}"));
        return;
    }

    let present = patterns
        .iter()
        .filter(|(_, is_optional)| !(is_short && *is_optional));
    for (n, ((pattern, _), value)) in present.zip(elements).enumerate() {
        pattern.read(&format!("{at}/{n}"), value, findings);
    }
}

fn read_text(pattern: &TextPattern, at: &str, value: &Value, findings: &mut RequestFindings) {
    let place = format!("`{at}`");
    let is_number = pattern.lone().is_some_and(Placeholder::is_number);
    match value {
        Value::String(_) if is_number => {
            findings.misfit(format!("{place} is a text, and must be a number"))
        }
        Value::String(text) => findings.take_text(&place, pattern, Some(text)),
        Value::Number(number) if is_number => {
            findings.take_text(&place, pattern, Some(&number.to_string()));
        }
        _ if is_number => findings.misfit(format!("{place} is no number")),
        _ => findings.misfit(format!("{place} is no text")),
    }
}
