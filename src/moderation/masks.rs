//! Words some of whose letters are masked: `х*й`, `п***ц`, `f**k`, `бл-дь`.
//!
//! A mask hides so much that roots no longer tell; so what is left of a word is held against a
//! list of whole words. Masks in several places are left to the matcher, which takes `*` for any
//! letter.

use super::{
    matcher::Shelf,
    readings::{first_letters, spells},
    signs::Sign,
    words::{Glyph, Part, Words},
};

/// Words that are often masked or broken in two: Russian ones, then those in Latin letters.
const WORDS: &[&str] = &[
    "хуй хуя хую хуйня хуйню хуйни хуйней хуево хуевый хуесос нахуй похуй нихуя дохуя нехуй \
        нахуя охуел охуела охуели охуеть охуенно охуенный охуенные ахуеть пизда пизды пизде \
        пизду пиздой пиздец пиздеца пиздеть пиздит пиздишь пиздить пиздюк пиздато спиздил \
        спиздили блядь бляди блядей блядский блядская блядина блять бля сука суки суку сукой \
        сучка сучки сукины ебать ебал ебаный ебаная ебаное ебаные ебаного ебаной ебаных ебанный \
        ебут ебет ебло еблан ебаться ебануть ебанутый ебанутые ебнутый заебал заебала заебали \
        заебись заебало наебал наебали наебать наебка уебок уебки уебище уебан долбоеб долбоебы \
        выебать проебал отъебись съебись мудак мудаки мудака мудила пидор пидоры пидорас \
        пидорасы пидарас гандон гондон гандоны гондоны говно говна говном говнюк жопа жопу жопе \
        жопы дерьмо дерьма шлюха шлюхи шлюху залупа манда срать насрать обосрать дрочить дрочит \
        трахать трахнуть херня нахер ублюдок",
    "fuck fucks fucked fucker fuckers fucking fuckin motherfucker motherfuckers motherfucking \
        shit shits shitty bullshit bitch bitches bitching cunt cunts dick dicks dickhead asshole \
        assholes cock cocks cocksucker pussy pussies whore whores slut sluts bastard bastards \
        nigger niggers nigga faggot faggots wanker wankers twat twats suka blyad blyat huynya \
        huinya pizda pizdec ebat mudak pidor nahuy nahui pohuy pohui",
];

/// Of the short words, those that count with one vowel behind a sign such as `-`.
const SHORT: &str = "хуй сука жопа бля манда fuck shit cunt dick cock slut twat suka";

/// Beginnings that tell by themselves, with a mask for all the rest.
const HEADS: &[&str] = &[
    "ху", "пиз", "бл", "бля", "еб", "еба", "заеб", "наху", "поху", "fu", "fuc", "motherf",
];

/// Ends that tell by themselves, with a mask for the first letter.
const ENDS: &[&str] = &[
    "уй",
    "ука",
    "издец",
    "изда",
    "лядь",
    "лять",
    "баный",
    "бать",
    "удак",
    "идор",
    "uck",
];

/// First letters that tell by themselves, with a mask this wide at least for all the rest.
const INITIALS: &[(&str, usize)] = &[("х", 2), ("п", 3), ("б", 3), ("f", 3)];

const VOWELS: &str = "аеиоуыэюяaeiouy";

/// Short words, after which `…` is a pause and no mask.
const NOT_HEADS: &[&str] = &[
    "а", "в", "во", "до", "за", "и", "из", "к", "ко", "на", "не", "ни", "о", "об", "от", "по",
    "про", "с", "со", "у", "е",
];

/// The longest that a word of the list may be short of, or beyond, what its mask says.
const SLACK: usize = 1;

/// Three signs are often put for any number of letters.
const ANY_NUMBER: usize = 3;

/// A mask between, before or after plain parts.
struct Mask<'a> {
    head: &'a [Glyph],
    tail: &'a [Glyph],
    width: usize,
    sign: Sign,
}

/// The list, by first letter.
pub(super) struct Masks(Shelf<Vec<char>>);

impl Masks {
    /// The words, made ready.
    pub(super) fn new() -> Self {
        let mut shelf = Shelf::new();
        for word in WORDS.iter().flat_map(|words| words.split_whitespace()) {
            if let Some(first) = word.chars().next() {
                shelf.put(first, word.chars().collect());
            }
        }
        Self(shelf)
    }

    /// The first word with a mask in it: its first glyph and the one after its last.
    pub(super) fn find(&self, words: &Words) -> Option<Part> {
        words
            .segments
            .iter()
            .find_map(|&segment| self.in_segment(words, segment))
    }

    fn in_segment(&self, words: &Words, segment: Part) -> Option<Part> {
        let first = words.parts.partition_point(|part| part.0 < segment.0);
        let mut before = (segment.0, segment.0);
        let parts = words.parts[first..]
            .iter()
            .copied()
            .take_while(|part| part.1 <= segment.1);
        for part in parts.chain([(segment.1, segment.1)]) {
            if self.is_masked(words, before, part) {
                return Some((before.0, part.1));
            }
            before = part;
        }
        None
    }

    /// Whether signs spell a listed word from its first letter to its last.
    pub(super) fn is_listed(&self, glyphs: &[Glyph]) -> bool {
        self.like(glyphs)
            .any(|word| word.len() == glyphs.len() && spells(glyphs, word))
    }

    /// The listed words that begin as signs do.
    fn like(&self, glyphs: &[Glyph]) -> impl Iterator<Item = &Vec<char>> {
        let first = glyphs.first().map(first_letters).into_iter().flatten();
        first.flat_map(|c| self.0.get(c))
    }

    /// Whether two parts of a segment, either of them empty at its ends, are a word with a mask.
    fn is_masked(&self, words: &Words, before: Part, after: Part) -> bool {
        let glyphs = &words.glyphs;
        let gap = &glyphs[before.1..after.0];
        let Some(first) = gap.first() else {
            return false;
        };
        if gap.iter().any(|glyph| glyph.sign != first.sign) {
            return false;
        }
        let width = if first.sign == Sign::Joint('…') {
            ANY_NUMBER
        } else {
            gap.len()
        };
        let (head, tail) = (&glyphs[before.0..before.1], &glyphs[after.0..after.1]);
        let mask = Mask {
            head,
            tail,
            width,
            sign: first.sign,
        };
        match (head.is_empty(), tail.is_empty()) {
            (false, false) => self.like(head).any(|word| mask.hides(word)),
            (false, true) => mask.is_star() && mask.head_tells(),
            (true, false) => mask.is_star() && ENDS.iter().any(|word| is_word(tail, word)),
            (true, true) => false,
        }
    }
}

fn is_short(word: &[char]) -> bool {
    SHORT
        .split_whitespace()
        .any(|short| short.chars().eq(word.iter().copied()))
}

fn is_word(glyphs: &[Glyph], word: &str) -> bool {
    let mut letters = word.chars();
    let all = glyphs
        .iter()
        .all(|glyph| letters.next().is_some_and(|c| spells(&[*glyph], &[c])));
    all && letters.next().is_none()
}

impl Mask<'_> {
    fn is_star(&self) -> bool {
        matches!(self.sign, Sign::StandIn('*' | '#'))
    }

    fn head_tells(&self) -> bool {
        let wide = |min: usize| self.width >= min && !self.head[0].capital;
        HEADS.iter().any(|word| is_word(self.head, word))
            || INITIALS
                .iter()
                .any(|&(letter, min)| wide(min) && is_word(self.head, letter))
    }

    fn hides(&self, letters: &[char]) -> bool {
        let shown = self.head.len() + self.tail.len();
        let short = shown >= letters.len() || self.width == 1 && letters.len() != shown + 1;
        if short || !self.is_readable(letters) {
            return false;
        }
        let (head, rest) = letters.split_at(self.head.len());
        let (hidden, tail) = rest.split_at(rest.len() - self.tail.len());
        self.fits(letters, hidden) && spells(self.head, head) && spells(self.tail, tail)
    }

    /// A short Russian word does not count when all that is left of it is Latin, as in `x*y`.
    fn is_readable(&self, word: &[char]) -> bool {
        let latin = |glyph: &Glyph| matches!(glyph.sign, Sign::Latin(_) | Sign::Digit(_));
        let all_latin = self.head.iter().chain(self.tail).all(latin);
        word[0].is_ascii() || !all_latin || word.len() > 3
    }

    fn fits(&self, word: &[char], hidden: &[char]) -> bool {
        match self.width {
            1 if self.is_star() => hidden.len() == 1,
            1 => {
                let vowel = hidden.len() == 1 && VOWELS.contains(hidden[0]);
                let blank = self.sign == Sign::Joint('_');
                vowel && (blank || is_short(word) || word.len() > 4)
            }
            _ if !self.is_star() && NOT_HEADS.iter().any(|head| is_word(self.head, head)) => false,
            ANY_NUMBER => hidden.len() <= ANY_NUMBER + 2 * SLACK,
            _ => hidden.len().abs_diff(self.width) <= SLACK,
        }
    }
}
