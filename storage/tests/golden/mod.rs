//! The bytes of each kind of command, outcome and record, as they are kept.
//!
//! A change of these bytes is a change of a format: old data would be read as something else, and nodes of two
//! versions would disagree. A field that is added at the end of a struct changes nothing here as long as
//! it is zero (docs/decisions/051-growing-formats.md). `UPDATE_GOLDEN=1` writes the bytes again, which
//! no released version may need.

use std::{fmt::Write, fs, path::Path};

use notty_storage::Scan;

use crate::scripting;

/// Keys without a record in the story yet. Those of 16 and 27 need a state too large for it.
const NOT_TOLD: [u8; 2] = [16, 27];

/// Runs the story, and gives the bytes of all that it made.
fn told(story: &str) -> String {
    let mut world = scripting::World::new();
    let mut text = String::new();
    for line in story
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let said = world.execute(line);
        assert!(said.is_ok(), "{line}: {said:?}");
        for (command, outcome) in world.encoded.drain(..) {
            writeln!(text, "{line}\n  {}\n  {}", hex(&command), hex(&outcome)).expect("memory");
        }
    }

    text.push_str("\nstate\n");
    let view = world.view();
    let scanned = view.read().scan(&[], |key, value| {
        writeln!(text, "  {} {}", hex(key), hex(value)).expect("memory");
        true
    });
    scanned.expect("a state that reads");
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

#[test]
fn what_is_kept_has_the_same_bytes_in_every_version() {
    let story = fs::read_to_string(file("story")).expect("the story");
    let found = told(&story);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        fs::write(file("bytes"), &found).expect("the file can be written");
    }

    let known = fs::read_to_string(file("bytes")).expect("the bytes");
    let differs = found
        .lines()
        .zip(known.lines())
        .find(|(found, known)| found != known);
    assert_eq!(differs, None, "left: found, right: as every version has it");
    assert_eq!(found.lines().count(), known.lines().count());
}

#[test]
fn the_story_has_a_record_under_every_key_and_every_command() {
    let bytes = told(&fs::read_to_string(file("story")).expect("the story"));
    let (commands, state) = bytes
        .split_once("\nstate\n")
        .expect("commands, then the state");
    let table = include_str!("../../src/keys.rs");
    let tags = table.lines().filter_map(|line| {
        let (tag, rest) = line.trim().split_once(' ')?;
        rest.contains("Key").then(|| tag.parse::<u8>().ok())?
    });
    for tag in tags.filter(|tag| !NOT_TOLD.contains(tag)) {
        let key = format!("  {tag:02x}");
        assert!(
            state.lines().any(|line| line.starts_with(&key)),
            "key {tag}"
        );
    }

    // An origin of zero, then the number of the action.
    let table = include_str!("../../src/command/action.rs");
    let numbers = table.lines().filter_map(|line| {
        let (number, rest) = line.trim().split_once(' ')?;
        rest.contains(" -> ").then(|| number.parse::<u8>().ok())?
    });
    for number in numbers {
        let command = format!("  0700{number:02x}");
        let is_told = commands.lines().any(|line| line.starts_with(&command));
        assert!(is_told, "command {number}");
    }
}
