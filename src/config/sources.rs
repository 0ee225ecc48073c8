//! The places of a configuration's values, and the faults with their places.

use std::collections::{BTreeMap, BTreeSet};

use super::{ConfigError, path::KeyPath};

/// A fault, and its line in the file; the last of all lines if it is not in the file.
type PlacedFault = (usize, String);

/// The place of each key that was given, and the faults so far.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Places by path: a file with its line, a variable, or an option.
    places: BTreeMap<String, String>,
    faults: Vec<PlacedFault>,
    /// Paths of the keys that have a fault. Each shows only its first.
    faulty: BTreeSet<String>,
}

impl Sources {
    /// Remembers the place of a key. A later one overrides.
    pub(super) fn note(&mut self, path: &KeyPath, place: String) {
        let path = path.to_string();
        // What was in the place of a list or section before is gone with all of its parts.
        self.places.retain(|other, _| !is_part(other, &path));
        self.places.insert(path, place);
    }

    /// Adds a fault that no key has, with its place.
    pub(super) fn fault_at(&mut self, place: &str, fault: &str) {
        self.faults
            .push((line_of(place), format!("{place}: {fault}")));
    }

    /// Adds a fault of a key, unless the key has one already.
    pub(super) fn fault(&mut self, path: &KeyPath, fault: &str) {
        self.add(&path.to_string(), fault);
    }

    fn add(&mut self, key: &str, fault: &str) {
        if !self.faulty.insert(key.to_owned()) {
            return;
        }
        let fault = format!("{key}: {fault}");
        match self.place(key).cloned() {
            Some(place) => self.fault_at(&place, &fault),
            None => self.faults.push((usize::MAX, fault)),
        }
    }

    /// Adds the faults of checks, each beginning with the path of its key.
    pub(super) fn add_checked(&mut self, error: &ConfigError) {
        for line in error.0.lines() {
            match line.split_once(": ") {
                Some((key, fault)) => self.add(key, fault),
                None => self.faults.push((usize::MAX, line.to_owned())),
            }
        }
    }

    /// The place of a section, or of whatever is given below it.
    pub(super) fn place_in(&self, path: &KeyPath) -> Option<&String> {
        let path = path.to_string();
        let mut below = self
            .places
            .iter()
            .filter(|(other, _)| is_part(other, &path));
        let first_below = below.next().map(|(_, place)| place);
        self.places.get(&path).or(first_below)
    }

    /// All faults as one error; none if there are none.
    pub(super) fn finish(mut self) -> Result<(), ConfigError> {
        if self.faults.is_empty() {
            return Ok(());
        }
        // In the order of the file, whichever check found them.
        self.faults.sort_by_key(|(line, _)| *line);
        let faults: Vec<_> = self.faults.into_iter().map(|(_, fault)| fault).collect();
        Err(ConfigError(faults.join("\n")))
    }

    /// The place of a key; or of the entry or section that it is in.
    fn place(&self, key: &str) -> Option<&String> {
        let mut key = key;
        loop {
            if let Some(place) = self.places.get(key) {
                return Some(place);
            }
            let end = key.rfind(['.', '['])?;
            key = &key[..end];
        }
    }
}

/// The line at the end of a place in a file.
fn line_of(place: &str) -> usize {
    let line = place.rsplit(':').next().unwrap_or_default();
    line.parse().unwrap_or(usize::MAX)
}

/// True if a path leads into another.
fn is_part(path: &str, of: &str) -> bool {
    let rest = path.strip_prefix(of);
    rest.is_some_and(|rest| rest.starts_with(['.', '[']))
}
