//! The lines of a profile's keys, for faults: a person looks for a line, not for a path.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The keys of a profile with their places in its text.
pub(super) struct ProfileLines<'t> {
    text: &'t str,
    root: DeValue<'t>,
}

/// A value of the profile, by which the lines of its keys are found.
#[derive(Clone, Copy)]
pub(super) struct LinePlace<'l> {
    text: &'l str,
    value: &'l DeValue<'l>,
    /// Byte of the text where its key begins; `None` for the whole profile.
    start: Option<usize>,
}

impl<'t> ProfileLines<'t> {
    /// Reads a text. One that is no TOML has no keys.
    pub(super) fn read(text: &'t str) -> Self {
        let table = DeTable::parse(text).map(Spanned::into_inner);
        Self {
            text,
            root: DeValue::Table(table.unwrap_or_default()),
        }
    }

    /// The place of the whole profile.
    pub(super) fn root(&self) -> LinePlace<'_> {
        LinePlace {
            text: self.text,
            value: &self.root,
            start: None,
        }
    }
}

impl<'l> LinePlace<'l> {
    /// The place of a key, or else this one.
    pub(super) fn key(self, key: &str) -> Self {
        let table = self.value.as_table();
        let found = table.and_then(|table| table.get_key_value(key));
        found.map_or(self, |(key, value)| self.inner(value, key.span()))
    }

    /// The place of an element of a list, or else this one.
    pub(super) fn entry(self, n: usize) -> Self {
        let list = self.value.as_array();
        let found = list.and_then(|list| list.get(n));
        found.map_or(self, |value| self.inner(value, value.span()))
    }

    /// A value in this one, which begins with a part of the text.
    fn inner(self, value: &'l Spanned<DeValue<'l>>, span: Range<usize>) -> Self {
        let value = value.get_ref();
        let start = Some(span.start);
        Self {
            value,
            start,
            ..self
        }
    }

    /// The line, counted from 1; `None` for the whole profile.
    pub(super) fn line(self) -> Option<usize> {
        self.start.map(|start| line_of(self.text, start))
    }
}

/// The line of a byte of a text, counted from 1.
pub(super) fn line_of(text: &str, byte: usize) -> usize {
    let before = text.bytes().take(byte);
    before.filter(|byte| *byte == b'\n').count() + 1
}
