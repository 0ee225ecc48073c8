//! The fields and the body of a request, as a profile writes them.

use toml::{Table, Value};

use super::{placeholder::Placeholder, spot::Spot, template::Template};

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

impl BodyForm {
    /// Every text in it.
    pub(super) fn templates(&self) -> Vec<&Template> {
        let mut found = Vec::new();
        match self {
            Self::Empty => {}
            Self::Json(form) => form.gather(&mut found),
            Self::Form(fields) => found.extend(fields.iter().map(|(_, value)| value)),
        }
        found
    }

    /// The names of its members or fields.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Json(JsonForm::Object(members)) => names(members),
            Self::Form(fields) => names(fields),
            Self::Empty | Self::Json(_) => Vec::new(),
        }
    }
}

/// The names of some fields or members.
pub(super) fn names<T>(named: &[(String, T)]) -> Vec<&str> {
    named.iter().map(|(name, _)| name.as_str()).collect()
}

impl JsonForm {
    /// Reads the members of an object.
    pub(super) fn object(table: &Table, spot: &Spot<'_>) -> Self {
        let members = table.iter().filter_map(|(key, value)| {
            let form = Self::parse(value, &spot.key(key))?;
            Some((key.clone(), form))
        });
        Self::Object(members.collect())
    }

    fn parse(value: &Value, spot: &Spot<'_>) -> Option<Self> {
        match value {
            Value::Table(table) => Some(Self::object(table, spot)),
            Value::Array(elements) => Some(Self::array(elements, spot)),
            Value::String(text) => template(text, spot).map(Self::Text),
            Value::Datetime(_) => spot.expect(None, value, "JSON, which has no times; quote it"),
            Value::Float(number) if !number.is_finite() => {
                spot.expect(None, value, "JSON, which has no such number; quote it")
            }
            plain => Some(Self::Plain(plain.to_string())),
        }
    }

    fn array(elements: &[Value], spot: &Spot<'_>) -> Self {
        let numbered = elements.iter().enumerate();
        let forms = numbered.filter_map(|(n, element)| Self::parse(element, &spot.entry(n)));
        Self::Array(forms.collect())
    }

    /// Adds every text in it.
    fn gather<'f>(&'f self, found: &mut Vec<&'f Template>) {
        match self {
            Self::Object(members) => members.iter().for_each(|(_, form)| form.gather(found)),
            Self::Array(elements) => elements.iter().for_each(|form| form.gather(found)),
            Self::Text(template) => found.push(template),
            Self::Plain(_) => {}
        }
    }

    /// The form without the values that have an absent placeholder in them. An object or array of
    /// which nothing is left goes too.
    pub(super) fn without(self, is_absent: &impl Fn(&Placeholder) -> bool) -> Option<Self> {
        match self {
            Self::Object(members) => without_members(members, is_absent),
            Self::Array(elements) => without_elements(elements, is_absent),
            Self::Text(template) => is_whole(&template, is_absent).then_some(Self::Text(template)),
            Self::Plain(_) => Some(self),
        }
    }
}

fn without_members(
    members: Vec<(String, JsonForm)>,
    is_absent: &impl Fn(&Placeholder) -> bool,
) -> Option<JsonForm> {
    let kept = members.into_iter().filter_map(|(key, form)| {
        let form = form.without(is_absent)?;
        Some((key, form))
    });
    let kept: Vec<_> = kept.collect();
    (!kept.is_empty()).then_some(JsonForm::Object(kept))
}

fn without_elements(
    elements: Vec<JsonForm>,
    is_absent: &impl Fn(&Placeholder) -> bool,
) -> Option<JsonForm> {
    let kept = elements.into_iter();
    let kept: Vec<_> = kept.filter_map(|form| form.without(is_absent)).collect();
    (!kept.is_empty()).then_some(JsonForm::Array(kept))
}

/// True if a template has no absent placeholder in it.
pub(super) fn is_whole(template: &Template, is_absent: &impl Fn(&Placeholder) -> bool) -> bool {
    !template.placeholders().any(is_absent)
}

/// Reads the fields of a form, of a query, or of the headers.
pub(super) fn fields(table: &Table, spot: &Spot<'_>) -> Vec<FieldForm> {
    let fields = table.iter().filter_map(|(key, value)| {
        let template = field(value, &spot.key(key))?;
        Some((key.clone(), template))
    });
    fields.collect()
}

fn field(value: &Value, spot: &Spot<'_>) -> Option<Template> {
    let text = word(value);
    let text = spot.expect(text, value, "a text or a number")?;
    template(&text, spot)
}

/// A value that can stand for a text as it is.
pub(super) fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => Some(value.to_string()),
        _ => None,
    }
}

/// Reads a text with placeholders.
pub(super) fn template(text: &str, spot: &Spot<'_>) -> Option<Template> {
    spot.keep(Template::parse(text))
}
