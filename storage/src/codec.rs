//! The one form in which everything is stored and sent, and the format byte that leads every record.
//!
//! Structs can grow at their end: zeros there are not written, and a reader finds zeros behind the
//! end. So a new field whose zero means "as before" changes no old record, and an old record has the
//! new field (docs/decisions/051-growing-formats.md tells how to add one). Numbers are as bincode 2
//! writes them.
//!
//! The byte names the encoding, so that it can be replaced without guessing at old bytes.

mod columns;
mod decoder;
mod encode_error;
mod encoder;
mod numbers;
#[cfg(test)]
mod tests;

use serde::{Serialize, de::DeserializeOwned};

use self::{
    decoder::{Decoder, Unknown},
    encoder::Encoder,
};
use crate::error::Error;

pub use columns::Columns;

/// The format of every record. Those before it could not grow, and are not read any more.
pub const FORMAT: u8 = 7;

/// Encodes a value, led by the format byte.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.push(FORMAT);
    let mut encoder = Encoder::new(bytes);
    let encoded = value.serialize(&mut encoder);
    let finished = encoded.and_then(|()| encoder.finish(1));
    finished
        .expect("all that is stored has a form: lists know their lengths, no field is skipped or as long as zeros")
}

/// A 64-bit hash of bytes, the same on every machine and in every version.
pub fn hash(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// Decodes what [`encode`] wrote. Refuses what this version does not know ([`Error::is_newer`]), and
/// bytes behind the value.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    decode_with(bytes, Unknown::Refused)
}

/// Decodes what [`encode`] wrote, without the fields that this version does not know: for greetings and
/// answers of peers that may be newer, where a field that is lost does no harm.
pub fn decode_known<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    decode_with(bytes, Unknown::Skipped)
}

fn decode_with<T: DeserializeOwned>(bytes: &[u8], unknown: Unknown) -> Result<T, Error> {
    let mut decoder = Decoder::new(body(bytes)?, unknown);
    let value = T::deserialize(&mut decoder).map_err(|source| Error::Record {
        source: Box::new(source),
    })?;
    match decoder.rest.len() {
        0 => Ok(value),
        bytes => Err(Error::Trailing { bytes }),
    }
}

/// The bytes behind the format byte.
fn body(bytes: &[u8]) -> Result<&[u8], Error> {
    match bytes.split_first() {
        Some((&FORMAT, body)) => Ok(body),
        found => Err(Error::Format {
            known: FORMAT,
            found: found.map(|(format, _)| *format),
        }),
    }
}
