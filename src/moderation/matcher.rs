//! Finds roots in a word.
//!
//! A word comes as letters, each of which may be one of several; a root is a plain string with a
//! rule for where in a word it counts and what may follow. The matcher knows no language: the
//! tables of `russian` and `english` say what to look for and which innocent stems hide a root.
//! Work is linear in the word's length, with the size of one table as its factor.

use super::signs::{ANY, Choice};

/// What a letter of a word was before it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A letter.
    Real,
    /// A digit or a sign in a letter's place.
    StandIn,
    /// A mask such as `*`.
    Mask,
}

/// A letter of a word, or a run of equal ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct Letter {
    /// What it may be.
    pub(super) may_be: Choice,
    /// How many equal signs stand here.
    pub(super) count: usize,
    /// What it was.
    pub(super) kind: Kind,
}

/// A word as it may be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// Its letters.
    pub(super) letters: Vec<Letter>,
    /// Where a word may begin in it, beside its first letter.
    pub(super) starts: Vec<usize>,
    /// Whether a root counts only at such a start or after prefixes, the reading being a guess.
    pub(super) strict: bool,
}

/// Where in a word a root counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Anywhere.
    Anywhere,
    /// At the word's start or after its prefixes.
    Start,
    /// At the word's start only.
    Word,
    /// At the word's start and after any vowel, `й`, `ъ` or `ь`; in words put together or spelled
    /// in Latin letters only when it ends a prefix.
    AfterVowel,
}

/// Roots that share a rule.
pub(super) struct Group {
    /// Where they count.
    pub(super) place: Place,
    /// The roots, parted by spaces.
    pub(super) roots: &'static str,
    /// What may follow to the word's end: endings parted by spaces, `-` for none; or `*` for all.
    pub(super) tails: &'static str,
}

/// A language's tables.
pub(super) struct Tables {
    /// The roots.
    pub(super) groups: &'static [&'static [Group]],
    /// Stems of innocent words, parted by spaces, within which no root counts.
    pub(super) innocent: &'static [&'static str],
    /// Prefixes, parted by spaces.
    pub(super) prefixes: &'static str,
}

struct Rule {
    place: Place,
    root: Runs,
    tails: Option<Vec<Runs>>,
    extra: bool,
}

/// A string as runs of equal letters.
type Runs = Vec<(char, usize)>;

/// Things by the letter they begin with.
pub(super) struct Shelf<T>(Vec<Vec<T>>);

/// The rules of a language, by first letter.
pub(super) struct Rules {
    roots: Shelf<Rule>,
    innocent: Shelf<Runs>,
    prefixes: Shelf<Runs>,
}

/// How many Latin letters there are.
const LATIN: usize = 26;

/// How many Russian letters there are, without `ё`.
const RUSSIAN: usize = 32;

/// Splits a string into runs of equal letters.
fn runs(text: &str) -> Runs {
    let mut runs = Runs::new();
    for c in text.chars() {
        match runs.last_mut() {
            Some((last, count)) if *last == c => *count += 1,
            _ => runs.push((c, 1)),
        }
    }
    runs
}

/// The place of a letter on a shelf.
fn slot(c: char) -> Option<usize> {
    match c {
        'a'..='z' => Some(c as usize - 'a' as usize),
        'а'..='я' => Some(LATIN + c as usize - 'а' as usize),
        _ => None,
    }
}

impl<T> Shelf<T> {
    /// With nothing on it.
    pub(super) fn new() -> Self {
        Self((0..LATIN + RUSSIAN).map(|_| Vec::new()).collect())
    }

    /// Puts a thing on it; signs other than letters begin nothing.
    pub(super) fn put(&mut self, first: char, thing: T) {
        if let Some(things) = slot(first).and_then(|slot| self.0.get_mut(slot)) {
            things.push(thing);
        }
    }

    /// The things under a letter.
    pub(super) fn get(&self, first: char) -> &[T] {
        slot(first)
            .and_then(|slot| self.0.get(slot))
            .map_or(&[], Vec::as_slice)
    }
}

fn by_first_letter<'a>(strings: impl Iterator<Item = &'a str>) -> Shelf<Runs> {
    let mut shelf = Shelf::new();
    for string in strings {
        if let Some(first) = string.chars().next() {
            shelf.put(first, runs(string));
        }
    }
    shelf
}

impl Letter {
    fn may_be(&self, c: char) -> bool {
        self.may_be.contains(&c) || self.may_be == ANY
    }

    /// Whether it may be a vowel, or a letter that parts a prefix from a vowel.
    fn is_vowel(&self) -> bool {
        self.may_be.iter().any(|c| {
            matches!(
                c,
                'а' | 'е' | 'и' | 'о' | 'у' | 'ы' | 'э' | 'ю' | 'я' | 'й' | 'ъ' | 'ь'
            )
        })
    }
}

/// Where a string ends that begins at a letter, if it does.
fn ends_at(letters: &[Letter], mut at: usize, string: &[(char, usize)]) -> Option<usize> {
    for &(c, count) in string {
        let mut missing = count;
        while missing > 0 {
            let letter = letters.get(at).filter(|letter| letter.may_be(c))?;
            missing = missing.saturating_sub(letter.count);
            at += 1;
        }
    }
    Some(at)
}

/// Whether enough letters are real: two at least, and half of them.
fn is_plain_enough(letters: &[Letter]) -> bool {
    let real = letters
        .iter()
        .filter(|letter| letter.kind == Kind::Real)
        .count();
    real >= 2 && real * 2 >= letters.len()
}

impl Rule {
    fn tail_fits(&self, letters: &[Letter], at: usize) -> bool {
        let ended = |end: usize| {
            letters[end..]
                .iter()
                .all(|letter| letter.kind != Kind::Real)
        };
        let Some(tails) = &self.tails else {
            return true;
        };
        tails
            .iter()
            .filter_map(|tail| ends_at(letters, at, tail))
            .any(ended)
    }
}

impl Rules {
    /// With a language's tables and more roots.
    pub(super) fn new(tables: &Tables, extra_roots: &[String]) -> Self {
        let innocent = tables
            .innocent
            .iter()
            .flat_map(|stems| stems.split_whitespace());
        let mut rules = Self {
            roots: Shelf::new(),
            innocent: by_first_letter(innocent),
            prefixes: by_first_letter(tables.prefixes.split_whitespace()),
        };
        for group in tables.groups.iter().copied().flatten() {
            for root in group.roots.split_whitespace() {
                rules.add(
                    root,
                    group.place,
                    Some(group.tails).filter(|tails| *tails != "*"),
                    false,
                );
            }
        }
        for root in extra_roots {
            rules.add(root, Place::Start, None, true);
        }
        rules
    }

    fn add(&mut self, root: &str, place: Place, tails: Option<&str>, extra: bool) {
        let Some(first) = root.chars().next() else {
            return;
        };
        let tail = |tail: &str| runs(if tail == "-" { "" } else { tail });
        let tails = tails.map(|tails| tails.split_whitespace().map(tail).collect());
        let rule = Rule {
            place,
            root: runs(root),
            tails,
            extra,
        };
        self.roots.put(first, rule);
    }

    /// Whether an explicit root is in a word.
    pub(super) fn find(&self, reading: &Reading) -> bool {
        let letters = &reading.letters;
        let words = word_starts(reading);
        let starts = self.after_prefixes(letters, &words);
        let hidden = self.hidden(letters);
        (0..letters.len()).any(|at| {
            let counts = |place: Place| match place {
                Place::Word => words[at],
                Place::Start => starts[at],
                Place::AfterVowel if reading.strict => {
                    words[at] || starts[at] && is_after_vowel(letters, at)
                }
                _ if reading.strict => starts[at],
                Place::Anywhere => true,
                Place::AfterVowel => words[at] || is_after_vowel(letters, at),
            };
            let mut rules = self.rules_at(&letters[at]);
            rules.any(|rule| counts(rule.place) && is_hit(rule, letters, at, hidden[at]))
        })
    }

    /// The rules whose root may begin with a letter; no root begins with a mask.
    fn rules_at(&self, letter: &Letter) -> impl Iterator<Item = &Rule> {
        letter.may_be.into_iter().flat_map(|c| self.roots.get(c))
    }

    /// Marks where a root may stand: at the starts, and after prefixes that begin at one.
    fn after_prefixes(&self, letters: &[Letter], words: &[bool]) -> Vec<bool> {
        let mut starts = words.to_vec();
        for at in 0..letters.len() {
            if !starts[at] || letters[at].kind == Kind::Mask {
                continue;
            }
            let prefixes = letters[at]
                .may_be
                .iter()
                .flat_map(|&c| self.prefixes.get(c));
            for end in prefixes.filter_map(|prefix| ends_at(letters, at, prefix)) {
                starts[end] = true;
            }
        }
        starts
    }

    /// For each letter, where the longest innocent stem over it ends.
    fn hidden(&self, letters: &[Letter]) -> Vec<usize> {
        let mut furthest = 0;
        let stem_end = |at: usize| {
            let stems = letters[at]
                .may_be
                .iter()
                .flat_map(|&c| self.innocent.get(c));
            stems
                .filter_map(|stem| ends_at(letters, at, stem))
                .max()
                .unwrap_or(0)
        };
        let longest = |at: usize| {
            furthest = stem_end(at).max(furthest);
            furthest
        };
        (0..letters.len()).map(longest).collect()
    }
}

/// Marks the starts of words, one place more than there are letters.
fn word_starts(reading: &Reading) -> Vec<bool> {
    let letters = &reading.letters;
    let mut starts = vec![false; letters.len() + 1];
    starts[0] = true;
    let digits = letters
        .iter()
        .take_while(|letter| letter.kind == Kind::StandIn)
        .count();
    starts[digits] = true;
    for &start in &reading.starts {
        if let Some(place) = starts.get_mut(start) {
            *place = true;
        }
    }
    starts
}

fn is_after_vowel(letters: &[Letter], at: usize) -> bool {
    at.checked_sub(1)
        .and_then(|before| letters.get(before))
        .is_some_and(Letter::is_vowel)
}

fn is_hit(rule: &Rule, letters: &[Letter], at: usize, hidden_to: usize) -> bool {
    let Some(end) = ends_at(letters, at, &rule.root) else {
        return false;
    };
    let hidden = end <= hidden_to && !rule.extra;
    !hidden && is_plain_enough(&letters[at..end]) && rule.tail_fits(letters, end)
}

/// Reads runs of equal letters as one letter each; `None` when there are none.
pub(super) fn squeezed(reading: &Reading) -> Option<Reading> {
    let mut squeezed = Reading {
        strict: reading.strict,
        ..Reading::default()
    };
    let mut place_of = Vec::with_capacity(reading.letters.len());
    for letter in &reading.letters {
        match squeezed.letters.last_mut() {
            Some(last) if last.may_be == letter.may_be && letter.kind != Kind::Mask => {
                last.count += letter.count;
            }
            _ => squeezed.letters.push(*letter),
        }
        place_of.push(squeezed.letters.len() - 1);
    }
    let is_first = |&&start: &&usize| start == 0 || place_of.get(start) != place_of.get(start - 1);
    let starts = reading.starts.iter().filter(is_first);
    squeezed.starts = starts
        .filter_map(|&start| place_of.get(start).copied())
        .collect();
    (squeezed.letters.len() < reading.letters.len()).then_some(squeezed)
}
