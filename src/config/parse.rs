//! Reads a file and the environment into one table, value by value, with the place of each.
//!
//! Each value is tried alone, so that one fault hides no other. A value that does not fit is left out:
//! the table is always one that the types take.

use std::ops::Range;

use serde::Deserialize;
use toml::{
    Spanned, Table, Value,
    de::{DeTable, DeValue, ValueDeserializer},
};

use super::{
    Config,
    path::KeyPath,
    shape::Keys,
    sources::Sources,
    wording::{expected, is_table_of_list, may_hide_secret, misfit, one_line},
};

/// A configuration that is being read.
pub(super) struct SettingsReader {
    pub(super) keys: Keys,
    pub(super) table: Table,
    pub(super) sources: Sources,
}

/// The place of a value: a line of a file, or a variable for whatever is in it.
#[derive(Clone, Copy)]
pub(super) enum Whereabouts<'a> {
    /// A file's name and text.
    File(&'a str, &'a str),
    /// A variable, or an option of the command line.
    Named(&'a str),
}

impl Whereabouts<'_> {
    fn of(&self, span: &Range<usize>) -> String {
        match self {
            Self::File(name, text) => format!("{name}:{}", line_of(text, span.start)),
            Self::Named(name) => (*name).to_owned(),
        }
    }
}

impl SettingsReader {
    /// Begins with no values at all.
    pub(super) fn new() -> Self {
        Self {
            keys: Keys::new(),
            table: Table::new(),
            sources: Sources::default(),
        }
    }

    /// Reads a file. One that is no TOML has only its faults as such.
    pub(super) fn file(&mut self, name: &str, text: &str) {
        let (document, errors) = DeTable::parse_recoverable(text);
        let at = Whereabouts::File(name, text);
        let mut lines = Vec::new();
        for error in errors {
            let place = at.of(&error.span().unwrap_or_default());
            // What follows a fault on its line is a consequence of it.
            if !lines.contains(&place) {
                self.sources.fault_at(&place, &one_line(error.message()));
                lines.push(place);
            }
        }
        if lines.is_empty() {
            self.table = self.section(document.get_ref(), &KeyPath::root(), at);
        }
    }

    fn section(&mut self, found: &DeTable<'_>, path: &KeyPath, at: Whereabouts<'_>) -> Table {
        let mut table = Table::new();
        for (key, value) in found {
            let name = key.get_ref().as_ref();
            let path = path.key(name);
            self.sources.note(&path, at.of(&key.span()));
            if self.keys.find(&path).is_none() {
                self.unknown(&path);
            } else if let Some(value) = self.value(value, &path, at) {
                table.insert(name.to_owned(), value);
            }
        }
        table
    }

    fn unknown(&mut self, path: &KeyPath) {
        // Not a misspelling: it is planned, and whoever writes it must not think that it counts.
        if path.to_string() == "routes" {
            let fault = "routes are not possible yet: all messages go through the one gateway";
            self.sources.fault(path, fault);
            return;
        }
        let way_out = match self.keys.nearest(path) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "config.toml.example has all keys".to_owned(),
        };
        let fault = format!("unknown key; {way_out}");
        self.sources.fault(path, &fault);
    }

    /// Reads a value. `None` if no part of it fits.
    pub(super) fn value(
        &mut self,
        found: &Spanned<DeValue<'_>>,
        path: &KeyPath,
        at: Whereabouts<'_>,
    ) -> Option<Value> {
        let sample = self.keys.find(path)?;
        match (found.get_ref(), sample) {
            (DeValue::Table(found), Value::Table(_)) => {
                Some(Value::Table(self.section(found, path, at)))
            }
            (DeValue::Array(found), Value::Array(_)) => {
                let mut entries = Vec::new();
                for (n, entry) in found.iter().enumerate() {
                    let path = path.entry(n);
                    self.sources.note(&path, at.of(&entry.span()));
                    entries.extend(self.value(entry, &path, at));
                }
                Some(Value::Array(entries))
            }
            _ => self.plain(found.clone(), path),
        }
    }

    fn plain(&mut self, found: Spanned<DeValue<'_>>, path: &KeyPath) -> Option<Value> {
        let value = Value::deserialize(ValueDeserializer::from(found));
        match value {
            Ok(value) => self.tried(value, path),
            Err(error) => {
                self.sources.fault(path, &one_line(error.message()));
                None
            }
        }
    }

    /// Returns a value if it fits in the place of its key.
    pub(super) fn tried(&mut self, value: Value, path: &KeyPath) -> Option<Value> {
        let Err(error) = self.keys.fits(path, &value) else {
            return Some(value);
        };
        let sample = self.keys.find(path)?;
        let is_secret = path.is_secret() && !path.name().starts_with("role");
        let fault = if is_table_of_list(sample, &value) {
            format!("there may be several: write [[{path}]], with two brackets on each side")
        } else if is_secret || may_hide_secret(sample, &value) {
            format!("the value is not {}", expected(sample))
        } else {
            misfit(sample, &value, error.message())
        };
        self.sources.fault(path, &fault);
        None
    }

    /// Ends the reading with a configuration of all that fits, whose values are not checked yet.
    pub(super) fn finish(mut self) -> (Config, Sources) {
        self.refuse_two_kinds();
        let mut table = Value::Table(std::mem::take(&mut self.table));
        self.complete(&mut table, &KeyPath::root());
        let config = table.try_into();
        (config.expect("each value was tried"), self.sources)
    }

    /// Refuses `[gateway]` beside `[[gateways]]`: one of them would be ignored.
    fn refuse_two_kinds(&mut self) {
        if !self.table.contains_key("gateway") || !self.table.contains_key("gateways") {
            return;
        }

        // One of them may be there by a variable alone.
        let place = |section: &str| {
            let place = self.sources.place_in(&KeyPath::root().key(section));
            place.cloned().unwrap_or_default()
        };
        let fault = format!(
            "gateway: there is [[gateways]] too; keep one of them. [gateway] is a gateway that speaks \
             notty's own protocol; [[gateways]] comes from {}",
            place("gateways")
        );
        let at = place("gateway");
        self.sources.fault_at(&at, &fault);
    }

    /// Puts a sample in the place of each key that is missing but required, beside the fault.
    fn complete(&mut self, value: &mut Value, path: &KeyPath) {
        match value {
            Value::Table(table) => {
                let sample = self.keys.find(path).and_then(Value::as_table).cloned();
                for (key, sample) in sample.unwrap_or_default() {
                    self.complete_key(table, path, &key, sample);
                }
            }
            Value::Array(entries) => {
                for (n, entry) in entries.iter_mut().enumerate() {
                    self.complete(entry, &path.entry(n));
                }
            }
            _ => {}
        }
    }

    fn complete_key(&mut self, table: &mut Table, path: &KeyPath, key: &str, sample: Value) {
        let path_of_key = path.key(key);
        if let Some(value) = table.get_mut(key) {
            self.complete(value, &path_of_key);
        } else if self.keys.is_required(path, key) {
            self.sources.fault(&path_of_key, "it is missing");
            table.insert(key.to_owned(), sample);
        }
    }
}

/// The line of a place in a text, counted from 1.
fn line_of(text: &str, at: usize) -> usize {
    let before = &text.as_bytes()[..at.min(text.len())];
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
