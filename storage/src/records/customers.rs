//! Customers in blocks of 128 by number, marks of the deleted, and the log of changes.

use serde::{Deserialize, Serialize};

use crate::{codec, error::Error};

/// What a scan compares: one entry of each column per customer of the block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerColumns {
    /// Zone numbers; 0 for none.
    pub zones: Vec<u16>,
    /// Tag numbers.
    pub tags: Vec<u32>,
    /// Operator numbers.
    pub operators: Vec<u32>,
    /// Phone digits; 0 while the customer is deleted.
    pub phones: Vec<u64>,
}

impl CustomerColumns {
    /// Customers in the block, deleted ones among them.
    pub fn len(&self) -> usize {
        self.phones.len()
    }

    /// Whether the block is empty.
    pub fn is_empty(&self) -> bool {
        self.phones.is_empty()
    }

    /// Phone digits alone, from a record's bytes.
    pub fn phones_in(bytes: &[u8]) -> Result<Vec<u64>, Error> {
        let mut columns = codec::Columns::of(bytes)?;
        // Zones, tags and operators.
        for _ in 0..3 {
            columns.pass()?;
        }
        columns.numbers()
    }

    /// Whether the customer at `index` exists.
    pub fn is_present(&self, index: usize) -> bool {
        self.phones.get(index).is_some_and(|phone| *phone != 0)
    }
}

/// What is only read for one customer at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerTexts {
    /// Ids; kept when a customer is deleted.
    pub ids: Vec<String>,
    /// Names; emptied when a customer is deleted.
    pub names: Vec<String>,
}

/// A bitmap of deleted customers, one bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedBlock {
    /// Little-endian words; shorter than the block where the rest is zero.
    pub bits: Vec<u64>,
}

impl DeletedBlock {
    /// Whether the customer with this offset is deleted.
    pub fn contains(&self, offset: u32) -> bool {
        let word = self
            .bits
            .get(offset as usize / 64)
            .copied()
            .unwrap_or_default();
        word >> (offset % 64) & 1 == 1
    }

    /// Sets or clears the mark.
    pub fn set(&mut self, offset: u32, deleted: bool) {
        let index = offset as usize / 64;
        if self.bits.len() <= index {
            self.bits.resize(index + 1, 0);
        }
        let bit = 1u64 << (offset % 64);
        if deleted {
            self.bits[index] |= bit;
        } else {
            self.bits[index] &= !bit;
        }
    }
}

/// Customers of whom it was decided, when they changed, whether they are for a mailing that is for
/// those who match at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Of whom it was decided.
    pub customers: DeletedBlock,
    /// Those of them who matched.
    pub matched: DeletedBlock,
}

/// The log of phones that customers gave up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    /// The next one's number.
    pub next: u64,
    /// Those below this number are gone: no mailing may have a message to them from then.
    pub from: u64,
}

/// Changes of customers in the order of their numbers: who changed, or none where the customer
/// changed again later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeBlock {
    /// Customer numbers plus one; 0 for none.
    pub customers: Vec<u32>,
}

/// The number of each customer's last change, for the customers of one block that have one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeNumbers {
    /// Offset in the block and change number, in the order of offsets.
    pub numbers: Vec<(u8, u64)>,
}
