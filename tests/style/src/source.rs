//! One source file: its syntax, and the lines, tokens and comments that syntax does not keep.
//!
//! A line that no token touches is blank or a comment; so text inside a long string is never taken
//! for either.

use std::ops::RangeInclusive;

use anyhow::{Context, bail};
use proc_macro2::{LineColumn, TokenStream};

use crate::tokens::{DocLine, TokenWalk};

/// Role of one line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// Nothing, or only spaces.
    Blank,
    /// A comment that becomes documentation.
    Doc,
    /// Any other comment that has the line for itself.
    Comment,
    /// At least one token.
    Code,
}

/// One file, parsed. Lines are counted from 1.
pub struct SourceFile {
    /// Path from the root of the workspace, with `/`.
    pub path: String,
    /// Syntax tree; its spans give lines.
    pub syntax: syn::File,
    /// Kind of each line, the first at index 0.
    kinds: Vec<LineKind>,
    /// Beginning of each token, in their order.
    tokens: Vec<LineColumn>,
    /// Lines of documentation, in their order.
    docs: Vec<DocLine>,
    /// Lines that only tests compile.
    tests: Vec<RangeInclusive<usize>>,
}

impl SourceFile {
    /// Parses the text of a file.
    pub fn parse(path: &str, text: &str) -> anyhow::Result<Self> {
        let stream: TokenStream = match text.parse() {
            Ok(stream) => stream,
            Err(error) => bail!("{path} is not Rust: {error}"),
        };
        let syntax = syn::parse2(stream.clone()).with_context(|| format!("{path} is not Rust"))?;
        let walk = TokenWalk::over(stream, text.lines().count());
        Ok(Self {
            path: path.to_owned(),
            syntax,
            kinds: kinds(text, &walk),
            tokens: walk.tokens,
            docs: walk.docs,
            tests: walk.tests,
        })
    }

    /// Directory of the file, which is its room.
    pub fn room(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(room, _)| room)
    }

    /// True if only tests compile this line.
    pub fn is_test(&self, line: usize) -> bool {
        self.tests.iter().any(|lines| lines.contains(&line))
    }

    /// Production lines of one kind, among some lines.
    pub fn count(&self, lines: RangeInclusive<usize>, kind: LineKind) -> usize {
        lines
            .filter(|line| !self.is_test(*line) && self.kinds.get(line - 1) == Some(&kind))
            .count()
    }

    /// All lines, those of tests included.
    pub fn lines(&self) -> RangeInclusive<usize> {
        1..=self.kinds.len()
    }

    /// Number of production lines.
    pub fn production_lines(&self) -> usize {
        self.lines().filter(|line| !self.is_test(*line)).count()
    }

    /// Tokens from the first to the last one, which begin there. A bracket is one token, and so is
    /// each character of an operator; comments are none.
    pub fn tokens(&self, first: LineColumn, last: LineColumn) -> usize {
        let before = self.tokens.partition_point(|token| *token < first);
        self.tokens.partition_point(|token| *token <= last) - before
    }

    /// Lines of documentation on production code.
    pub fn docs(&self) -> impl Iterator<Item = &DocLine> {
        self.docs.iter().filter(|doc| !self.is_test(doc.line))
    }
}

/// Gives each line its kind; a blank line inside a string is code.
fn kinds(text: &str, walk: &TokenWalk) -> Vec<LineKind> {
    let kind = |(index, line): (usize, &str)| {
        if walk.covered[index] {
            LineKind::Code
        } else if line.trim().is_empty() {
            LineKind::Blank
        } else if walk
            .docs
            .binary_search_by_key(&(index + 1), |doc| doc.line)
            .is_ok()
        {
            LineKind::Doc
        } else {
            LineKind::Comment
        }
    };
    text.lines().enumerate().map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile::parse("src/room/file.rs", text).expect("code")
    }

    #[test]
    fn lines_have_kinds_and_a_string_is_code() {
        let file = file("//! A.\n\n// b\nconst C: &str = \"d\n\n// e\n\";\n");
        let kinds = [LineKind::Doc, LineKind::Blank, LineKind::Comment].map(|kind| (kind, 1));
        for (kind, count) in kinds.into_iter().chain([(LineKind::Code, 4)]) {
            assert_eq!(file.count(file.lines(), kind), count, "{kind:?}");
        }
    }

    #[test]
    fn tokens_are_counted_from_one_to_another() {
        let file = file("/// Doc.\nfn a(b: &C) {\n    // D.\n    D::e(b)?;\n}\n");
        let at = |line, column| LineColumn { line, column };
        // { D : : e ( b ) ? ; }
        assert_eq!(file.tokens(at(2, 12), at(5, 0)), 11);
    }

    #[test]
    fn code_of_tests_is_left_out() {
        let file = file(concat!(
            "#[cfg(test)]\nuse a::{b};\nfn c() {}\n",
            "impl D {\n    /// Seen.\n    fn e() {}\n\n    #[cfg(test)]\n    fn f() {\n    }\n}\n",
            "#[cfg(test)]\n#[allow(g)]\nmod tests {\n    /// Unseen.\n    fn h() {}\n}\n",
        ));
        assert_eq!(file.production_lines(), 6);
        assert_eq!(file.docs().count(), 1);
        assert!(file.is_test(2) && !file.is_test(3) && file.is_test(10) && !file.is_test(11));
    }
}
