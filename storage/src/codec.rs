//! The one place that configures bincode, and the format byte that leads every record.
//!
//! The byte names the encoding, so that it can be replaced without guessing at old bytes: a
//! record that starts with anything else is refused as damage, never read as data.

use serde::{Serialize, de::DeserializeOwned};

use crate::error::Error;

/// The format written by this version: bincode 2, variable-length little-endian integers.
pub const FORMAT: u8 = 1;

/// Bytes that one decoded value may take, at most: a length that was made up must not ask for more
/// memory than there is.
const DECODED_BYTES: usize = 256 * 1024 * 1024;

fn config() -> impl bincode::config::Config {
    bincode::config::standard()
}

/// Encodes a value, led by the format byte.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    bytes.push(FORMAT);
    bincode::serde::encode_into_std_write(value, &mut bytes, config())
        .expect("writing to memory cannot fail, and every stored type has a bincode form");
    bytes
}

/// A 64-bit hash of bytes, the same on every machine and in every version.
pub fn hash(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// Decodes what [`encode`] wrote; trailing bytes are damage.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let (format, body) = bytes.split_first().ok_or(Error::Format { found: None })?;
    if *format != FORMAT {
        return Err(Error::Format { found: Some(*format) });
    }
    let config = bincode::config::standard().with_limit::<DECODED_BYTES>();
    let (value, read) = bincode::serde::decode_from_slice(body, config)
        .map_err(|source| Error::Record { source: Box::new(source) })?;
    if read != body.len() {
        return Err(Error::Trailing { bytes: body.len() - read });
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_survives_the_way_to_bytes_and_back() {
        let value = (7u32, "текст".to_owned(), vec![Some(-1i64), None]);
        let back: (u32, String, Vec<Option<i64>>) = decode(&encode(&value)).expect("decodes");
        assert_eq!(back, value);
    }

    #[test]
    fn a_length_beyond_all_memory_is_refused_not_tried() {
        let mut bytes = vec![FORMAT, 253];
        bytes.extend_from_slice(&(1u64 << 46).to_le_bytes());
        assert!(matches!(decode::<String>(&bytes), Err(Error::Record { .. })));
        assert!(matches!(decode::<Vec<u64>>(&bytes), Err(Error::Record { .. })));
    }

    #[test]
    fn another_format_and_trailing_bytes_are_refused() {
        let mut bytes = encode(&1u8);
        bytes.push(0);
        assert!(matches!(decode::<u8>(&bytes), Err(Error::Trailing { bytes: 1 })));
        bytes[0] = 99;
        assert!(matches!(decode::<u8>(&bytes), Err(Error::Format { found: Some(99) })));
    }
}
