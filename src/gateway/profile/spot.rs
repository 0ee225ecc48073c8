//! Places in a profile, and the faults that are found there while the reading goes on.

use std::cell::RefCell;

use toml::Value;

use super::lines::{LinePlace, ProfileLines};
use crate::config::{ConfigError, FaultList};

/// The faults of a profile. Its parts are read one after the other, and all of them add to it.
#[derive(Default)]
pub(super) struct ProfileFaults<'l> {
    found: RefCell<FaultList>,
    root: Option<LinePlace<'l>>,
}

impl<'l> ProfileFaults<'l> {
    /// Faults that name the lines of a profile.
    pub(super) fn of_lines(lines: &'l ProfileLines<'_>) -> Self {
        Self {
            root: Some(lines.root()),
            ..Self::default()
        }
    }

    /// The place of a section by its path; the path of the whole profile is empty.
    pub(super) fn at(&self, path: &str) -> Spot<'_> {
        Spot {
            path: path.to_owned(),
            place: self.root,
            faults: self,
        }
    }

    /// All faults as one error, if there are any.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        self.found.into_inner().finish()
    }
}

/// A place in a profile, where something may be wrong.
#[derive(Clone)]
pub(super) struct Spot<'f> {
    path: String,
    /// The same place in the text, if faults name lines.
    place: Option<LinePlace<'f>>,
    faults: &'f ProfileFaults<'f>,
}

impl Spot<'_> {
    /// The place of a key in the table that is here.
    pub(super) fn key(&self, key: &str) -> Self {
        Self {
            path: key_path(&self.path, key),
            place: self.place.map(|place| place.key(key)),
            faults: self.faults,
        }
    }

    /// The place of an element in the list that is here, counted from 0.
    pub(super) fn entry(&self, n: usize) -> Self {
        Self {
            path: format!("{}[{n}]", self.path),
            place: self.place.map(|place| place.entry(n)),
            faults: self.faults,
        }
    }

    /// The path of this place in the profile.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Notes a fault of this place.
    pub(super) fn fault(&self, fault: impl AsRef<str>) {
        let fault = fault.as_ref();
        let line = self.place.and_then(LinePlace::line);
        let line = line.map_or_else(String::new, |line| format!(" (line {line})"));
        let mut found = self.faults.found.borrow_mut();
        found.add(&self.path, format!("{fault}{line}"));
    }

    /// Returns what was found right, or notes the fault.
    pub(super) fn keep<T>(&self, found: Result<T, String>) -> Option<T> {
        found.map_err(|fault| self.fault(fault)).ok()
    }

    /// Returns what a value holds, or notes that the value is something else.
    pub(super) fn expect<T>(&self, found: Option<T>, value: &Value, wanted: &str) -> Option<T> {
        if found.is_none() {
            self.fault(format!("{} is not {wanted}", shown(value)));
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
fn shown(value: &Value) -> String {
    format!("`{}`", one_line(&value.to_string()))
}

/// A text with one blank in the place of each line end and indentation.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
