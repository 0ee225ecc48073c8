//! Reads the keys of a profile's tables, one by one, and gathers every fault with the key's path.
//!
//! Types with `serde` would stop at the first fault. Here a value that is wrong is left out, and the
//! reading goes on; a key that nobody asked for is unknown.

use std::ops::RangeInclusive;

use toml::{Table, Value};

use crate::config::FaultList;

/// Similarity of two names, from 0 to 1, above which one may be meant by the other.
const SIMILAR: f64 = 0.6;

/// A table that is being read.
pub(super) struct KeyReader<'t> {
    table: &'t Table,
    path: String,
    asked: Vec<&'static str>,
}

impl<'t> KeyReader<'t> {
    /// A table, and its path in the profile; the path of the whole profile is empty.
    pub(super) fn new(table: &'t Table, path: &str) -> Self {
        Self {
            table,
            path: path.to_owned(),
            asked: Vec::new(),
        }
    }

    /// The path of a key of this table.
    pub(super) fn path(&self, key: &str) -> String {
        key_path(&self.path, key)
    }

    /// A value of any type.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'t Value> {
        self.asked.push(key);
        self.table.get(key)
    }

    /// A text in quotes.
    pub(super) fn text(&mut self, key: &'static str, faults: &mut FaultList) -> Option<&'t str> {
        let value = self.value(key)?;
        let text = value.as_str();
        self.expect(text, key, value, "a text in quotes", faults)
    }

    /// A text that a profile cannot be without.
    pub(super) fn required_text(
        &mut self,
        key: &'static str,
        faults: &mut FaultList,
    ) -> Option<&'t str> {
        if !self.table.contains_key(key) {
            faults.add(&self.path(key), "it is missing");
        }
        self.text(key, faults)
    }

    /// A table within this one.
    pub(super) fn table(&mut self, key: &'static str, faults: &mut FaultList) -> Option<&'t Table> {
        let value = self.value(key)?;
        let table = value.as_table();
        self.expect(table, key, value, "a table", faults)
    }

    /// One of `true` and `false`.
    pub(super) fn flag(&mut self, key: &'static str, faults: &mut FaultList) -> Option<bool> {
        let value = self.value(key)?;
        let flag = value.as_bool();
        self.expect(flag, key, value, "`true` or `false`", faults)
    }

    /// A whole number within bounds.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        range: RangeInclusive<i64>,
        faults: &mut FaultList,
    ) -> Option<i64> {
        let value = self.value(key)?;
        let number = value.as_integer().filter(|number| range.contains(number));
        let (least, most) = range.into_inner();
        let wanted = format!("a whole number from {least} to {most}");
        self.expect(number, key, value, &wanted, faults)
    }

    /// A list of texts; empty if the key is absent.
    pub(super) fn texts(&mut self, key: &'static str, faults: &mut FaultList) -> Vec<&'t str> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let texts = value.as_array().map(|list| list.iter().map(Value::as_str));
        let texts = texts.and_then(Iterator::collect);
        let wanted = "a list of texts, like [\"a\", \"b\"]";
        self.expect(texts, key, value, wanted, faults)
            .unwrap_or_default()
    }

    /// Ends the reading: a key that was not asked for is unknown.
    pub(super) fn finish(self, faults: &mut FaultList) {
        let asked = |key: &str| self.asked.contains(&key);
        for key in self.table.keys().filter(|key| !asked(key)) {
            let fault = format!("unknown key; {}", way_out(key, &self.asked));
            faults.add(&self.path(key), fault);
        }
    }

    fn expect<T>(
        &self,
        found: Option<T>,
        key: &str,
        value: &Value,
        wanted: &str,
        faults: &mut FaultList,
    ) -> Option<T> {
        if found.is_none() {
            let fault = format!("{} is not {wanted}", shown(value));
            faults.add(&self.path(key), fault);
        }
        found
    }
}

/// The path of a key within a table.
pub(super) fn key_path(table: &str, key: &str) -> String {
    if table.is_empty() {
        return key.to_owned();
    }
    format!("{table}.{key}")
}

/// A value as it is written, on one line.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    let words: Vec<&str> = text.split_whitespace().collect();
    format!("`{}`", words.join(" "))
}

/// The name that a wrong one is most likely meant to be, or else all names.
pub(super) fn way_out(wrong: &str, known: &[&str]) -> String {
    let scored = known
        .iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(name, wrong), name));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    match best {
        Some((score, name)) if score >= SIMILAR => format!("did you mean `{name}`?"),
        _ => format!("there are {}", known.join(", ")),
    }
}
