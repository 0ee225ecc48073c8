//! The fields of a JSON object or of a row, taken out one by one, with all that is wrong about them.
//!
//! The shapes of bodies are declared with their routes; this file only knows how a field is taken
//! out, and what is wrong if it is missing, unknown or of another type.

use serde_json::Value;

use super::noted;
use crate::{
    api::{
        code::Code,
        error::{ApiError, FieldFault, InvalidValue},
    },
    named_values::NamedValues,
};

/// The fields of a JSON object or the columns of a row, taken out one by one.
pub(in crate::api) struct Fields {
    values: NamedValues,
    faults: Vec<FieldFault>,
}

impl Fields {
    pub(in crate::api) fn new(values: impl Into<NamedValues>) -> Self {
        Self {
            values: values.into(),
            faults: Vec::new(),
        }
    }

    /// Notes a fault of a field.
    pub(in crate::api) fn fault(&mut self, field: &str, code: Code, detail: impl Into<String>) {
        self.faults.push(FieldFault::new(field, code, detail));
    }

    /// Notes that the body has another id than the path.
    pub(in crate::api) fn fault_of_other_id(&mut self) {
        let detail = "differs from the id in the path";
        self.fault("id", Code::IdMismatch, detail);
    }

    /// True if a field is there, and not null.
    pub(in crate::api) fn has(&self, field: &str) -> bool {
        self.values.get(field).is_some_and(|value| !value.is_null())
    }

    /// Takes a value; `None` if it is absent or null.
    pub(in crate::api) fn take(&mut self, field: &str) -> Option<Value> {
        self.values.remove(field).filter(|value| !value.is_null())
    }

    /// A value that is not taken yet; `None` if it is absent or null.
    pub(in crate::api) fn peek(&self, field: &str) -> Option<&Value> {
        self.values.get(field).filter(|value| !value.is_null())
    }

    /// Takes a text; `None` if it is absent, and also, with a fault, if it is of another type.
    pub(in crate::api) fn optional_text(&mut self, field: &str) -> Option<String> {
        match self.take(field)? {
            Value::String(text) => Some(text),
            _ => {
                self.fault(field, Code::WrongType, "a string is needed");
                None
            }
        }
    }

    /// Takes a text that must be there.
    pub(in crate::api) fn text(&mut self, field: &str) -> Option<String> {
        let is_present = self.has(field);
        let text = self.optional_text(field);
        // A value of another type has its fault already.
        if !is_present {
            self.fault(field, Code::Missing, "this field is needed");
        }
        text
    }

    /// Takes a boolean; `None` if it is absent, and also, with a fault, if it is of another type.
    pub(in crate::api) fn optional_bool(&mut self, field: &str) -> Option<bool> {
        match self.take(field)? {
            Value::Bool(value) => Some(value),
            _ => {
                self.fault(field, Code::WrongType, "true or false is needed");
                None
            }
        }
    }

    /// Parses the text of a field and notes the fault if that fails. `None` stays `None`: a missing
    /// field was noted where it was taken.
    pub(in crate::api) fn parse<T, E: Into<InvalidValue>>(
        &mut self,
        field: &str,
        text: Option<String>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        noted(&mut self.faults, field, parse(&text?))
    }

    /// Takes a text that must be there, and parses it.
    pub(in crate::api) fn parse_needed<T, E: Into<InvalidValue>>(
        &mut self,
        field: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(field);
        self.parse(field, text, parse)
    }

    /// Takes a text, or a default if it is absent, and parses it.
    pub(in crate::api) fn parse_or<T, E: Into<InvalidValue>>(
        &mut self,
        field: &str,
        default: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.optional_text(field);
        let text_or_default = text.unwrap_or_else(|| default.to_owned());
        self.parse(field, Some(text_or_default), parse)
    }

    /// Drops a read-only field: a client may send back what it has read.
    pub(in crate::api) fn ignore(&mut self, field: &str) {
        self.values.remove(field);
    }

    /// All faults. Fields that were not taken are unknown, which is a fault too.
    pub(in crate::api) fn faults(mut self) -> Vec<FieldFault> {
        let mut left: Vec<&str> = self.values.names().collect();
        left.sort_unstable();
        for field in left {
            self.faults.push(FieldFault::new(
                field,
                Code::UnknownField,
                "there is no such field",
            ));
        }
        self.faults
    }

    /// The value that was built of the fields; all faults if there are any.
    pub(in crate::api) fn finish<T>(self, value: Option<T>) -> Result<T, ApiError> {
        let faults = self.faults();
        match value {
            Some(value) if faults.is_empty() => Ok(value),
            _ => Err(ApiError::invalid(faults)),
        }
    }
}
