//! Numbers of variable length, as bincode writes and reads them.
//!
//! Below 251 a number is one byte. Otherwise that byte names the width of the little-endian number that
//! follows. Apart from the encoder and the decoder because both, and the walk through columns, must
//! agree on it.

use bincode::{
    Decode, Encode,
    config::{self, Configuration},
    de::{Decoder, DecoderImpl, read::Reader},
    enc::{EncoderImpl, write::Writer},
    error,
};

/// The one configuration of bincode.
const FORM: Configuration = config::standard();

/// Bytes that grow as bincode writes.
struct Growing<'a>(&'a mut Vec<u8>);

impl Writer for Growing<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), error::EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Appends a number, as short as it can be.
#[inline]
pub(super) fn put(bytes: &mut Vec<u8>, number: impl Encode) {
    let mut encoder = EncoderImpl::new(Growing(bytes), FORM);
    let put = number.encode(&mut encoder);
    put.expect("memory takes all bytes, and a number has no other fault");
}

/// The largest number that is one byte, and that byte's value.
pub(super) const MOST_OF_BYTE: u8 = 250;

/// Bytes with zeros behind their end.
struct Padded<'a, 'de> {
    rest: &'a mut &'de [u8],
    zeros: usize,
}

impl Reader for Padded<'_, '_> {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> Result<(), error::DecodeError> {
        let known = into.len().min(self.rest.len());
        let (taken, rest) = self.rest.split_at(known);
        *self.rest = rest;

        let (filled, missing) = into.split_at_mut(known);
        filled.copy_from_slice(taken);
        missing.fill(0);
        self.zeros += missing.len();
        Ok(())
    }

    #[inline]
    fn peek_read(&mut self, len: usize) -> Option<&[u8]> {
        self.rest.get(..len)
    }

    #[inline]
    fn consume(&mut self, len: usize) {
        *self.rest = &self.rest[len..];
    }
}

/// Takes a number from the beginning of bytes. Returns it with the zeros behind the end that it took; an
/// error if its first byte names no width.
#[inline]
pub(super) fn take<T: Decode<()>>(rest: &mut &[u8]) -> Result<(T, usize), error::DecodeError> {
    let padded = Padded { rest, zeros: 0 };
    let mut decoder = DecoderImpl::new(padded, FORM, ());
    let number = T::decode(&mut decoder)?;
    Ok((number, decoder.reader().zeros))
}
