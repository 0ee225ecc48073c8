//! The plain form of a value: a phone is its digits whatever the writing, and a text is a text.

use notty_storage::model::Phone;

use super::{super::placeholder::Placeholder, pattern::FoundValue};

/// Characters of a wrong value that are shown.
const SHOWN_CHARS: usize = 40;

/// The plain form of a value, by the placeholder in whose place it stands. The error tells what is wrong
/// with it.
pub(super) fn plain(placeholder: &Placeholder, value: &str) -> Result<FoundValue, String> {
    let checked = match placeholder {
        Placeholder::Id | Placeholder::IdText => id(value)?,
        Placeholder::Id31 => id_31(value)?,
        Placeholder::Phone => phone(value)?,
        Placeholder::PhoneDigits | Placeholder::PhoneNumber => digits(value)?,
        Placeholder::TextUtf16Hex => utf16(value)?,
        Placeholder::Segments | Placeholder::ValidMinutes => whole_number(value)?,
        Placeholder::ReceiptUrl => url(value)?,
        Placeholder::Secret(_) | Placeholder::Sender => some(value)?,
        Placeholder::Text | Placeholder::Encoding => value.to_owned(),
    };
    Ok((family(placeholder), checked))
}

/// The placeholder that stands for all writings of the same value.
fn family(placeholder: &Placeholder) -> Placeholder {
    match placeholder {
        Placeholder::IdText => Placeholder::Id,
        phone if phone.is_phone() => Placeholder::PhoneDigits,
        text if text.is_text() => Placeholder::Text,
        other => other.clone(),
    }
}

/// A value if it is right, or else what it is not.
fn checked(value: &str, is_right: bool, wanted: &str) -> Result<String, String> {
    let right = is_right.then(|| value.to_owned());
    right.ok_or_else(|| format!("`{}` is no {wanted}", shown(value)))
}

/// The beginning of a value.
pub(super) fn shown(value: &str) -> String {
    match value.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

fn id(value: &str) -> Result<String, String> {
    let is_id = value.parse::<i64>().is_ok_and(|id| id > 0);
    checked(value, is_id, "id of a message")
}

fn id_31(value: &str) -> Result<String, String> {
    let is_number = value.parse::<i32>().is_ok_and(|number| number > 0);
    checked(value, is_number, "number of 31 bits")
}

fn phone(value: &str) -> Result<String, String> {
    let is_phone = value.starts_with('+') && Phone::parse(value).is_ok();
    checked(value, is_phone, "phone number with a plus")?;
    Ok(value.trim_start_matches('+').to_owned())
}

fn digits(value: &str) -> Result<String, String> {
    let is_digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let is_phone = is_digits && Phone::parse(&format!("+{value}")).is_ok();
    checked(value, is_phone, "phone number of digits alone")
}

fn utf16(value: &str) -> Result<String, String> {
    let units: Option<Vec<u16>> = value.as_bytes().chunks(4).map(unit).collect();
    let text = units.and_then(|units| String::from_utf16(&units).ok());
    text.ok_or_else(|| "it is no UTF-16 in hexadecimal digits".to_owned())
}

fn unit(digits: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(digits).ok()?;
    let is_whole = digits.len() == 4;
    is_whole.then(|| u16::from_str_radix(digits, 16).ok())?
}

fn whole_number(value: &str) -> Result<String, String> {
    checked(value, value.parse::<u32>().is_ok(), "whole number")
}

fn url(value: &str) -> Result<String, String> {
    let is_url = value.starts_with("http://") || value.starts_with("https://");
    checked(value, is_url, "URL")
}

/// Any value but an empty one.
fn some(value: &str) -> Result<String, String> {
    let some = (!value.is_empty()).then(|| value.to_owned());
    some.ok_or_else(|| "it is empty".to_owned())
}
