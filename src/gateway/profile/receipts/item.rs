//! One receipt of a call, and the places of its values.

use std::borrow::Cow;

use serde_json::Value;

use super::{call::CallParts, receipt::ReceiptFault};

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
    /// The call itself.
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
    ) -> Result<Vec<ReceiptItem<'i>>, ReceiptFault> {
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
) -> Result<Vec<ReceiptItem<'i>>, ReceiptFault> {
    let found = parts.json.as_ref().and_then(|json| json.pointer(pointer));
    let list = found.and_then(Value::as_array);
    let list = list.ok_or_else(|| ReceiptFault::NoList(pointer.to_owned()))?;
    Ok(list.iter().map(ReceiptItem::Element).collect())
}

/// The texts of the fields with a number, by their numbers.
pub(super) fn texts<'i>(
    parts: &'i CallParts<'i>,
    name: &str,
) -> Result<Vec<&'i str>, ReceiptFault> {
    let numbered = parts.fields.iter().filter_map(|(field, value)| {
        let number = number_of(field, name)?;
        Some((number, value.as_str()))
    });
    let mut texts: Vec<(usize, &str)> = numbered.collect();
    // Those without a number keep their order.
    texts.sort_by_key(|(number, _)| *number);
    if texts.is_empty() {
        return Err(ReceiptFault::NoList(name.to_owned()));
    }
    Ok(texts.into_iter().map(|(_, text)| text).collect())
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
        let found = match (self, field) {
            (Self::Call(parts), ItemField::Name(name)) => named(parts, name),
            (Self::Call(parts), ItemField::Pointer(at)) => word(parts.json.as_ref()?.pointer(at)?),
            (Self::Element(value), ItemField::Name(name)) => word(value.get(name)?),
            (Self::Element(value), ItemField::Pointer(at)) => word(value.pointer(at)?),
            (Self::Text(lines), ItemField::Line(n)) => lines.get(n - 1).map(|line| (*line).into()),
            _ => None,
        };
        found.filter(|value| !value.is_empty())
    }

    /// A value without which there is no receipt.
    pub(super) fn required(&self, field: &ItemField) -> Result<Cow<'i, str>, ReceiptFault> {
        let found = self.value(field);
        found.ok_or_else(|| ReceiptFault::Missing(field.name()))
    }
}

fn named<'i>(parts: &'i CallParts<'i>, name: &str) -> Option<Cow<'i, str>> {
    let member = parts.json.as_ref().and_then(|json| json.get(name));
    member.map_or_else(|| parts.field(name).map(Cow::Borrowed), word)
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
