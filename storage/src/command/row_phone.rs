//! The phone of a row as a number, of which zero is none: no phone begins with a zero.
//!
//! A phone that is there has the bytes that it had when every row had one, so that commands of then are
//! read as they were meant, and written as they were.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::Phone;

const NONE: Phone = Phone::from_digits(0);

/// Writes a phone, or zero for none.
pub(super) fn serialize<S: Serializer>(
    phone: &Option<Phone>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    phone.unwrap_or(NONE).serialize(serializer)
}

/// Reads a phone, or none from zero.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Phone>, D::Error> {
    let phone = Phone::deserialize(deserializer)?;
    Ok(Some(phone).filter(|phone| *phone != NONE))
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use crate::{codec, model::Phone};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct PhoneBefore {
        phone: Phone,
        tag: u16,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct PhoneNow {
        #[serde(with = "super")]
        phone: Option<Phone>,
        tag: u16,
    }

    #[test]
    fn a_phone_has_the_bytes_that_it_had_and_none_comes_back_as_none() {
        let phone = Phone::from_digits(79_161_112_233);
        let before = codec::encode(&PhoneBefore { phone, tag: 3 });
        let phone = Some(phone);
        assert_eq!(codec::encode(&PhoneNow { phone, tag: 3 }), before);

        for phone in [phone, None] {
            let row = PhoneNow { phone, tag: 3 };
            let read: PhoneNow = codec::decode(&codec::encode(&row)).expect("whole");
            assert_eq!(read, row);
        }
    }
}
