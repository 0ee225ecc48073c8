//! One receipt of a call, and the places of its values.

use std::borrow::Cow;

use serde_json::Value;

use super::{call::CallParts, receipt::ReceiptCallFault};

/// The place of the receipts in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ItemList {
    /// The call is one receipt.
    Whole,
    /// The elements of a JSON array, by its pointer.
    Array(String),
    /// The fields `NAME[0]`, `NAME[1]` and so on, each with a text of several lines.
    Lines(String),
}

/// The place of a value in a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway::profile) enum ItemField {
    /// A field of the form or the query, or a member of the JSON.
    Name(String),
    /// A place in the JSON, by its pointer.
    Pointer(String),
    /// A line of the text, from 1.
    Line(usize),
}

/// A test that a receipt must fit; anything else in a call is about other things.
#[derive(Clone, Debug)]
pub(super) struct ItemTest {
    pub(super) at: ItemField,
    pub(super) values: Vec<String>,
}

/// One receipt of a call.
#[derive(Debug)]
pub(super) enum ReceiptItem<'i> {
    /// The call, of which nothing is a list.
    Call(&'i CallParts<'i>),
    /// An element of an array.
    Element(&'i Value),
    /// The lines of a text.
    Text(Vec<&'i str>),
}

impl ItemList {
    /// The receipts of a call.
    pub(super) fn items<'i>(
        &self,
        parts: &'i CallParts<'i>,
    ) -> Result<Vec<ReceiptItem<'i>>, ReceiptCallFault> {
        match self {
            Self::Whole => Ok(vec![ReceiptItem::Call(parts)]),
            Self::Array(pointer) => elements(parts, pointer),
            Self::Lines(name) => Ok(texts(parts, name)?.into_iter().map(of_lines).collect()),
        }
    }
}

fn elements<'i>(
    parts: &'i CallParts<'i>,
    pointer: &str,
) -> Result<Vec<ReceiptItem<'i>>, ReceiptCallFault> {
    let found = parts.json.as_ref().and_then(|json| json.pointer(pointer));
    let list = found.and_then(Value::as_array);
    let list = list.ok_or_else(|| ReceiptCallFault::NoList(pointer.to_owned()))?;
    Ok(list.iter().map(ReceiptItem::Element).collect())
}

/// The texts of the fields with a number, by their numbers.
pub(super) fn texts<'i>(
    parts: &'i CallParts<'i>,
    name: &str,
) -> Result<Vec<&'i str>, ReceiptCallFault> {
    let mut texts = numbered(parts, name);
    if texts.is_empty() {
        return Err(ReceiptCallFault::NoList(name.to_owned()));
    }

    // A form may have them in any order; those without a number keep theirs.
    texts.sort_by_key(|(number, _)| *number);
    Ok(texts.into_iter().map(|(_, text)| text).collect())
}

fn numbered<'i>(parts: &'i CallParts<'i>, name: &str) -> Vec<(usize, &'i str)> {
    let fields = parts.fields.iter();
    let found = fields.filter_map(|(field, value)| Some((number_of(field, name)?, value.as_str())));
    found.collect()
}

/// The number of `NAME[number]`; 0 for `NAME[]`.
fn number_of(field: &str, name: &str) -> Option<usize> {
    let inner = field.strip_prefix(name)?.strip_prefix('[')?;
    match inner.strip_suffix(']')? {
        "" => Some(0),
        number => number.parse().ok(),
    }
}

fn of_lines(text: &str) -> ReceiptItem<'_> {
    ReceiptItem::Text(text.lines().collect())
}

impl<'i> ReceiptItem<'i> {
    /// A value as a text; numbers are as they are written. `None` if it is absent or empty.
    pub(super) fn value(&self, field: &ItemField) -> Option<Cow<'i, str>> {
        let found = match self {
            Self::Call(parts) => of_call(parts, field),
            Self::Element(value) => of_json(value, field),
            Self::Text(lines) => of_text(lines, field),
        };
        found.filter(|value| !value.is_empty())
    }

    /// A value without which there is no receipt.
    pub(super) fn required(&self, field: &ItemField) -> Result<Cow<'i, str>, ReceiptCallFault> {
        let found = self.value(field);
        found.ok_or_else(|| ReceiptCallFault::Missing(field.name()))
    }
}

fn of_call<'i>(parts: &'i CallParts<'i>, field: &ItemField) -> Option<Cow<'i, str>> {
    let in_json = parts.json.as_ref().and_then(|json| of_json(json, field));
    in_json.or_else(|| of_fields(parts, field))
}

fn of_fields<'i>(parts: &'i CallParts<'i>, field: &ItemField) -> Option<Cow<'i, str>> {
    match field {
        ItemField::Name(name) => parts.field(name).map(Cow::Borrowed),
        _ => None,
    }
}

fn of_json<'i>(value: &'i Value, field: &ItemField) -> Option<Cow<'i, str>> {
    match field {
        ItemField::Name(name) => word(value.get(name)?),
        ItemField::Pointer(at) => word(value.pointer(at)?),
        ItemField::Line(_) => None,
    }
}

fn of_text<'i>(lines: &[&'i str], field: &ItemField) -> Option<Cow<'i, str>> {
    match field {
        ItemField::Line(number) => lines.get(number - 1).map(|line| Cow::Borrowed(*line)),
        _ => None,
    }
}

fn word(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) if !number.is_f64() => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

impl ItemField {
    /// The place as the profile has it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Name(name) | Self::Pointer(name) => name.clone(),
            Self::Line(n) => format!("line:{n}"),
        }
    }
}

impl ItemTest {
    /// True if a receipt has one of the values.
    pub(super) fn fits(&self, item: &ReceiptItem<'_>) -> bool {
        let found = item.value(&self.at);
        found.is_some_and(|found| self.values.iter().any(|value| *value == found))
    }
}
