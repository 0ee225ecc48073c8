//! Numbers of variable length, as all records hold them.
//!
//! Below 251 a number is one byte. Otherwise that byte names the width of the little-endian number that
//! follows. Apart from the encoder and the decoder because both, and the walk through columns, must
//! agree on it.

/// Numbers below this one are a byte by themselves.
const SHORT: u64 = 251;

/// Appends a number, as short as it can be.
#[inline]
pub(super) fn put(bytes: &mut Vec<u8>, number: u64) {
    if number < SHORT {
        bytes.push(number as u8);
    } else {
        put_long(bytes, number);
    }
}

fn put_long(bytes: &mut Vec<u8>, number: u64) {
    if let Ok(number) = u16::try_from(number) {
        bytes.push(251);
        bytes.extend_from_slice(&number.to_le_bytes());
    } else if let Ok(number) = u32::try_from(number) {
        bytes.push(252);
        bytes.extend_from_slice(&number.to_le_bytes());
    } else {
        bytes.push(253);
        bytes.extend_from_slice(&number.to_le_bytes());
    }
}

/// Bytes that follow the first byte of a number.
#[inline]
pub(super) fn width(first: u8) -> usize {
    match first {
        251 => 2,
        252 => 4,
        253 => 8,
        _ => 0,
    }
}

/// A signed number as an unsigned one: those near zero stay short, whatever their sign.
#[inline]
pub(super) fn folded(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// The signed number of an unsigned one.
#[inline]
pub(super) fn unfolded(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
