//! A customer: who may get messages.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{CustomerId, Invalid};

/// A customer's dense number, given when it is created and kept for ever, also while it is deleted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Seq(pub u32);

/// Characters that people write between the digits of a phone number. They say nothing, and are dropped.
const SEPARATORS: [char; 6] = [' ', '\u{a0}', '-', '(', ')', '.'];
/// Digits of a phone number, at least and at most (E.164).
const DIGITS: RangeInclusive<u32> = 10..=15;

/// A phone number in E.164 form, as the digits after `+`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Phone(u64);

impl Phone {
    /// `+` and 10 to 15 digits, of which the first is no 0; spaces, no-break spaces and `-`, `(`, `)`,
    /// `.` are dropped. `invalid_phone` otherwise.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        number(text).map(Self).ok_or_else(|| {
            let detail = "a phone number is `+` and 10 to 15 digits, like +79161112233";
            Invalid::new("invalid_phone", detail)
        })
    }

    /// From the digits as a number, as stored; the caller took them from a parsed phone.
    pub const fn from_digits(digits: u64) -> Self {
        Self(digits)
    }

    /// The digits as a number.
    pub const fn digits(self) -> u64 {
        self.0
    }
}

/// The digits of a phone number as people write it; `None` if anything else stands there.
fn number(text: &str) -> Option<u64> {
    let mut signs = text.chars().filter(|sign| !SEPARATORS.contains(sign));
    if signs.next() != Some('+') {
        return None;
    }

    let mut number = 0;
    let mut count = 0;
    for sign in signs {
        let digit = sign.to_digit(10)?;
        number = number * 10 + u64::from(digit);
        count += 1;
        // More digits would not fit in the number, and countries have no code that begins with 0.
        if count > *DIGITS.end() || number == 0 {
            return None;
        }
    }
    DIGITS.contains(&count).then_some(number)
}

impl std::fmt::Display for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "+{}", self.0)
    }
}

/// Redacted: a phone number never reaches a log.
impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Phone(…)")
    }
}

/// A customer as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// Its name, may be empty.
    pub name: String,
    /// Where its messages go.
    pub phone: Phone,
    /// Its operator, may be empty.
    pub operator: String,
    /// Its tag, may be empty.
    pub tag: String,
    /// Its IANA time zone; absent: the node's configured one.
    pub timezone: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_between_digits_does_not_count() {
        for text in [
            "+7 916 111 22 33",
            "+7-916-111-22-33",
            "+7 (916) 111-22-33",
            "+7\u{a0}916\u{a0}111.22.33",
            " +79161112233 ",
            "(+7) 916 111-22-33",
        ] {
            let phone = Phone::parse(text).expect(text);
            assert_eq!(phone.to_string(), "+79161112233", "{text}");
        }
    }

    #[test]
    fn a_phone_is_a_plus_and_ten_to_fifteen_digits() {
        assert_eq!(
            Phone::parse("+79161112233").expect("valid").digits(),
            79161112233
        );

        for bad in [
            "",
            "79161112233",
            "+7916",
            "+",
            "+09161112233",
            "+7916111223344556",
            "+7916111223344556677889900",
            "+7 916 111 22",
            "8 (916) 111-22-33",
            "+7916+1112233",
            "+79161112233, +79161112234",
            "+7916\t1112233",
            "+7916–1112233",
            "+7916/1112233",
            "+٧٩١٦١١١٢٢٣٣",
            "9.16111E+09",
        ] {
            assert_eq!(Phone::parse(bad).expect_err(bad).code, "invalid_phone");
        }
    }
}
