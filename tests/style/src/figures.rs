//! The numbers of a room, or of all rooms.

use crate::{
    SourceFile, bindings, docs,
    functions::{self, Function},
    names,
    source::LineKind,
    tokens::DocLine,
};

/// Lines from which a function is long enough for paragraphs.
const LONG: usize = 15;

/// Some sizes: the middle one, one near the top, and the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Size that half of them do not pass.
    pub median: usize,
    /// Size that most of them do not pass: the percentile that was asked for.
    pub high: usize,
    /// Size of the largest one.
    pub max: usize,
}

/// A part of a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Size of the part.
    pub part: usize,
    /// Size of the whole.
    pub whole: usize,
}

/// The numbers of some files of production code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Number of the files.
    pub files: usize,
    /// Lines of a file; `high` is the 90th percentile.
    pub file_lines: Spread,
    /// Lines of a function; `high` is the 90th percentile.
    pub function_lines: Spread,
    /// Tokens of a function's body; `high` is the 99th percentile.
    pub function_tokens: Spread,
    /// Tokens among the lines of long functions.
    pub tokens_a_line: Share,
    /// Blank lines among the lines of long functions.
    pub blank: Share,
    /// Comments among the lines of long functions.
    pub inner_comments: Share,
    /// Comments of all kinds among the lines that are not blank.
    pub comments: Share,
    /// Public items that are documented.
    pub documented: Share,
    /// Lines of documentation that begin with a question word; not those of files (`//!`).
    pub questions: Share,
    /// Doc comments of three words or fewer.
    pub short_docs: usize,
    /// Tuple bindings of several values.
    pub tuples: usize,
    /// Names that are bound again in the same block.
    pub bound_again: usize,
}

impl Spread {
    /// Finds the sizes; `percent` says which one `high` is.
    pub fn of(mut sizes: Vec<usize>, percent: usize) -> Self {
        sizes.sort_unstable();
        let Some(max) = sizes.last().copied() else {
            return Self::default();
        };
        let at = |percent: usize| sizes[(sizes.len() * percent).div_ceil(100).max(1) - 1];
        Self {
            median: at(50),
            high: at(percent),
            max,
        }
    }
}

impl Share {
    /// The part divided by the whole; 0 of nothing.
    pub fn ratio(self) -> f64 {
        if self.whole == 0 {
            0.0
        } else {
            self.part as f64 / self.whole as f64
        }
    }

    fn add(&mut self, part: usize, whole: usize) {
        self.part += part;
        self.whole += whole;
    }
}

impl Figures {
    /// Measures the production code of some files.
    pub fn of<'a>(files: impl IntoIterator<Item = &'a SourceFile>) -> Self {
        let mut figures = Self::default();
        let mut file_lines = Vec::new();
        let mut functions = Vec::new();

        for file in files {
            figures.files += 1;
            figures.add_file(file);
            file_lines.push(file.production_lines());
            functions.extend(functions::production(file));
        }

        figures.file_lines = Spread::of(file_lines, 90);
        figures.add_functions(&functions);
        figures
    }

    /// Adds what can be summed over files.
    fn add_file(&mut self, file: &SourceFile) {
        let blank = file.count(file.lines(), LineKind::Blank);
        let comments =
            file.count(file.lines(), LineKind::Doc) + file.count(file.lines(), LineKind::Comment);
        self.comments.add(comments, file.production_lines() - blank);

        let items = names::documented(file);
        self.documented.add(items.documented, items.public);

        let outer: Vec<&DocLine> = file.docs().filter(|line| !line.inner).collect();
        let questions = outer.iter().filter(|line| docs::is_question(line)).count();
        self.questions.add(questions, outer.len());
        self.short_docs += docs::comments(file)
            .iter()
            .filter(|doc| doc.is_short())
            .count();

        let bindings = bindings::count(file);
        self.tuples += bindings.tuples;
        self.bound_again += bindings.again;
    }

    fn add_functions(&mut self, functions: &[Function]) {
        self.function_lines = Spread::of(functions.iter().map(Function::length).collect(), 90);
        self.function_tokens = Spread::of(
            functions.iter().map(|function| function.tokens).collect(),
            99,
        );

        for function in functions
            .iter()
            .filter(|function| function.length() >= LONG)
        {
            let lines = function.length();
            self.tokens_a_line.add(function.tokens, lines);
            self.blank.add(function.blank, lines);
            self.inner_comments.add(function.comments, lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_sizes_that_occur() {
        assert_eq!(Spread::of(vec![], 90), Spread::default());
        assert_eq!(
            Spread::of(vec![3, 1, 2], 90),
            Spread {
                median: 2,
                high: 3,
                max: 3
            }
        );
        let hundred = (1..=100).rev().collect();
        assert_eq!(
            Spread::of(hundred, 99),
            Spread {
                median: 50,
                high: 99,
                max: 100
            }
        );
    }

    #[test]
    fn only_long_functions_count_for_paragraphs() {
        let long = format!(
            "/// What it does.\nfn a() {{\n{}\n    // Why.\n    b();\n}}\n",
            "    b();\n".repeat(11)
        );
        let short = "/// Short.\nfn c() {\n\n    // Why.\n}\n";
        let file = |path: &str, text: &str| SourceFile::parse(path, text).expect("code");
        let files = [file("a.rs", &long), file("b.rs", short)];
        let figures = Figures::of(&files);

        assert_eq!(
            figures.function_lines,
            Spread {
                median: 4,
                high: 16,
                max: 16
            }
        );
        assert_eq!(figures.blank, Share { part: 1, whole: 16 });
        assert_eq!(figures.inner_comments, Share { part: 1, whole: 16 });
        assert_eq!(
            figures.tokens_a_line,
            Share {
                part: 2 + 12 * 4,
                whole: 16
            }
        );
        assert_eq!(figures.questions, Share { part: 1, whole: 2 });
        assert_eq!(figures.short_docs, 2);
    }
}
