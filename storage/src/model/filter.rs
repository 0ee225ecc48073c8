//! SQL `ILIKE` patterns: `%` any run, `_` any one character, `\` escapes the next.
//!
//! Case is folded by whoever proposes ([`fold`]): Unicode tables differ between binaries, so
//! apply never folds, it compares what was folded before the entry was written.

use serde::{Deserialize, Serialize};

use super::Invalid;
use crate::limits::FILTER_CHARS;

/// Folds the case of a tag, an operator or a pattern. For proposers only, never inside apply.
pub fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// One filter of a mailing: the pattern as written, and folded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    pattern: String,
    folded: String,
}

impl Default for Filter {
    fn default() -> Self {
        Self { pattern: "%".to_owned(), folded: "%".to_owned() }
    }
}

impl Filter {
    /// Checks and folds a pattern: at most 200 characters, none of them control characters, and
    /// no `\` at its end; `invalid_filter` otherwise.
    pub fn parse(pattern: &str) -> Result<Self, Invalid> {
        if pattern.chars().count() > FILTER_CHARS {
            let detail = format!("a filter has at most {FILTER_CHARS} characters");
            return Err(Invalid::new("invalid_filter", detail));
        }
        if pattern.chars().any(char::is_control) {
            return Err(Invalid::new("invalid_filter", "a filter has no control characters"));
        }
        let trailing = pattern.chars().rev().take_while(|c| *c == '\\').count();
        if trailing % 2 == 1 {
            let detail =
                "a filter does not end in a single `\\`: it escapes the character after it";
            return Err(Invalid::new("invalid_filter", detail));
        }
        Ok(Self { pattern: pattern.to_owned(), folded: fold(pattern) })
    }

    /// The pattern as it was written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether everything matches, without looking.
    pub fn is_any(&self) -> bool {
        !self.folded.is_empty() && self.folded.bytes().all(|b| b == b'%')
    }

    /// Whether a folded text matches.
    pub fn matches(&self, folded: &str) -> bool {
        self.is_any() || matches(self.folded.as_bytes(), folded)
    }
}

/// Greedy match with one way back: on a mismatch, the last `%` takes one character more. Linear
/// in practice, and at worst pattern times text, both of which are bounded.
fn matches(pattern: &[u8], text: &str) -> bool {
    let text = text.as_bytes();
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match step(&pattern[p..], &text[t..]) {
            Step::Run => {
                p += 1;
                back = Some((p, t));
            }
            Step::Take { pattern, text } => {
                p += pattern;
                t += text;
            }
            Step::Differs => match back {
                None => return false,
                Some((after, from)) => {
                    let next = from + char_len(text[from]);
                    (p, t) = (after, next);
                    back = Some((after, next));
                }
            },
        }
    }
    pattern[p..].iter().all(|b| *b == b'%')
}

enum Step {
    Run,
    Take { pattern: usize, text: usize },
    Differs,
}

/// Compares the heads of both. Literals go byte by byte, which is right for UTF-8 as long as
/// wildcards step by whole characters.
fn step(pattern: &[u8], text: &[u8]) -> Step {
    match pattern {
        [b'%', ..] => Step::Run,
        [b'_', ..] => Step::Take { pattern: 1, text: char_len(text[0]) },
        [b'\\', literal, ..] if *literal == text[0] => Step::Take { pattern: 2, text: 1 },
        [b'\\', ..] | [] => Step::Differs,
        [literal, ..] if *literal == text[0] => Step::Take { pattern: 1, text: 1 },
        _ => Step::Differs,
    }
}

fn char_len(first: u8) -> usize {
    match first {
        0x00..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(text: &str, pattern: &str) -> bool {
        Filter::parse(pattern).expect("a valid pattern").matches(&fold(text))
    }

    #[test]
    fn patterns_match_as_ilike_does() {
        for (text, pattern) in [
            ("clients.moscow.new", "clients.%"),
            ("clients.moscow.new", "%MOSCOW%"),
            ("МТС", "мтс"),
            ("мегафон", "М_ГАФОН"),
            ("100%", "100\\%"),
            ("a_b", "a\\_b"),
            ("", "%"),
            ("", ""),
            ("aaab", "%ab"),
            ("ЁЖ", "_ж"),
            ("ab\\c", "ab\\\\c"),
            ("мама мыла раму", "%ма%ра_у"),
        ] {
            assert!(like(text, pattern), "{text:?} should match {pattern:?}");
        }
    }

    #[test]
    fn what_ilike_refuses_does_not_match() {
        for (text, pattern) in [
            ("МТС", "МТ"),
            ("МТС", "____"),
            ("1000", "100\\%"),
            ("axb", "a\\_b"),
            ("x", ""),
            ("clients.moscow", "moscow%"),
            ("ж", "__"),
        ] {
            assert!(!like(text, pattern), "{text:?} should not match {pattern:?}");
        }
    }

    #[test]
    fn a_pattern_that_ends_in_an_escape_is_refused() {
        assert_eq!(Filter::parse("abc\\").expect_err("refused").code, "invalid_filter");
        assert!(Filter::parse("abc\\\\").is_ok());
    }
}
