//! A customer: who may get messages.

use serde::{Deserialize, Serialize};

use super::{CustomerId, Invalid};

/// A customer's dense number, given when it is created and kept for ever, also while it is deleted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Seq(pub u32);

/// A phone number in E.164 form, as the digits after `+`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Phone(u64);

impl Phone {
    /// `+` and 10 to 15 digits, nothing else; `invalid_phone` otherwise.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let digits = text.strip_prefix('+').unwrap_or_default();
        let fits = (10..=15).contains(&digits.len()) && !digits.starts_with('0');
        if !fits || !digits.bytes().all(|b| b.is_ascii_digit()) {
            let detail = "a phone number is `+` and 10 to 15 digits, like +79161112233";
            return Err(Invalid::new("invalid_phone", detail));
        }
        let number = digits.bytes().fold(0, |n, b| n * 10 + u64::from(b - b'0'));
        Ok(Self(number))
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
    fn a_phone_is_a_plus_and_ten_to_fifteen_digits() {
        assert_eq!(
            Phone::parse("+79161112233").expect("valid").digits(),
            79161112233
        );
        for bad in [
            "",
            "79161112233",
            "+7916",
            "+7 9161112233",
            "+7(916)1112233",
            "+7916111223344556",
        ] {
            assert_eq!(Phone::parse(bad).expect_err(bad).code, "invalid_phone");
        }
    }
}
