//! The words for a value that does not fit its key.

use toml::Value;

use super::{gateways::ANY_KEY, path::KeyPath};

/// A value of the type that a key has, as a person writes it.
pub(super) fn expected(sample: &Value) -> String {
    let plain = match sample {
        Value::String(_) => "a text in quotes",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "`true` or `false`",
        Value::Datetime(_) => "a time",
        Value::Array(_) => "a list in brackets, like [\"a\", \"b\"]",
        Value::Table(table) => {
            if table.contains_key(ANY_KEY) {
                return "a table of texts, like { name = \"…\" }".to_owned();
            }
            let keys: Vec<_> = table.keys().map(String::as_str).collect();
            return format!("a table with the keys {}", keys.join(", "));
        }
    };
    plain.to_owned()
}

/// True for a table in the place of a list of tables.
pub(super) fn is_table_of_list(sample: &Value, value: &Value) -> bool {
    let entry = sample.as_array().and_then(|entries| entries.first());
    entry.is_some_and(Value::is_table) && value.is_table()
}

/// True if a value that does not fit may have a secret in it, because there are some below its key.
pub(super) fn may_hide_secret(sample: &Value, value: &Value) -> bool {
    let is_plain = value.is_integer() || value.is_float() || value.is_bool();
    !is_plain && has_secret(sample)
}

fn has_secret(sample: &Value) -> bool {
    match sample {
        Value::Table(table) => table.iter().any(|(key, value)| {
            let is_secret = KeyPath::root().key(key).is_secret();
            is_secret || has_secret(value)
        }),
        Value::Array(entries) => entries.iter().any(has_secret),
        _ => false,
    }
}

/// A fault that names the value, and the values that would be right.
pub(super) fn misfit(sample: &Value, value: &Value, error: &str) -> String {
    if !value.same_type(sample) {
        return format!("{} is not {}", shown(value), expected(sample));
    }
    if let Value::Integer(number) = value {
        return format!("{number} is not a whole number {}", range(error));
    }
    format!("{} is wrong: {}", shown(value), one_line(error))
}

/// The numbers that a type takes, from the library's message.
fn range(error: &str) -> String {
    let types = [
        ("u8", u64::from(u8::MAX)),
        ("u16", u64::from(u16::MAX)),
        ("u32", u64::from(u32::MAX)),
    ];
    let most = types
        .iter()
        .find(|(name, _)| error.ends_with(&format!("expected {name}")));
    most.map_or("from 0 on".to_owned(), |(_, most)| {
        format!("from 0 to {most}")
    })
}

/// A value as it is written, on one line.
fn shown(value: &Value) -> String {
    one_line(&format!("`{value}`"))
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
