//! The fields and the body of a request, as a profile writes them.

use toml::{Table, Value};

use super::{
    keys::{key_path, shown},
    placeholder::Placeholder,
    template::Template,
};
use crate::config::FaultList;

/// A field of a form or of a query, with its value.
pub(super) type FieldForm = (String, Template);

/// The body of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum BodyForm {
    /// No body at all.
    #[default]
    Empty,
    /// One JSON value alone.
    Json(JsonForm),
    /// Fields, as a browser sends them.
    Form(Vec<FieldForm>),
}

/// A JSON value with placeholders in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum JsonForm {
    /// Members in the order in which they are sent.
    Object(Vec<(String, JsonForm)>),
    /// Elements of an array.
    Array(Vec<JsonForm>),
    /// A text, or a value that is nothing but a placeholder.
    Text(Template),
    /// A number or a truth value, as JSON has it.
    Plain(String),
}

impl JsonForm {
    /// Reads the members of an object.
    pub(super) fn object(table: &Table, path: &str, faults: &mut FaultList) -> Self {
        let mut members = Vec::new();
        for (key, value) in table {
            let form = Self::parse(value, &key_path(path, key), faults);
            members.extend(form.map(|form| (key.clone(), form)));
        }
        Self::Object(members)
    }

    fn parse(value: &Value, path: &str, faults: &mut FaultList) -> Option<Self> {
        match value {
            Value::Table(table) => Some(Self::object(table, path, faults)),
            Value::Array(elements) => Some(Self::array(elements, path, faults)),
            Value::String(text) => template(text, path, faults).map(Self::Text),
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => {
                Some(Self::Plain(value.to_string()))
            }
            Value::Datetime(_) => {
                let fault = format!("{} is a time, and JSON has none; quote it", shown(value));
                faults.add(path, fault);
                None
            }
        }
    }

    fn array(elements: &[Value], path: &str, faults: &mut FaultList) -> Self {
        let numbered = elements.iter().enumerate();
        let forms = numbered.filter_map(|(n, element)| {
            let path = format!("{path}[{n}]");
            Self::parse(element, &path, faults)
        });
        Self::Array(forms.collect())
    }

    /// Adds every placeholder in it.
    pub(super) fn gather<'f>(&'f self, found: &mut Vec<&'f Placeholder>) {
        match self {
            Self::Object(members) => members.iter().for_each(|(_, form)| form.gather(found)),
            Self::Array(elements) => elements.iter().for_each(|form| form.gather(found)),
            Self::Text(template) => found.extend(template.placeholders()),
            Self::Plain(_) => {}
        }
    }

    /// The form without the values that have an absent placeholder in them. An object or array of
    /// which nothing is left goes too.
    pub(super) fn without(self, is_absent: &impl Fn(&Placeholder) -> bool) -> Option<Self> {
        match self {
            Self::Object(members) => {
                let kept = members.into_iter().filter_map(|(key, form)| {
                    let form = form.without(is_absent)?;
                    Some((key, form))
                });
                let kept: Vec<_> = kept.collect();
                (!kept.is_empty()).then_some(Self::Object(kept))
            }

            Self::Array(elements) => {
                let kept = elements.into_iter();
                let kept: Vec<_> = kept.filter_map(|form| form.without(is_absent)).collect();
                (!kept.is_empty()).then_some(Self::Array(kept))
            }

            Self::Text(template) => is_whole(&template, is_absent).then_some(Self::Text(template)),
            Self::Plain(_) => Some(self),
        }
    }
}

/// True if a template has no absent placeholder in it.
pub(super) fn is_whole(template: &Template, is_absent: &impl Fn(&Placeholder) -> bool) -> bool {
    !template.placeholders().any(is_absent)
}

/// Reads the fields of a form, of a query, or of the headers.
pub(super) fn fields(table: &Table, path: &str, faults: &mut FaultList) -> Vec<FieldForm> {
    let mut fields = Vec::new();
    for (key, value) in table {
        let field = field(value, &key_path(path, key), faults);
        fields.extend(field.map(|template| (key.clone(), template)));
    }
    fields
}

fn field(value: &Value, path: &str, faults: &mut FaultList) -> Option<Template> {
    match value {
        Value::String(text) => template(text, path, faults),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => {
            template(&value.to_string(), path, faults)
        }
        _ => {
            faults.add(path, format!("{} is not a text or a number", shown(value)));
            None
        }
    }
}

/// Reads a text with placeholders.
pub(super) fn template(text: &str, path: &str, faults: &mut FaultList) -> Option<Template> {
    match Template::parse(text) {
        Ok(template) => Some(template),
        Err(fault) => {
            faults.add(path, fault);
            None
        }
    }
}
