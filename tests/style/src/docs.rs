//! Doc comments, and the ways in which they can be of little use.

use crate::{SourceFile, tokens::DocLine};

/// Words that make a question, or half a sentence, out of what should be a statement.
const QUESTIONS: [&str; 10] = [
    "What", "Who", "Whose", "Whom", "Which", "When", "Where", "Why", "How", "Whether",
];

/// Fewest words that can add something to a name.
const WORDS: usize = 4;

/// All lines of documentation of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocComment {
    /// The lines, at least one.
    lines: Vec<DocLine>,
}

impl DocComment {
    /// Number of the first line.
    pub fn line(&self) -> usize {
        self.lines.first().map_or(0, |first| first.line)
    }

    /// True if it has too few words to add something to a name.
    pub fn is_short(&self) -> bool {
        let words = self
            .lines
            .iter()
            .flat_map(|line| line.text.split_whitespace());
        words.take(WORDS).count() < WORDS
    }

    /// True if its first line begins with a question word.
    pub fn is_question(&self) -> bool {
        self.lines.first().is_some_and(is_question)
    }
}

/// True if a line begins with a question word.
pub fn is_question(line: &DocLine) -> bool {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '\'';
    let first = line
        .text
        .split(|letter| !is_letter(letter))
        .next()
        .unwrap_or_default();
    QUESTIONS.contains(&first)
}

/// Doc comments of a file's production code.
pub fn comments(file: &SourceFile) -> Vec<DocComment> {
    let mut comments: Vec<DocComment> = Vec::new();
    for line in file.docs() {
        match comments.last_mut().filter(|comment| is_next(comment, line)) {
            Some(comment) => comment.lines.push(line.clone()),
            None => comments.push(DocComment {
                lines: vec![line.clone()],
            }),
        }
    }
    comments
}

fn is_next(comment: &DocComment, line: &DocLine) -> bool {
    let last = comment.lines.last();
    last.is_some_and(|last| last.inner == line.inner && last.line + 1 == line.line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_gathered_and_judged_by_their_first_word_and_their_length() {
        let text = concat!(
            "//! Whoever reads this\n//! reads on.\n\n",
            "/// Which.\nstruct A;\n/// A name and\n/// how long it is.\nstruct B;\n",
            "/// How long it is.\nstruct C;\n",
        );
        let file = SourceFile::parse("a.rs", text).expect("code");
        let found = comments(&file);
        let judged: Vec<(usize, bool, bool)> = found
            .iter()
            .map(|doc| (doc.line(), doc.is_short(), doc.is_question()))
            .collect();
        assert_eq!(
            judged,
            [
                (1, false, false),
                (4, true, true),
                (6, false, false),
                (9, false, true)
            ]
        );
    }
}
