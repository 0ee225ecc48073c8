//! Cuts a text into the pieces that may be words.
//!
//! Beside the plain words there are pieces put together: letters parted by signs or spaces, words
//! with signs in place of letters, words broken in two. Such pieces are guesses, and the stricter
//! the less likely. This module knows no roots, only how people part letters.

use super::{
    masks::Masks,
    signs::{Sign, fold},
};

/// A sign at its place in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glyph {
    /// The sign.
    pub(super) sign: Sign,
    /// Whether it is a capital.
    pub(super) capital: bool,
    /// The byte where it begins.
    pub(super) from: usize,
    /// The byte after it.
    pub(super) to: usize,
}

/// A piece of text that may be a word.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Its signs that may be letters.
    pub(super) glyphs: Vec<Glyph>,
    /// Where a word may begin in it, beside its first sign.
    pub(super) starts: Vec<usize>,
    /// Whether it was put together, so that a root counts only at a start.
    pub(super) strict: bool,
}

/// A run of letters and digits: its first glyph and the one after its last.
pub(super) type Part = (usize, usize);

/// A text, cut up.
pub(super) struct Words {
    /// All the signs that have a shape.
    pub(super) glyphs: Vec<Glyph>,
    /// The plain words.
    pub(super) parts: Vec<Part>,
    /// Runs of signs without a space or a stop in them; addresses of pages are left out.
    pub(super) segments: Vec<Part>,
    /// Whether the plain word belongs to the address of a page or a mailbox.
    pub(super) in_address: Vec<bool>,
}

/// First pieces of words that are often broken by a space; none is a word by itself.
const BROKEN: &[&str] = &[
    "х", "п", "б", "е", "ху", "пиз", "бл", "еб", "муд", "пид", "f", "fu", "fuc", "sh",
];

/// Words of one letter, which may stand before a word whose letters are spaced out.
const ONE_LETTER_WORDS: &str = "аивксояжуia";

/// Stand-ins that make a guess, being common between words too.
const LOOSE_STAND_INS: &str = "!|(<+#";

/// How many signs may stand between letters that are spaced out.
const WIDEST_GAP: usize = 3;

/// The shortest word that is put together; two letters are initials.
const SHORTEST: usize = 3;

/// The longest word that is looked for in two pieces.
const LONGEST_BROKEN: usize = 14;

/// The accent that makes `й` from `и` when it comes as a sign of its own.
const BREVE: char = '\u{306}';

impl Glyph {
    fn is_word_sign(&self) -> bool {
        matches!(
            self.sign,
            Sign::Russian(_) | Sign::Latin(_) | Sign::Digit(_)
        )
    }

    fn is_letter(&self) -> bool {
        matches!(self.sign, Sign::Russian(_) | Sign::Latin(_))
    }

    fn is_loose(&self) -> bool {
        matches!(self.sign, Sign::StandIn(c) if LOOSE_STAND_INS.contains(c))
    }

    fn is_part_of_segment(&self) -> bool {
        !matches!(self.sign, Sign::Space | Sign::Stop)
    }
}

/// Folds all the signs of a text.
fn glyphs(text: &str) -> Vec<Glyph> {
    let mut glyphs: Vec<Glyph> = Vec::with_capacity(text.len());
    for (from, c) in text.char_indices() {
        let to = from + c.len_utf8();
        match (fold(c), glyphs.last_mut()) {
            (Sign::Nothing, Some(last)) => {
                last.to = to;
                if c == BREVE && last.sign == Sign::Russian('и') {
                    last.sign = Sign::Russian('й');
                }
            }
            (Sign::Nothing, None) => {}
            (sign, _) => glyphs.push(Glyph {
                sign,
                capital: c.is_uppercase(),
                from,
                to,
            }),
        }
    }
    glyphs
}

/// The longest runs of glyphs for which a test holds.
fn spans(glyphs: &[Glyph], holds: impl Fn(&Glyph) -> bool) -> Vec<Part> {
    let mut spans: Vec<Part> = Vec::new();
    for at in (0..glyphs.len()).filter(|&at| holds(&glyphs[at])) {
        match spans.last_mut() {
            Some(span) if span.1 == at => span.1 += 1,
            _ => spans.push((at, at + 1)),
        }
    }
    spans
}

/// Whether a run without spaces is the address of a page or a mailbox.
fn is_address(run: &str) -> bool {
    let domain = |text: &str| text.trim_end_matches('.').contains('.');
    let page = || {
        run.split_once('/')
            .is_some_and(|(host, _)| domain(host) && host.len() > 3)
    };
    let mailbox = || {
        run.split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && domain(host))
    };
    run.contains("://") || run.starts_with("www.") || page() || mailbox()
}

impl Words {
    /// Cuts a text.
    pub(super) fn new(text: &str) -> Self {
        let glyphs = glyphs(text);
        let parts = spans(&glyphs, Glyph::is_word_sign);
        let runs = spans(&glyphs, |glyph| glyph.sign != Sign::Space);
        let slice = |&(from, to): &Part| &text[glyphs[from].from..glyphs[to - 1].to];
        let addresses: Vec<_> = runs
            .into_iter()
            .filter(|run| is_address(slice(run)))
            .collect();
        let in_address = |part: &Part| {
            let next = addresses.partition_point(|address| address.1 <= part.0);
            addresses
                .get(next)
                .is_some_and(|address| address.0 <= part.0)
        };
        let mut segments = spans(&glyphs, Glyph::is_part_of_segment);
        segments.retain(|segment| !in_address(segment));
        let in_address = parts.iter().map(in_address).collect();
        Self {
            glyphs,
            parts,
            segments,
            in_address,
        }
    }

    /// A plain word as a piece.
    pub(super) fn plain(&self, part: Part) -> Piece {
        Piece {
            glyphs: self.glyphs[part.0..part.1].to_vec(),
            starts: Vec::new(),
            strict: false,
        }
    }

    /// All pieces that are put together.
    pub(super) fn guesses(&self, masks: &Masks) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for &segment in &self.segments {
            self.with_stand_ins(segment, &mut pieces);
            pieces.extend(self.joined(segment));
        }
        self.spaced_out(&mut pieces);
        self.broken_in_two(masks, &mut pieces);
        pieces
    }

    fn len(part: Part) -> usize {
        part.1 - part.0
    }

    /// Words with signs such as `@` in place of letters.
    fn with_stand_ins(&self, segment: Part, pieces: &mut Vec<Piece>) {
        let glyphs = &self.glyphs[segment.0..segment.1];
        let stand_in = |glyph: &Glyph| matches!(glyph.sign, Sign::StandIn(_));
        for (from, to) in spans(glyphs, |glyph| glyph.is_word_sign() || stand_in(glyph)) {
            let outer =
                |glyph: &&Glyph| stand_in(glyph) && !matches!(glyph.sign, Sign::StandIn('@' | '$'));
            let word = &glyphs[from..to];
            let before = word.iter().take_while(outer).count();
            let after = word.iter().rev().take_while(outer).count();
            let word = &word[before..word.len().saturating_sub(after).max(before)];
            if word.iter().any(stand_in) && word.iter().any(Glyph::is_letter) {
                let strict = word.iter().any(Glyph::is_loose);
                pieces.push(Piece {
                    glyphs: word.to_vec(),
                    starts: Vec::new(),
                    strict,
                });
            }
        }
    }

    /// The parts of a segment put together without the signs between them.
    fn joined(&self, segment: Part) -> Vec<Piece> {
        let first = self.parts.partition_point(|part| part.0 < segment.0);
        let parts = self.parts[first..].iter().copied();
        let parts: Vec<_> = parts.take_while(|part| part.1 <= segment.1).collect();
        let goes_on = |one, next| !self.is_other_word(one, next) && !self.is_short_form(one, next);
        let sentences = parts.chunk_by(|&one, &next| goes_on(one, next));
        let sentences = sentences.filter(|parts| parts.len() > 1);
        let pieces = sentences.map(|parts| self.put_together(parts));
        pieces
            .filter(|piece| piece.glyphs.len() >= SHORTEST)
            .collect()
    }

    /// Whether a word cannot go on: after a number's ending, or after a dot and before a name.
    fn is_other_word(&self, one: Part, next: Part) -> bool {
        if self.is_ordinal(one) {
            return true;
        }
        let dot = self.glyphs[one.1..next.0]
            .iter()
            .any(|glyph| matches!(glyph.sign, Sign::Joint('.' | '…') | Sign::StandIn('!')));
        dot && self.is_titled(next)
    }

    /// Whether a letter ends a number, as in `9-е`.
    fn is_ordinal(&self, part: Part) -> bool {
        let before: Vec<_> = self.glyphs[..part.0]
            .iter()
            .rev()
            .take(2)
            .map(|g| g.sign)
            .collect();
        Self::len(part) == 1 && matches!(before[..], [Sign::Joint('-'), Sign::Digit(_)])
    }

    /// Whether an English ending follows an apostrophe, as in `who're`.
    fn is_short_form(&self, one: Part, next: Part) -> bool {
        let apostrophe = |glyph: &Glyph| matches!(glyph.sign, Sign::Joint('\'' | '’' | '`'));
        let all = self.glyphs[one.1..next.0].iter().all(apostrophe);
        all && ["s", "re", "ve", "ll", "d", "m", "t"]
            .iter()
            .any(|end| self.spells(next, end))
    }

    fn is_titled(&self, part: Part) -> bool {
        let word = &self.glyphs[part.0..part.1];
        word.len() > 1 && word[0].capital && !word[1].capital
    }

    fn put_together(&self, parts: &[Part]) -> Piece {
        let mut piece = Piece {
            glyphs: Vec::new(),
            starts: Vec::new(),
            strict: true,
        };
        let mut long_before = false;
        for &part in parts {
            if long_before {
                piece.starts.push(piece.glyphs.len());
            }
            long_before = Self::len(part) > 1;
            piece.glyphs.extend(&self.glyphs[part.0..part.1]);
        }
        piece
    }

    /// Letters parted by spaces or signs, with what follows them.
    fn spaced_out(&self, pieces: &mut Vec<Piece>) {
        let near = |one: &Part, next: &Part| next.0 - one.1 <= WIDEST_GAP;
        let single = |part: &Part| Self::len(*part) == 1 && !self.is_ordinal(*part);
        let runs = self
            .parts
            .chunk_by(|one, next| single(one) && single(next) && near(one, next));
        let mut after = 0;
        for run in runs {
            after += run.len();
            if run.len() < 2 || !single(&run[0]) {
                continue;
            }
            let last = run[run.len() - 1];
            let next = self.parts.get(after).filter(|next| near(&last, next));
            let next = next.filter(|next| self.goes_on(last, **next));
            if let Some(&next) = next {
                pieces.push(self.spaced(&[run, &[next]].concat()));
            }
            if run.len() > 2 {
                pieces.push(self.spaced(run));
            }
            self.spaced_with_stand_ins((run[0].0, last.1), pieces);
        }
    }

    /// Spaced letters some of which are signs such as `!`.
    fn spaced_with_stand_ins(&self, (from, to): Part, pieces: &mut Vec<Piece>) {
        let stand_in = |glyph: &&Glyph| matches!(glyph.sign, Sign::StandIn(_));
        let gap = &self.glyphs[from..to];
        if gap.iter().any(|glyph| stand_in(&glyph)) {
            let letters = gap
                .iter()
                .filter(|glyph| glyph.is_word_sign() || stand_in(glyph));
            let glyphs: Vec<_> = letters.copied().collect();
            pieces.push(Piece {
                glyphs,
                starts: Vec::new(),
                strict: true,
            });
        }
    }

    fn spaced(&self, parts: &[Part]) -> Piece {
        let glyphs: Vec<_> = parts
            .iter()
            .flat_map(|part| &self.glyphs[part.0..part.1])
            .copied()
            .collect();
        let word = glyphs.first().is_some_and(|glyph| {
            matches!(glyph.sign, Sign::Russian(c) | Sign::Latin(c) if ONE_LETTER_WORDS.contains(c))
        });
        let starts = if word { vec![1] } else { Vec::new() };
        Piece {
            glyphs,
            starts,
            strict: true,
        }
    }

    /// Whether a word may go on after a gap: initials or a number before a name do not.
    fn goes_on(&self, one: Part, next: Part) -> bool {
        let (last, first) = (self.glyphs[one.1 - 1], self.glyphs[next.0]);
        let stop = self.glyphs[one.1..next.0]
            .iter()
            .any(|glyph| glyph.sign == Sign::Stop);
        !stop && last.is_letter() && last.capital == first.capital && !self.is_titled(next)
    }

    /// Words broken in two by a space.
    fn broken_in_two(&self, masks: &Masks, pieces: &mut Vec<Piece>) {
        for (at, pair) in self.parts.windows(2).enumerate() {
            let (one, next) = (pair[0], pair[1]);
            let space = next.0 == one.1 + 1 && self.glyphs[one.1].sign == Sign::Space;
            let alone = one.0 == 0 || self.glyphs[one.0 - 1].sign == Sign::Space;
            let number = at > 0 && self.is_number(self.parts[at - 1]);
            let near = space && alone && !number && self.goes_on(one, next);
            if near && self.is_broken(masks, one, next) {
                pieces.push(self.spaced(pair));
            }
        }
    }

    /// Whether two words may be one: the first is no word by itself, or both are a listed one.
    fn is_broken(&self, masks: &Masks, one: Part, next: Part) -> bool {
        let listed = || {
            let letters = [&self.glyphs[one.0..one.1], &self.glyphs[next.0..next.1]].concat();
            letters.len() <= LONGEST_BROKEN && masks.is_listed(&letters)
        };
        let word = ["s", "а", "в", "к", "о"]
            .iter()
            .any(|word| self.spells(one, word));
        let lone = Self::len(next) == 1 && ONE_LETTER_WORDS.contains(self.letter(next.0));
        BROKEN.iter().any(|head| self.spells(one, head)) || !word && !lone && listed()
    }

    fn letter(&self, at: usize) -> char {
        match self.glyphs[at].sign {
            Sign::Russian(c) | Sign::Latin(c) => c,
            _ => ' ',
        }
    }

    fn is_number(&self, part: Part) -> bool {
        self.glyphs[part.0..part.1]
            .iter()
            .all(|glyph| matches!(glyph.sign, Sign::Digit(_)))
    }

    fn spells(&self, part: Part, word: &str) -> bool {
        (part.0..part.1).map(|at| self.letter(at)).eq(word.chars())
    }
}
