//! A walk through the leading columns of a record.
//!
//! Some questions look at one column of very many records: what they do not ask for is passed over, not
//! decoded. As for the decoder, zeros stand behind the end of a record.

use std::borrow::Cow;

use super::{decoder::PADDING, numbers};
use crate::error::Error;

/// Walks through the leading columns of a record without decoding the rest.
pub struct Columns<'a> {
    rest: &'a [u8],
}

impl<'a> Columns<'a> {
    /// A record whose fields are columns, from the first.
    pub fn of(bytes: &'a [u8]) -> Result<Self, Error> {
        Ok(Self {
            rest: super::body(bytes)?,
        })
    }

    /// The next column, of bytes.
    pub fn bytes(&mut self) -> Result<Cow<'a, [u8]>, Error> {
        let len = self.len()?;
        if let Some((taken, rest)) = self.rest.split_at_checked(len) {
            self.rest = rest;
            return Ok(Cow::Borrowed(taken));
        }
        let mut bytes = std::mem::take(&mut self.rest).to_vec();
        bytes.resize(len, 0);
        Ok(Cow::Owned(bytes))
    }

    /// The next column, of numbers.
    pub fn numbers(&mut self) -> Result<Vec<u64>, Error> {
        let len = self.len()?;
        (0..len).map(|_| self.number()).collect()
    }

    /// Passes the next column, of numbers, by.
    pub fn pass(&mut self) -> Result<(), Error> {
        for _ in 0..self.len()? {
            self.number()?;
        }
        Ok(())
    }

    /// The length of a column, which its record allows.
    fn len(&mut self) -> Result<usize, Error> {
        let len = self.number()?;
        if len > (self.rest.len() + PADDING) as u64 {
            let what = "a column is longer than its record";
            return Err(Error::Contradiction { what });
        }
        Ok(len as usize)
    }

    #[inline]
    fn number(&mut self) -> Result<u64, Error> {
        let taken = numbers::take(&mut self.rest);
        let what = "a byte where a number must begin names no width";
        taken
            .map(|(number, _zeros)| number)
            .map_err(|_| Error::Contradiction { what })
    }
}
