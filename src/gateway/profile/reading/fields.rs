//! The fields of a query or of a form.

use super::{super::body::FieldForm, Optional, found::RequestFindings, pattern::TextPattern};

/// The fields that must be there, or may be.
pub(super) struct FieldPatterns(Vec<FieldPattern>);

struct FieldPattern {
    name: String,
    value: TextPattern,
    is_optional: bool,
}

impl FieldPatterns {
    /// The fields of a form, of which some may be left out.
    pub(super) fn new(fields: &[FieldForm], optional: Optional) -> Self {
        let patterns = fields.iter().map(|(name, value)| FieldPattern {
            name: name.clone(),
            value: TextPattern::new(value),
            is_optional: optional.is(value),
        });
        Self(patterns.collect())
    }

    /// Adds fields that only some accounts send.
    pub(super) fn add_optional(&mut self, fields: &[FieldForm]) {
        let patterns = fields.iter().map(|(name, value)| FieldPattern {
            name: name.clone(),
            value: TextPattern::new(value),
            is_optional: true,
        });
        self.0.extend(patterns);
    }

    /// Reads fields as they came. `place` names the query or the form.
    pub(super) fn read(&self, place: &str, raw: &[u8], findings: &mut RequestFindings) {
        let given: Vec<(String, String)> = form_urlencoded::parse(raw).into_owned().collect();
        for pattern in &self.0 {
            let mut values = given.iter().filter(|(name, _)| *name == pattern.name);
            let value = values.next().map(|(_, value)| value.as_str());
            pattern.read(place, value, findings);

            if values.next().is_some() {
                findings.misfit(format!("{place} has `{}` more than once", pattern.name));
            }
        }

        let is_known = |name: &str| self.0.iter().any(|pattern| pattern.name == name);
        for (name, _) in given.iter().filter(|(name, _)| !is_known(name)) {
            findings.misfit(format!("{place} has `{name}`, which the profile does not"));
        }
    }
}

impl FieldPattern {
    fn read(&self, place: &str, value: Option<&str>, findings: &mut RequestFindings) {
        if value.is_some() || !self.is_optional {
            let place = format!("`{}` of {place}", self.name);
            findings.take_text(&place, &self.value, value);
        }
    }
}
