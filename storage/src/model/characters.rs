//! Kinds of characters that texts and ids may have, by their Unicode properties.
//!
//! For parsing alone, before a command is proposed: tables of Unicode differ between binaries, so
//! apply knows none. The reasons for each kind are in
//! `docs/decisions/043-unicode-properties.md`.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup},
};

/// A letter without a shape: Unicode has no property for it.
const BRAILLE_BLANK: char = '\u{2800}';

fn is_in(group: GeneralCategoryGroup, char: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(char);
    group.contains(category)
}

/// True for characters that are not shown, whatever their category: zero-width spaces, fillers, soft
/// hyphens, variation selectors.
fn is_ignorable(char: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(char)
}

/// True if a reader can see the character.
pub(super) fn is_visible(char: char) -> bool {
    if char.is_ascii() {
        return char.is_ascii_graphic();
    }
    let hidden = GeneralCategoryGroup::Control
        .union(GeneralCategoryGroup::Format)
        .union(GeneralCategoryGroup::Separator);
    !is_in(hidden, char) && !is_ignorable(char) && char != BRAILLE_BLANK
}

/// True for what may stand in no field of one line: controls, line ends, and characters that turn the
/// direction of whatever follows, also behind the field.
pub(super) fn breaks_a_line(char: char) -> bool {
    is_control(char) || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// True for a text with a character that breaks a line.
pub(super) fn have_a_break(text: &str) -> bool {
    may_have_a_break(text) && text.chars().any(breaks_a_line)
}

/// False for most texts without such a character, which their bytes alone tell: controls are single bytes,
/// or begin with C2, and all others that break a line begin with E2.
fn may_have_a_break(text: &str) -> bool {
    let may_break = |byte: u8| byte < b' ' || matches!(byte, 0x7f | 0xc2 | 0xe2);
    // To the end of it, because a walk without an exit looks at many bytes at once.
    let bytes = text.bytes();
    bytes.fold(false, |found, byte| found | may_break(byte))
}

/// True for what may stand in no text: controls and line ends other than the line feed, and the two
/// characters that show a text in another order than it has.
pub(super) fn breaks_a_text(char: char) -> bool {
    let overrides = matches!(char, '\u{202d}' | '\u{202e}');
    overrides || (is_control(char) && char != '\n')
}

/// The control characters of Unicode and its two separators of lines; no later Unicode adds to them.
fn is_control(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}' | '\u{2029}')
}

/// True for a letter or a digit of any script, with the marks that some scripts write letters with.
pub(super) fn is_word(char: char) -> bool {
    if char.is_ascii() {
        return char.is_ascii_alphanumeric();
    }
    let words = GeneralCategoryGroup::Letter
        .union(GeneralCategoryGroup::Mark)
        .union(GeneralCategoryGroup::DecimalNumber);
    is_in(words, char) && !is_ignorable(char)
}

/// True for a mark that is written with the character before it.
pub(super) fn is_mark(char: char) -> bool {
    is_in(GeneralCategoryGroup::Mark, char)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_not_visible() {
        let hidden = [
            ' ',
            '\u{a0}',
            '\u{3000}',
            '\t',
            '\n',
            '\u{85}',
            '\u{2028}',
            '\u{200b}',
            '\u{200d}',
            '\u{2060}',
            '\u{feff}',
            '\u{ad}',
            '\u{34f}',
            '\u{115f}',
            '\u{3164}',
            '\u{ffa0}',
            '\u{fe0f}',
            '\u{e0100}',
            '\u{e0020}',
            '\u{202e}',
            '\u{180e}',
            '\u{2800}',
        ];
        for char in hidden {
            assert!(!is_visible(char), "U+{:04X}", u32::from(char));
        }
        for char in ['a', 'ж', '.', '7', '한', 'ـ', '😀', '\u{301}', '\u{e000}'] {
            assert!(is_visible(char), "U+{:04X}", u32::from(char));
        }
    }

    #[test]
    fn no_character_that_breaks_a_line_is_missed_by_its_bytes() {
        for char in ('\0'..=char::MAX).filter(|char| breaks_a_line(*char)) {
            assert!(
                have_a_break(&format!("ж{char}")),
                "U+{:04X}",
                u32::from(char)
            );
        }
        for text in ["", "Анна Мороз", "№ 1 — «é»", "👩\u{200d}🚀"] {
            assert!(!have_a_break(text), "{text}");
        }
    }

    #[test]
    fn letters_of_any_script_are_words_and_fillers_are_not() {
        for char in ['a', 'Z', '0', 'ж', 'ß', '字', '한', 'ि', '٣', '\u{301}'] {
            assert!(is_word(char), "U+{:04X}", u32::from(char));
        }
        for char in [
            '-', ' ', '/', '№', '😀', '\u{3164}', '\u{fe0f}', '\u{200b}', '½',
        ] {
            assert!(!is_word(char), "U+{:04X}", u32::from(char));
        }
    }
}
