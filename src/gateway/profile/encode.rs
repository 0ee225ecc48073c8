//! The encoding of a value for its place in a request, so that no value can leave its place.

use std::fmt::Write as _;

/// A place in a request, by the encoding that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FillPlace {
    /// A step of the path, or a name or value of the query.
    Url,
    /// A name or value of a form in the body.
    Form,
    /// Between the quotes of a JSON string.
    JsonString,
    /// A whole value of JSON.
    JsonValue,
    /// A header, whose values are checked elsewhere.
    Header,
}

/// Writes a value in the encoding of its place. `is_number` counts in JSON alone.
pub(super) fn encode(out: &mut String, value: &str, is_number: bool, place: FillPlace) {
    match place {
        FillPlace::Url => percent(out, value),
        FillPlace::Form => out.extend(form_urlencoded::byte_serialize(value.as_bytes())),
        FillPlace::JsonString => json_characters(out, value),
        FillPlace::JsonValue if is_number => out.push_str(value),
        FillPlace::JsonValue => json_string(out, value),
        FillPlace::Header => out.push_str(value),
    }
}

/// Percent-encodes every byte that is not unreserved (RFC 3986, 2.3).
fn percent(out: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte.into());
        } else {
            write!(out, "%{byte:02X}").expect("writing to memory cannot fail");
        }
    }
}

fn json_string(out: &mut String, value: &str) {
    out.push('"');
    json_characters(out, value);
    out.push('"');
}

/// The characters of a JSON string, without its quotes.
fn json_characters(out: &mut String, value: &str) {
    let quoted = serde_json::to_string(value).expect("a text has a JSON form");
    out.push_str(&quoted[1..quoted.len() - 1]);
}

/// A text in UTF-16 with the high byte first, as hexadecimal digits.
pub(super) fn utf16_hex(text: &str) -> String {
    let mut hex = String::with_capacity(text.len() * 4);
    for unit in text.encode_utf16() {
        write!(hex, "{unit:04X}").expect("writing to memory cannot fail");
    }
    hex
}

/// A number from 1 to 2147483647 that follows from an id. It must never change: a provider may be asked
/// about a message by it. Two ids can have the same number.
pub(super) fn id_31(id: u64) -> u32 {
    let most = i32::MAX.unsigned_abs();
    let number = mixed(id) % u64::from(most) + 1;
    u32::try_from(number).expect("at most 31 bits")
}

/// The finisher of SplitMix64: ids of one mailing differ in few bits, their numbers must not.
fn mixed(id: u64) -> u64 {
    let once = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let twice = (once ^ (once >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    twice ^ (twice >> 31)
}

/// True for printable characters of ASCII alone, which each header can have.
pub(super) fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
