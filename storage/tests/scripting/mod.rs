//! Scripts: stories of commands and their answers, kept in files that a person can read.
//!
//! A block is lines of commands, `---`, and the output up to the next blank line; `#` begins a
//! comment. The output in the file is what the state must answer. Each file begins with an empty
//! state of its own, and after every command everything that must hold of a state is checked.

mod actions;
mod line;
mod receipts;
mod show;
mod world;

use std::path::Path;

pub(crate) use world::World;

/// Between the commands of a block and their output.
const SEPARATOR: &str = "---";

/// Runs a script and gives it with the outputs that came.
pub(crate) fn run(script: &str) -> Result<String, String> {
    let mut world = World::new();
    let mut rewritten = String::new();
    let mut lines = script.lines().zip(1..);
    let mut said = Vec::new();
    while let Some((line, number)) = lines.next() {
        rewritten.push_str(line);
        rewritten.push('\n');
        if line == SEPARATOR {
            lines.by_ref().find(|(line, _)| line.trim().is_empty());
            if said.is_empty() {
                said.push("ok".to_owned());
            }
            for line in said.drain(..) {
                rewritten.push_str(&line);
                rewritten.push('\n');
            }
            rewritten.push('\n');
        } else if !line.is_empty() && !line.starts_with('#') {
            let answer = world.execute(line);
            said.extend(answer.map_err(|fault| format!("line {number}: {line}\n  {fault}"))?);
        }
    }
    Ok(format!("{}\n", rewritten.trim_end()))
}

/// Runs a file; with `UPDATE_SCRIPTS=1` its outputs are rewritten, otherwise they are compared.
pub(crate) fn run_file(path: &Path) -> Result<(), String> {
    let name = path.display();
    let script = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let found = run(&script).map_err(|fault| format!("{name}: {fault}"))?;
    if found == script {
        return Ok(());
    }
    if std::env::var_os("UPDATE_SCRIPTS").is_some_and(|value| value == "1") {
        return std::fs::write(path, found).map_err(|error| format!("{name}: {error}"));
    }
    Err(format!(
        "{name}: the answers differ (UPDATE_SCRIPTS=1 rewrites them)\n{}",
        diff(&script, &found)
    ))
}

/// The lines that differ, with what stands before them.
fn diff(expected: &str, found: &str) -> String {
    let (expected, found) = (
        expected.lines().collect::<Vec<_>>(),
        found.lines().collect::<Vec<_>>(),
    );
    let same = expected
        .iter()
        .zip(&found)
        .take_while(|(a, b)| a == b)
        .count();
    let rest = (expected.len().min(found.len())) - same;
    let tail = expected
        .iter()
        .rev()
        .zip(found.iter().rev())
        .take(rest)
        .take_while(|(a, b)| a == b);
    let tail = tail.count();
    let mut text = String::new();
    let mut add = |mark: char, line: &str| text.push_str(&format!("  {mark} {line}\n"));
    expected[same.saturating_sub(6)..same]
        .iter()
        .for_each(|line| add(' ', line));
    expected[same..expected.len() - tail]
        .iter()
        .for_each(|line| add('-', line));
    found[same..found.len() - tail]
        .iter()
        .for_each(|line| add('+', line));
    text
}
