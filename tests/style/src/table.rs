//! The table that the program prints: a line for each room, and one for all of them.
//!
//! It is written as Markdown with aligned columns, so that it reads well in a terminal and can be
//! copied into a document.

use std::collections::BTreeMap;

use crate::{
    SourceFile, Workspace,
    figures::{Figures, Share},
    names::{self, TypeName},
};

/// Number of columns of the table.
const COLUMNS: usize = 15;

/// Heads of the columns.
const HEADS: [&str; COLUMNS] = [
    "room",
    "files",
    "file lines",
    "function lines",
    "tokens",
    "a line",
    "blank",
    "inner",
    "comments",
    "documented",
    "questions",
    "short docs",
    "shared names",
    "tuples",
    "bound again",
];

/// Explains the columns of the table.
pub const LEGEND: &str = "\
file lines: median / max
function lines: median / 90th percentile / max, from `fn` to the last brace
tokens: of a function's body, median / 99th percentile / max
a line: tokens of bodies among the lines of functions of 15 lines and more
blank: blank lines among the same lines
inner: comments among the same lines
comments: comments of all kinds among all lines that are not blank
documented: public items with a doc comment
questions: lines of documentation (`///`) that begin with a question word
short docs: doc comments of three words or fewer
shared names: names of types that more than one type of the workspace bears
tuples: `let` with several values in one tuple
bound again: `let` of a plain name that the same block has bound before
";

/// Makes the table of one room, or of all rooms and their sum. An unknown room gives no lines.
pub fn table(workspace: &Workspace, room: Option<&str>) -> String {
    let shared = names::shared(workspace);
    let mut rows = vec![HEADS.map(str::to_owned)];

    for name in workspace.rooms() {
        if room.is_none_or(|room| room == name) {
            let files = workspace
                .files()
                .filter(|file| file.room() == name)
                .collect();
            rows.push(row(name, files, &shared));
        }
    }
    if room.is_none() {
        rows.push(row("all", workspace.files().collect(), &shared));
    }
    aligned(&rows)
}

/// The cells of some files, in the order of the heads.
fn row(
    name: &str,
    files: Vec<&SourceFile>,
    shared: &BTreeMap<String, Vec<TypeName>>,
) -> [String; COLUMNS] {
    let is_here = |found: &TypeName| files.iter().any(|file| file.path == found.path);
    let shared = shared
        .values()
        .filter(|types| types.iter().any(is_here))
        .count();
    let figures = Figures::of(files);
    let Figures {
        file_lines,
        function_lines,
        function_tokens,
        ..
    } = figures;

    [
        name.to_owned(),
        figures.files.to_string(),
        format!("{} / {}", file_lines.median, file_lines.max),
        format!(
            "{} / {} / {}",
            function_lines.median, function_lines.high, function_lines.max
        ),
        format!(
            "{} / {} / {}",
            function_tokens.median, function_tokens.high, function_tokens.max
        ),
        unless_empty(figures.tokens_a_line, |ratio| format!("{ratio:.1}")),
        percent(figures.blank),
        percent(figures.inner_comments),
        percent(figures.comments),
        percent(figures.documented),
        percent(figures.questions),
        figures.short_docs.to_string(),
        shared.to_string(),
        figures.tuples.to_string(),
        figures.bound_again.to_string(),
    ]
}

fn percent(share: Share) -> String {
    unless_empty(share, |ratio| format!("{:.1} %", 100.0 * ratio))
}

/// Writes a ratio; a dash where there is nothing to share.
fn unless_empty(share: Share, write: impl Fn(f64) -> String) -> String {
    if share.whole == 0 {
        "–".to_owned()
    } else {
        write(share.ratio())
    }
}

/// Markdown, each column as wide as its widest cell.
fn aligned(rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..COLUMNS).filter_map(width).collect();

    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let cell = |(cell, width): (&String, &usize)| format!("| {cell:<width$} ");
        text.extend(row.iter().zip(&widths).map(cell));
        text.push_str("|\n");

        if index == 0 {
            text.extend(
                widths
                    .iter()
                    .map(|width| format!("|{}", "-".repeat(width + 2))),
            );
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_room_has_a_line_and_all_have_one() {
        let files = [
            ("a/src/lib.rs", "/// A type.\npub struct A;\n"),
            ("b/src/b.rs", "enum A {}\n"),
        ];
        let parsed = files.map(|(path, text)| SourceFile::parse(path, text).expect("code"));
        let workspace = Workspace::of(parsed.into());

        let all = table(&workspace, None);
        let heads: Vec<&str> = all
            .lines()
            .filter_map(|line| line.split('|').nth(1).map(str::trim))
            .collect();
        assert_eq!(heads[0], "room");
        assert_eq!(heads[2..], ["a/src", "b/src", "all"]);

        let one = table(&workspace, Some("a/src"));
        let last: Vec<&str> = one
            .lines()
            .last()
            .unwrap_or_default()
            .split('|')
            .map(str::trim)
            .collect();
        assert_eq!(last[1..4], ["a/src", "1", "2 / 2"]);
        assert_eq!(last[13], "1", "{one}");
    }
}
