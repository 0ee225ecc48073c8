//! Profiles of users' own: reads the file, and names each fault with the file and its line.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::{config::ConfigError, gateway::profile::Profile};

/// Reads a profile. `key` is the one that names the file.
pub(super) fn read(file: &Path, key: &str) -> Result<Profile, ConfigError> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| ConfigError::at(key, format!("{name}: {error}")))?;
    Profile::parse(&text).map_err(|faults| placed(&faults, &name, &text))
}

/// The faults with the file's name, and the line of each.
fn placed(faults: &ConfigError, file: &str, text: &str) -> ConfigError {
    let document = DeTable::parse(text).ok();
    let lines = faults.0.lines().map(|fault| {
        let path = fault.split_once(": ").map_or("", |(path, _)| path);
        let start = document
            .as_ref()
            .map(|document| start(document.get_ref(), path));
        match start {
            Some(start) => format!("{file}:{}: {fault}", line_of(text, start)),
            // A text that is no TOML has the line in its fault.
            None => format!("{file}: {fault}"),
        }
    });
    ConfigError(lines.collect::<Vec<_>>().join("\n"))
}

/// The place of a key like `answer[2].if.at` in the text: of as much of it as is there.
fn start(document: &DeTable<'_>, path: &str) -> usize {
    let mut start = 0;
    let mut found: Option<&DeValue<'_>> = None;
    for step in path.split(['.', '[']) {
        let next = match (found, step.trim_end_matches(']').parse::<usize>()) {
            (Some(DeValue::Array(entries)), Ok(n)) => entries
                .get(n)
                .map(|entry| (entry.span().start, entry.get_ref())),
            (Some(DeValue::Table(table)), _) => key(table, step),
            (None, _) => key(document, step),
            _ => None,
        };
        let Some((place, value)) = next else {
            break;
        };
        start = place;
        found = Some(value);
    }
    start
}

/// A key's place, and its value.
fn key<'t, 'd>(table: &'t DeTable<'d>, name: &str) -> Option<(usize, &'t DeValue<'d>)> {
    let mut keys = table.iter();
    let (key, value) = keys.find(|(key, _)| key.get_ref() == name)?;
    Some((key.span().start, value.get_ref()))
}

/// The line of a place in a text, counted from 1.
fn line_of(text: &str, at: usize) -> usize {
    let before = &text.as_bytes()[..at.min(text.len())];
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_a_profile_has_its_line() {
        let text = "[request]\nmethod = \"POST\"\nurl = \"ftp://x\"\n\n[[answer]]\n\
                    if = { at = \"/id\", exists = true }\nis = \"taken\"\n\n[[answer]]\n\
                    if = { at = \"no-slash\" }\nis = \"later\"\nspeed = 3\n";
        let faults = Profile::parse(text).expect_err("refused");
        let placed = placed(&faults, "acme.toml", text).0;
        for wanted in [
            "acme.toml:3: request.url: ",
            "acme.toml:10: answer[1].if",
            "acme.toml:12: answer[1].speed: ",
        ] {
            let is_there = placed.lines().any(|line| line.starts_with(wanted));
            assert!(is_there, "{wanted}: {placed}");
        }

        let faults = Profile::parse("[request\n").expect_err("refused");
        let placed = super::placed(&faults, "acme.toml", "[request\n").0;
        assert!(placed.starts_with("acme.toml: line 1: "), "{placed}");
    }
}
