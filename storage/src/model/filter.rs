//! SQL `ILIKE` patterns: `%` any run, `_` any one character, `\` escapes the next.
//!
//! Case is folded by whoever proposes ([`fold`]): Unicode tables differ between binaries, so
//! apply never folds, it compares what was folded before the entry was written.

use icu_casemap::CaseMapper;
use serde::{Deserialize, Serialize};

use super::{Invalid, characters};
use crate::limits::FILTER_CHARS;

/// Folds the case of a tag, an operator or a pattern, character by character (simple case folding), so
/// that it folds the same wherever it stands, and one character stays one. For proposers only, never
/// inside apply.
pub fn fold(text: &str) -> String {
    // The mapper's table says the same of ASCII.
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }

    let mapper = CaseMapper::new();
    text.chars().map(|char| mapper.simple_fold(char)).collect()
}

/// One filter of a mailing: the pattern as written, and folded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    pattern: String,
    folded: String,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            pattern: "%".to_owned(),
            folded: "%".to_owned(),
        }
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
        if pattern.chars().any(characters::breaks_a_line) {
            return Err(Invalid::new(
                "invalid_filter",
                "a filter has no control characters",
            ));
        }
        let trailing = pattern.chars().rev().take_while(|c| *c == '\\').count();
        if trailing % 2 == 1 {
            let detail =
                "a filter does not end in a single `\\`: it escapes the character after it";
            return Err(Invalid::new("invalid_filter", detail));
        }
        Ok(Self {
            pattern: pattern.to_owned(),
            folded: fold(pattern),
        })
    }

    /// The pattern as it was written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Whether everything matches, without looking.
    pub fn is_any(&self) -> bool {
        !self.folded.is_empty() && self.folded.bytes().all(|b| b == b'%')
    }

    /// Whether a folded text matches. Who asks of many texts takes a [`Matcher`].
    pub fn matches(&self, folded: &str) -> bool {
        Matcher::new(self).matches(folded)
    }
}

/// A filter made ready for many texts.
///
/// It follows all ways in which the text so far can fill the pattern, one bit each: bit `i` stands
/// for "the first `i` places are filled". So a text costs its characters times the words of the bits,
/// at most four for the longest pattern, whatever the pattern; going back after each mismatch would
/// cost the product of both lengths. No library does this for apply: what it does to a character
/// must not depend on the version of a Unicode table.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// Places of the pattern: its characters, without runs.
    len: usize,
    /// Words that the bits of all places take, and one bit for the end.
    words: usize,
    /// Characters of the pattern, in order; the bits of their places follow each other in `bits`.
    chars: Vec<char>,
    bits: Vec<u64>,
    /// Places that any character fills.
    any: Vec<u64>,
    /// Places before which a run of any length may come.
    runs: Vec<u64>,
    steps: u64,
}

/// Words of bits that a pattern of the greatest length takes.
const FEW: usize = FILTER_CHARS / 64 + 1;

/// What fills one place of a pattern.
enum Place {
    Char(char),
    Any,
    /// Nothing: an escape at the end, which no filter that was parsed has.
    Never,
}

impl Matcher {
    /// Makes a filter ready.
    pub fn new(filter: &Filter) -> Self {
        let (places, run_before) = places(&filter.folded);
        let len = places.len();
        let words = len / 64 + 1;
        let mut chars: Vec<char> = places.iter().filter_map(Place::char).collect();
        chars.sort_unstable();
        chars.dedup();

        let mut this = Self {
            len,
            words,
            bits: vec![0; chars.len() * words],
            chars,
            any: vec![0; words],
            runs: vec![0; words],
            steps: 0,
        };
        for (at, place) in places.iter().enumerate() {
            let (word, bit) = (at / 64, 1 << (at % 64));
            match place {
                Place::Any => this.any[word] |= bit,
                Place::Never => {}
                Place::Char(char) => {
                    if let Ok(known) = this.chars.binary_search(char) {
                        this.bits[known * words + word] |= bit;
                    }
                }
            }
        }
        for at in run_before {
            this.runs[at / 64] |= 1 << (at % 64);
        }
        this
    }

    /// Whether everything matches, without looking.
    pub fn is_any(&self) -> bool {
        self.len == 0 && self.runs[0] == 1
    }

    /// Whether a folded text matches.
    pub fn matches(&mut self, folded: &str) -> bool {
        // A few words do without memory of their own: most texts are phones.
        let (mut few, mut many) = ([0; FEW], Vec::new());
        let filled = if self.words <= FEW {
            &mut few[..self.words]
        } else {
            many.resize(self.words, 0);
            &mut many[..]
        };
        filled[0] = 1;
        let (last_word, end) = (self.len / 64, 1 << (self.len % 64));
        // Once a run at the end begins, nothing that follows matters.
        let ends_in_run = self.runs[last_word] & end != 0;
        for char in folded.chars() {
            if ends_in_run && filled[last_word] & end != 0 {
                return true;
            }
            if !self.fill(filled, char) {
                return false;
            }
        }
        filled[last_word] & end != 0
    }

    /// Goes on by one character; whether any way is left.
    fn fill(&mut self, filled: &mut [u64], char: char) -> bool {
        self.steps += self.words as u64;
        let known = self.chars.binary_search(&char);
        let bits = known
            .ok()
            .map(|at| &self.bits[at * self.words..(at + 1) * self.words]);
        let (mut carry, mut left) = (0, 0);
        for (word, filled) in filled.iter_mut().enumerate() {
            let fits = self.any[word] | bits.map_or(0, |bits| bits[word]);
            let moved = *filled & fits;
            *filled = (moved << 1) | carry | (*filled & self.runs[word]);
            carry = moved >> 63;
            left |= *filled;
        }
        left != 0
    }

    /// What all texts so far have cost: words of bits looked at.
    pub fn steps(&self) -> u64 {
        self.steps
    }
}

impl Place {
    fn char(&self) -> Option<char> {
        match self {
            Place::Char(char) => Some(*char),
            Place::Any | Place::Never => None,
        }
    }
}

/// The places of a pattern, and before which of them runs stand; that behind the last is the end.
fn places(pattern: &str) -> (Vec<Place>, Vec<usize>) {
    let (mut places, mut run_before) = (Vec::new(), Vec::new());
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        match char {
            '%' => run_before.push(places.len()),
            '_' => places.push(Place::Any),
            '\\' => places.push(chars.next().map_or(Place::Never, Place::Char)),
            literal => places.push(Place::Char(literal)),
        }
    }
    (places, run_before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::WORD_CHARS;

    fn like(text: &str, pattern: &str) -> bool {
        Filter::parse(pattern)
            .expect("a valid pattern")
            .matches(&fold(text))
    }

    #[test]
    fn ascii_is_folded_as_the_table_says() {
        for char in '\0'..='\x7f' {
            let folded = CaseMapper::new().simple_fold(char);
            assert_eq!(fold(&char.to_string()), folded.to_string());
        }
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
    fn case_folds_character_by_character_wherever_a_character_stands() {
        for (text, pattern) in [
            ("ΟΔΟΣΑ", "ΟΔΟΣ%"),
            ("ΟΔΟΣ", "οδοσ"),
            ("οδος", "ΟΔΟΣ"),
            ("ΟΔΟΣ", "%ς"),
            ("İstanbul", "_stanbul"),
            ("İSTANBUL", "İstanbul"),
            ("STRAẞE", "straße"),
            ("ǅ", "ǆ"),
            ("ᏸ", "Ᏸ"),
            ("K", "k"),
            ("ЁЛКА", "ё___"),
        ] {
            assert!(like(text, pattern), "{text:?} should match {pattern:?}");
        }
        for text in ["İ", "ß", "ﬁ", "ŉ", "ΐ", "ẞ"] {
            assert!(like(text, "_") && !like(text, "__"), "{text:?}");
        }
        assert!(!like("İ", "i") && !like("ß", "ss"));
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
            assert!(
                !like(text, pattern),
                "{text:?} should not match {pattern:?}"
            );
        }
    }

    /// The same by going back to the last run after each mismatch, as it is written in books; and
    /// how many characters that compares.
    fn like_by_going_back(text: &str, pattern: &str) -> (bool, u64) {
        let (places, runs) = places(&fold(pattern));
        let text: Vec<char> = fold(text).chars().collect();
        let (mut at, mut place, mut back, mut compared) = (0, 0, None, 0);
        loop {
            compared += 1;
            if runs.contains(&place) && back.is_none_or(|(after, _)| after != place) {
                back = Some((place, at));
            }
            if at == text.len() && place == places.len() {
                return (true, compared);
            }
            let fits = at < text.len()
                && match places.get(place) {
                    Some(Place::Char(char)) => *char == text[at],
                    Some(Place::Any) => true,
                    Some(Place::Never) | None => false,
                };
            if fits {
                (at, place) = (at + 1, place + 1);
                continue;
            }
            match back {
                Some((after, from)) if from < text.len() => {
                    (at, place) = (from + 1, after);
                    back = Some((after, from + 1));
                }
                _ => return (false, compared),
            }
        }
    }

    #[test]
    fn what_matches_is_what_going_back_finds() {
        let mut seed = 7u64;
        let mut below = |end: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % end
        };
        let mut matched = 0;
        for _ in 0..20_000 {
            let mut of = |signs: &[&str], len: usize| -> String {
                (0..len).map(|_| signs[below(signs.len())]).collect()
            };
            let pattern = of(&["a", "b", "ж", "%", "%", "_", "\\%", "\\_", "%aab"], 6);
            let text = of(&["a", "a", "b", "ж", "%", "_"], 9);
            let (expected, _) = like_by_going_back(&text, &pattern);
            assert_eq!(like(&text, &pattern), expected, "{text:?} {pattern:?}");
            matched += u32::from(expected);
        }
        assert!(
            (300..19_700).contains(&matched),
            "{matched} of 20,000 matched"
        );
    }

    #[test]
    fn patterns_longer_than_a_word_of_bits_match_across_its_ends() {
        for len in [62, 63, 64, 65, 127, 128, 129, 199] {
            let text = "ab".repeat(100)[..len].to_owned();
            assert!(like(&text, &text), "{len}");
            assert!(like(&text, &format!("%{}", &text[1..])), "{len}");
            assert!(like(&text, &"_".repeat(len)), "{len}");
            assert!(!like(&text, &"_".repeat(len + 1)), "{len}");
            assert!(!like(&text[1..], &text), "{len}");
            let all_but_one = format!("{}%", &text[..len - 1]);
            assert!(
                like(&text, &all_but_one) && !like("ba", &all_but_one),
                "{len}"
            );
        }
    }

    /// Twenty thousand of these held a write for seconds.
    #[test]
    fn no_pattern_costs_more_than_four_words_of_bits_for_each_character() {
        let text = "a".repeat(WORD_CHARS);
        let half = "a".repeat(WORD_CHARS / 2);
        let patterns = [
            "%a".repeat(FILTER_CHARS / 2 - 1) + "%b",
            format!("%{half}b"),
            format!("%{half}b%"),
            format!("%{}b", "_".repeat(WORD_CHARS / 2)),
            format!("%{}b", "a%".repeat(FILTER_CHARS / 2 - 1)),
            format!("{}%b", "_%".repeat(FILTER_CHARS / 2 - 1)),
            "a".repeat(FILTER_CHARS - 1) + "%",
        ];
        let mut worst = 0;
        for pattern in patterns {
            let filter = Filter::parse(&pattern).expect("a valid pattern");
            let mut matcher = Matcher::new(&filter);
            assert!(!matcher.matches(&text), "{pattern}");
            let steps = matcher.steps();
            assert!(
                steps <= 4 * WORD_CHARS as u64,
                "{steps} steps for {pattern}"
            );
            worst = worst.max(like_by_going_back(&text, &pattern).1);
        }
        assert!(
            worst > 2_000,
            "going back compares {worst} characters: nothing hard was tried"
        );
    }

    #[test]
    fn a_pattern_that_ends_in_an_escape_is_refused() {
        assert_eq!(
            Filter::parse("abc\\").expect_err("refused").code,
            "invalid_filter"
        );
        assert!(Filter::parse("abc\\\\").is_ok());
    }
}
