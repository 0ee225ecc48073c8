//! The encoding of a text in SMS, and the number of SMS that it makes (GSM 03.38, 03.40).
//!
//! A text in the GSM alphabet has 160 septets in one SMS, or 153 in each of several. Any other text is
//! sent as UCS-2, with 70 units in one SMS, or 67 in each of several. A character of two units is
//! never cut in two.

/// Characters of one septet.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡\
    ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Characters of two septets: an escape and another one.
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// The encoding of a text's characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The GSM alphabet, of 7 bits.
    Gsm7,
    /// UTF-16 units of 16 bits.
    Ucs2,
}

impl Encoding {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Gsm7 => "GSM-7",
            Encoding::Ucs2 => "UCS-2",
        }
    }
}

/// The SMS that a text makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// Encoding of all its characters.
    pub encoding: Encoding,
    /// Length of the text in septets or 16-bit units.
    pub units: usize,
    /// Number of SMS that the text makes.
    pub segments: usize,
    /// Units that fit in one SMS of this text.
    pub units_per_segment: usize,
}

/// Counts the SMS that a text makes.
pub fn segments(text: &str) -> Segments {
    // One character outside the GSM alphabet decides for the whole text.
    let gsm7: Option<Vec<usize>> = text.chars().map(septets).collect();
    match gsm7 {
        Some(sizes) => count(Encoding::Gsm7, &sizes, GSM7_ROOM),
        None => {
            let sizes: Vec<usize> = text.chars().map(char::len_utf16).collect();
            count(Encoding::Ucs2, &sizes, UCS2_ROOM)
        }
    }
}

/// Septets that a character takes; `None` if the GSM alphabet does not have it.
fn septets(c: char) -> Option<usize> {
    if BASIC.contains(c) {
        Some(1)
    } else if EXTENDED.contains(c) {
        Some(2)
    } else {
        None
    }
}

/// Units that fit in one SMS.
#[derive(Clone, Copy)]
struct Room {
    /// Of a text that is one SMS.
    alone: usize,
    /// Of a text that is several: a header takes some units of each.
    of_several: usize,
}

const GSM7_ROOM: Room = Room {
    alone: 160,
    of_several: 153,
};
const UCS2_ROOM: Room = Room {
    alone: 70,
    of_several: 67,
};

fn count(encoding: Encoding, sizes: &[usize], room: Room) -> Segments {
    let units: usize = sizes.iter().sum();
    let is_alone = units <= room.alone;
    Segments {
        encoding,
        units,
        segments: if is_alone {
            1
        } else {
            fill(sizes, room.of_several)
        },
        units_per_segment: if is_alone {
            room.alone
        } else {
            room.of_several
        },
    }
}

/// Number of SMS that characters fill, none of which is cut in two.
fn fill(sizes: &[usize], room: usize) -> usize {
    let mut segments = 1;
    let mut filled = 0;
    for size in sizes {
        if filled + size > room {
            segments += 1;
            filled = 0;
        }
        filled += size;
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(text: &str) -> (Encoding, usize, usize) {
        let found = segments(text);
        (found.encoding, found.units, found.segments)
    }

    #[test]
    fn gsm_texts_have_160_septets_or_153_in_each_of_several() {
        assert_eq!(counted(""), (Encoding::Gsm7, 0, 1));
        assert_eq!(counted(&"a".repeat(160)), (Encoding::Gsm7, 160, 1));
        assert_eq!(counted(&"a".repeat(161)), (Encoding::Gsm7, 161, 2));
        assert_eq!(counted(&"a".repeat(306)), (Encoding::Gsm7, 306, 2));
        assert_eq!(counted(&"a".repeat(307)), (Encoding::Gsm7, 307, 3));
        assert_eq!(counted(&"€".repeat(80)), (Encoding::Gsm7, 160, 1));
    }

    #[test]
    fn an_extended_character_is_not_cut_in_two() {
        // 152 septets and one of two: the second does not fit in the first SMS.
        let text = format!("{}€{}", "a".repeat(152), "a".repeat(151));
        assert_eq!(counted(&text), (Encoding::Gsm7, 305, 2));
        let text = format!("{}€{}", "a".repeat(152), "a".repeat(152));
        assert_eq!(counted(&text), (Encoding::Gsm7, 306, 3));
    }

    #[test]
    fn other_texts_have_70_units_or_67() {
        assert_eq!(counted(&"я".repeat(70)), (Encoding::Ucs2, 70, 1));
        assert_eq!(counted(&"я".repeat(71)), (Encoding::Ucs2, 71, 2));
        assert_eq!(counted(&"я".repeat(135)), (Encoding::Ucs2, 135, 3));
        assert_eq!(counted(&"😀".repeat(35)), (Encoding::Ucs2, 70, 1));
        assert_eq!(counted(&"😀".repeat(67)), (Encoding::Ucs2, 134, 3));
    }
}
