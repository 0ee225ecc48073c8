//! How a text goes over the air: its encoding and the number of SMS it makes (GSM 03.38, 03.40).
//!
//! A text in the GSM alphabet has 160 septets in one SMS, or 153 in each of several; any other
//! text goes as UCS-2, 70 units or 67. A character of two units is never cut in two.

/// Characters of one septet.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡\
    ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Characters of two: an escape and another.
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// How the characters are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The GSM alphabet, 7 bits.
    Gsm7,
    /// 16 bits.
    Ucs2,
}

impl Encoding {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Gsm7 => "GSM-7",
            Encoding::Ucs2 => "UCS-2",
        }
    }
}

/// What a text makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// How it is encoded.
    pub encoding: Encoding,
    /// Septets or 16-bit units.
    pub units: usize,
    /// SMS.
    pub segments: usize,
    /// Units that fit in one of them.
    pub units_per_segment: usize,
}

/// Counts the segments of a text.
pub fn segments(text: &str) -> Segments {
    let gsm7: Option<Vec<usize>> = text.chars().map(septets).collect();
    match gsm7 {
        Some(sizes) => count(Encoding::Gsm7, &sizes, (160, 153)),
        None => {
            let sizes: Vec<_> = text.chars().map(char::len_utf16).collect();
            count(Encoding::Ucs2, &sizes, (70, 67))
        }
    }
}

fn septets(c: char) -> Option<usize> {
    if BASIC.contains(c) {
        Some(1)
    } else if EXTENDED.contains(c) {
        Some(2)
    } else {
        None
    }
}

fn count(encoding: Encoding, sizes: &[usize], (alone, of_several): (usize, usize)) -> Segments {
    let units: usize = sizes.iter().sum();
    if units <= alone {
        return Segments {
            encoding,
            units,
            segments: 1,
            units_per_segment: alone,
        };
    }
    let (mut segments, mut filled) = (1, 0);
    for size in sizes {
        if filled + size > of_several {
            segments += 1;
            filled = 0;
        }
        filled += size;
    }
    Segments {
        encoding,
        units,
        segments,
        units_per_segment: of_several,
    }
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
