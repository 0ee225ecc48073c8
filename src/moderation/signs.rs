//! What one sign of a text may stand for.
//!
//! Folds the outer shape of a sign away (case, width, accents, fonts, Greek and other look-alikes)
//! and says which Russian and which English letters it can be read as. It knows no words.

/// A sign, folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// A lower-case Russian letter, `ё` being `е`.
    Russian(char),
    /// A lower-case letter from `a` to `z`.
    Latin(char),
    /// A digit from `0` to `9`.
    Digit(char),
    /// A sign that is at times put in a letter's place, such as `@` or `*`.
    StandIn(char),
    /// A sign that ends a word for good, such as a comma.
    Stop,
    /// A sign that may be put between the letters of a word, such as `-` or an emoji.
    Joint(char),
    /// White space.
    Space,
    /// A sign without a shape of its own, such as a stress mark or a zero-width space.
    Nothing,
}

/// The letters that one sign may be; unused places hold `NONE`.
pub(super) type Choice = [char; 3];

/// Fills the unused places of a `Choice`.
pub(super) const NONE: char = '\0';

/// The letters that a masking sign may be: all of them.
pub(super) const ANY: Choice = ['*', NONE, NONE];

/// Signs that stand in for a letter.
const STAND_INS: &str = "@$!|(<+€*#";

/// Signs that part words even without a space.
const STOPS: &str = ",;:?\"()[]{}«»/\\&=%>„“”‹›";

/// Letters that look like, or are a form of, a plain letter: the plain letter comes first.
const LOOK_ALIKES: &[&str] = &[
    "aàáâãäåāăąαɑᴀ",
    "bβʙƀ",
    "cçćčϲᴄ¢",
    "dđďԁᴅ",
    "eèéêëēęěεέєᴇ℮",
    "fƒꜰ",
    "gğġɡɢ",
    "hһհʜħ",
    "iìíîïīıιίɩɪ",
    "jјϳᴊ",
    "kκᴋ",
    "lłĺľʟ",
    "mᴍ",
    "nñńňηήɴ",
    "oòóôõöøōőοόσᴏ",
    "pρᴘ",
    "rŕřʀ",
    "sšśşѕꜱ",
    "tťτţᴛ",
    "uùúûüūůµμυύᴜ",
    "vνѵᴠ",
    "wωώԝᴡ",
    "xχ×",
    "yýÿγʏү",
    "zžźżζᴢ",
    "аӑӓ",
    "вв",
    "гґғ",
    "еѐёєӗ",
    "зҙ",
    "иѝіїӣӥ",
    "кќқҡ",
    "лλ",
    "нңҥ",
    "оөӧ",
    "пπ",
    "сҫ",
    "уўӯӱ",
    "фφ",
    "хҳ",
    "чҷҹ",
    "эӭ",
];

/// Greek and Cyrillic capitals whose shape differs from their small letter's, and that shape.
const CAPITALS: &[&str] = &[
    "Αa", "Βb", "Εe", "Ζz", "Ηh", "Ιi", "Κk", "Μm", "Νn", "Οo", "Ρp", "Τt", "Υy", "Χx", "Πп", "Γг",
    "Λл", "Φф", "Ѕs", "Јj", "İi", "Ϲc",
];

/// What a Latin letter or a stand-in is within a Russian word: each row has the sign, then the
/// letters by its look, then by its sound.
const AS_RUSSIAN: &[&str] = &[
    "aа", "bбьв", "cсц", "dд", "eе", "fф", "gгд", "hнх", "iий", "jйж", "kк", "lл", "mмт", "nпн",
    "oо", "pрп", "qк", "rгр", "sс", "tт", "uиуй", "vв", "wшв", "xх", "yуй", "zз", "0о", "1ил",
    "3зе", "4ча", "5с", "6б", "7т", "8в", "9яд", "@аои", "$с", "!и", "|ли", "(с", "<с", "+т", "€е",
];

/// What a Latin letter is when a whole Russian word is put in Latin letters by their look.
const LOOKS_RUSSIAN: &[&str] = &[
    "aа", "bьвб", "cс", "eе", "gд", "hн", "kк", "mмт", "nп", "oо", "pр", "rг", "tт", "uий", "iий",
    "jй", "xх", "yу",
];

/// What a Latin letter or a digit is when a Russian word is put in Latin letters by its sound.
const SOUNDS_RUSSIAN: &[&str] = &[
    "cц", "hх", "iий", "jйж", "nн", "pп", "rр", "mм", "bб", "gг", "uу", "yйыи", "wш", "6б", "4ч",
    "9я",
];

/// What a digit, a stand-in or a Russian letter is within an English word.
const AS_ENGLISH: &[&str] = &[
    "0o", "1il", "3e", "4a", "5s", "6bg", "7t", "8b", "9g", "@a", "$s", "!il", "|li", "(c", "<c",
    "+t", "€e", "аa", "бb", "вbv", "гrg", "дdg", "еe", "зez", "иiu", "кk", "лl", "мm", "нhn", "оo",
    "пnp", "рpr", "сcs", "тt", "уyu", "фf", "хxh", "цc", "чh", "шw", "ьb", "йuy",
];

/// Pairs of Latin letters that are one Russian letter, which comes third.
const PAIRS: &[&str] = &[
    "shш", "chч", "zhж", "khх", "tsц", "yaя", "jaя", "iaя", "yuю", "juю", "iuю", "ooу", "yeе",
    "jeе",
];

/// Folds a sign.
pub(super) fn fold(c: char) -> Sign {
    match c {
        ' '..='~' => plain(c),
        'а'..='я' => Sign::Russian(c),
        'А'..='Я' => lower(c),
        'ё' | 'Ё' => Sign::Russian('е'),
        '＊' | '∗' | '✱' => Sign::StandIn('*'),
        '«' | '»' | '„' | '“' | '”' => Sign::Stop,
        _ if c.is_whitespace() => Sign::Space,
        _ => rare(c),
    }
}

fn plain(c: char) -> Sign {
    match c {
        'a'..='z' => Sign::Latin(c),
        'A'..='Z' => Sign::Latin(c.to_ascii_lowercase()),
        '0'..='9' => Sign::Digit(c),
        ' ' => Sign::Space,
        _ if STAND_INS.contains(c) => Sign::StandIn(c),
        _ if STOPS.contains(c) => Sign::Stop,
        _ => Sign::Joint(c),
    }
}

fn lower(c: char) -> Sign {
    letter(c.to_lowercase().next().unwrap_or(c)).unwrap_or(Sign::Joint(c))
}

fn letter(c: char) -> Option<Sign> {
    match c {
        'a'..='z' => Some(Sign::Latin(c)),
        'а'..='я' => Some(Sign::Russian(c)),
        _ => None,
    }
}

/// Folds what is neither plain ASCII nor plain Russian.
fn rare(c: char) -> Sign {
    if is_nothing(c) {
        return Sign::Nothing;
    }
    if let Some(plain_form) = font(c) {
        return plain(plain_form);
    }
    if let Some(shape) = row(CAPITALS, c).and_then(|row| row.chars().nth(1)) {
        return letter(shape).unwrap_or(Sign::Joint(c));
    }
    let small = c.to_lowercase().next().unwrap_or(c);
    let row = LOOK_ALIKES
        .iter()
        .find(|row| row.chars().skip(1).any(|like| like == small));
    if let Some(found) = row.and_then(|row| row.chars().next()).and_then(letter) {
        return found;
    }
    match c {
        '€' => Sign::StandIn(c),
        _ if STOPS.contains(c) => Sign::Stop,
        _ => Sign::Joint(c),
    }
}

/// Combining marks, zero-width signs, direction marks and the like.
fn is_nothing(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe2f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
        | '\u{0}'..='\u{8}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{b4}' | '\u{2cb}' | '\u{2ca}')
}

/// The plain form of a full-width, mathematical, circled or squared letter or digit.
fn font(c: char) -> Option<char> {
    let code = u32::from(c);
    let from = |base: char, offset: u32| char::from_u32(u32::from(base) + offset);
    match code {
        0xff01..=0xff5e => from('!', code - 0xff01),
        0x24b6..=0x24e9 => from('a', (code - 0x24b6) % 26),
        0x249c..=0x24b5 => from('a', code - 0x249c),
        0x1f130..=0x1f149 => from('a', code - 0x1f130),
        0x1f150..=0x1f169 => from('a', code - 0x1f150),
        0x1f170..=0x1f189 => from('a', code - 0x1f170),
        0x1d400..=0x1d6a3 => from('a', (code - 0x1d400) % 26),
        0x1d7ce..=0x1d7ff => from('0', (code - 0x1d7ce) % 10),
        _ => None,
    }
}

fn choice(letters: &str) -> Choice {
    let mut places = letters.chars();
    [(); 3].map(|()| places.next().unwrap_or(NONE))
}

/// The row of a table that begins with a sign.
fn row(table: &[&'static str], c: char) -> Option<&'static str> {
    table.iter().copied().find(|row| row.starts_with(c))
}

fn look_up(table: &[&'static str], c: char) -> Option<Choice> {
    row(table, c).map(|row| choice(&row[c.len_utf8()..]))
}

/// What a sign may be in a word that has Russian letters.
pub(super) fn as_russian(sign: Sign) -> Option<Choice> {
    match sign {
        Sign::Russian('э') => Some(['э', 'е', NONE]),
        Sign::Russian('ъ') => Some(['ъ', 'ь', NONE]),
        Sign::Russian(c) => Some([c, NONE, NONE]),
        Sign::StandIn('*' | '#') => Some(ANY),
        Sign::Latin(c) | Sign::Digit(c) | Sign::StandIn(c) => look_up(AS_RUSSIAN, c),
        _ => None,
    }
}

/// What a sign may be in a Russian word put in Latin letters by their look.
pub(super) fn looks_russian(sign: Sign) -> Option<Choice> {
    match sign {
        Sign::Latin(c) => look_up(LOOKS_RUSSIAN, c),
        Sign::Russian(_) => None,
        _ => as_russian(sign),
    }
}

/// What a sign may be in a Russian word put in Latin letters by its sound.
pub(super) fn sounds_russian(sign: Sign) -> Option<Choice> {
    match sign {
        Sign::Latin(c) | Sign::Digit(c) => {
            look_up(SOUNDS_RUSSIAN, c).or_else(|| look_up(AS_RUSSIAN, c))
        }
        Sign::Russian(_) => None,
        _ => as_russian(sign),
    }
}

/// What a sign may be in an English word.
pub(super) fn as_english(sign: Sign) -> Option<Choice> {
    match sign {
        Sign::Latin(c) => Some([c, NONE, NONE]),
        Sign::StandIn('*' | '#') => Some(ANY),
        Sign::Russian(c) | Sign::Digit(c) | Sign::StandIn(c) => look_up(AS_ENGLISH, c),
        _ => None,
    }
}

/// The Russian letter that two Latin letters are together, if they are one.
pub(super) fn pair(first: Sign, second: Sign) -> Option<char> {
    let (Sign::Latin(first), Sign::Latin(second)) = (first, second) else {
        return None;
    };
    let is = |pair: &&&str| pair.starts_with(first) && pair[1..].starts_with(second);
    PAIRS.iter().find(is).and_then(|pair| pair.chars().nth(2))
}
