//! The one place that configures bincode, and the format byte that leads every record.
//!
//! The byte names the encoding, so that it can be replaced without guessing at old bytes: a
//! record that starts with anything else is refused as damage, never read as data.

use serde::{Serialize, de::DeserializeOwned};

use crate::error::Error;

/// The format written by this version: bincode 2, variable-length little-endian integers. The
/// sixth: the first kept mailings' stages and progress in another shape, the second did not know
/// whose customers were deleted while their messages were under way, the third did not count the
/// uses of words and passed over the same numbers at each restore, the fourth had commands and
/// replies of nodes that numbered what they proposed, the fifth folded words as a whole, knew customers
/// by their ids alone, and had rows without kept fields.
pub const FORMAT: u8 = 6;

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

/// Bytes that [`encode`] would write.
pub fn encoded_len<T: Serialize + ?Sized>(value: &T) -> usize {
    let mut size = bincode::enc::write::SizeWriter::default();
    bincode::serde::encode_into_writer(value, &mut size, config())
        .expect("counting cannot fail, and every stored type has a bincode form");
    1 + size.bytes_written
}

/// A 64-bit hash of bytes, the same on every machine and in every version.
pub fn hash(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

/// Decodes what [`encode`] wrote; trailing bytes are damage.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let (format, body) = bytes.split_first().ok_or(Error::Format {
        known: FORMAT,
        found: None,
    })?;
    if *format != FORMAT {
        return Err(Error::Format {
            known: FORMAT,
            found: Some(*format),
        });
    }
    let config = bincode::config::standard().with_limit::<DECODED_BYTES>();
    let (value, read) =
        bincode::serde::decode_from_slice(body, config).map_err(|source| Error::Record {
            source: Box::new(source),
        })?;
    if read != body.len() {
        return Err(Error::Trailing {
            bytes: body.len() - read,
        });
    }
    Ok(value)
}

/// Walks through the leading columns of a record without decoding the rest: for questions that
/// look at one column of very many records.
pub struct Columns<'a> {
    rest: &'a [u8],
}

impl<'a> Columns<'a> {
    /// A record whose fields are columns, from the first.
    pub fn of(bytes: &'a [u8]) -> Result<Self, Error> {
        match bytes.split_first() {
            Some((&FORMAT, rest)) => Ok(Self { rest }),
            found => Err(Error::Format {
                known: FORMAT,
                found: found.map(|(format, _)| *format),
            }),
        }
    }

    /// The next column, of bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let len = self.number()? as usize;
        self.take(len)
    }

    /// The next column, of numbers.
    pub fn numbers(&mut self) -> Result<Vec<u64>, Error> {
        let len = self.number()?;
        (0..len).map(|_| self.number()).collect()
    }

    /// Passes the next column, of numbers, by.
    pub fn pass(&mut self) -> Result<(), Error> {
        for _ in 0..self.number()? {
            let width = self.rest.first().map_or(0, |first| width(*first));
            self.take(1 + width)?;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<u64, Error> {
        let first = self.take(1)?[0];
        match width(first) {
            0 => Ok(first.into()),
            width => {
                let mut bytes = [0; 8];
                bytes[..width].copy_from_slice(self.take(width)?);
                Ok(u64::from_le_bytes(bytes))
            }
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let parts = self.rest.split_at_checked(len);
        let (taken, rest) = parts.ok_or(Error::Contradiction {
            what: "a column is cut",
        })?;
        self.rest = rest;
        Ok(taken)
    }
}

/// Bytes that follow the first of a number, by bincode's variable-length form.
fn width(first: u8) -> usize {
    match first {
        251 => 2,
        252 => 4,
        253 => 8,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_as_they_were_written() {
        let numbers = vec![
            0,
            1,
            250,
            251,
            65_535,
            65_536,
            u64::from(u32::MAX),
            79_160_000_001,
        ];
        let bytes: Vec<u8> = (0..=255).collect();
        let small: Vec<u16> = vec![7, 300];
        let record = encode(&(numbers.clone(), bytes.clone(), small, numbers.clone(), 5u32));
        let mut columns = Columns::of(&record).expect("a record");
        columns.pass().expect("a column");
        assert_eq!(columns.bytes().expect("a column"), bytes);
        assert_eq!(columns.numbers().expect("a column"), [7, 300]);
        assert_eq!(columns.numbers().expect("a column"), numbers);
        for len in 0..record.len() - 1 {
            let cut = Columns::of(&record[..len]).and_then(|mut columns| {
                columns.pass()?;
                columns.bytes()?;
                columns.pass()?;
                columns.pass()
            });
            assert!(cut.is_err(), "{len}");
        }
    }

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
        assert!(matches!(
            decode::<String>(&bytes),
            Err(Error::Record { .. })
        ));
        assert!(matches!(
            decode::<Vec<u64>>(&bytes),
            Err(Error::Record { .. })
        ));
    }

    #[test]
    fn another_format_and_trailing_bytes_are_refused() {
        let mut bytes = encode(&1u8);
        bytes.push(0);
        assert!(matches!(
            decode::<u8>(&bytes),
            Err(Error::Trailing { bytes: 1 })
        ));
        bytes[0] = 99;
        assert!(matches!(
            decode::<u8>(&bytes),
            Err(Error::Format {
                known: FORMAT,
                found: Some(99)
            })
        ));
    }
}
