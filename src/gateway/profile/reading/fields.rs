//! The fields of a query or of a form.

use super::{super::body::FieldForm, Optional, found::RequestFindings, pattern::TextPattern};

/// The fields that must be there, or may be.
pub(super) struct FieldPatterns(Vec<FieldPattern>);

struct FieldPattern {
    name: String,
    value: TextPattern,
    is_optional: bool,
}

/// A field as it came: its name, and its value.
type GivenField = (String, String);

impl FieldPatterns {
    /// The fields of a form, of which some may be left out.
    pub(super) fn new(fields: &[FieldForm], optional: Optional) -> Self {
        let patterns = fields.iter().map(|field| {
            let is_optional = optional.is(&field.1);
            FieldPattern::new(field, is_optional)
        });
        Self(patterns.collect())
    }

    /// Adds fields that only some accounts send.
    pub(super) fn add_optional(&mut self, fields: &[FieldForm]) {
        let patterns = fields.iter().map(|field| FieldPattern::new(field, true));
        self.0.extend(patterns);
    }

    /// Reads fields as they came. `place` names the query or the form.
    pub(super) fn read(&self, place: &str, raw: &[u8], findings: &mut RequestFindings) {
        let given: Vec<GivenField> = form_urlencoded::parse(raw).into_owned().collect();
        for pattern in &self.0 {
            pattern.read(place, &given, findings);
        }
        for (name, _) in given.iter().filter(|field| !self.knows(field)) {
            findings.misfit(format!("{place} has `{name}`, which the profile does not"));
        }
    }

    fn knows(&self, (name, _): &GivenField) -> bool {
        self.0.iter().any(|pattern| pattern.name == *name)
    }
}

impl FieldPattern {
    fn new((name, value): &FieldForm, is_optional: bool) -> Self {
        Self {
            name: name.clone(),
            value: TextPattern::new(value),
            is_optional,
        }
    }

    fn read(&self, place: &str, given: &[GivenField], findings: &mut RequestFindings) {
        let named = given.iter().filter(|(name, _)| *name == self.name);
        let values: Vec<&str> = named.map(|(_, value)| value.as_str()).collect();
        if values.len() > 1 {
            findings.misfit(format!("{place} has `{}` more than once", self.name));
        }
        self.read_value(place, values.first().copied(), findings);
    }

    fn read_value(&self, place: &str, value: Option<&str>, findings: &mut RequestFindings) {
        if value.is_some() || !self.is_optional {
            let place = format!("`{}` of {place}", self.name);
            findings.take_text(&place, &self.value, value);
        }
    }
}
