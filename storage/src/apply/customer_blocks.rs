//! The blocks of customers that one command touches: read once, written once.
//!
//! A command may write a thousand rows of few blocks. Reading and writing the block for each row would
//! cost more than everything else.

use std::collections::{BTreeMap, btree_map};

use crate::{
    changes::Changes,
    command::KeptFields,
    error::Error,
    index::id_hash,
    keys::{CustomerColumnsKey, CustomerHashesKey, CustomerTextsKey},
    limits::CUSTOMERS_PER_BLOCK,
    model::{CustomerId, Seq},
    records::{CustomerColumns, CustomerTexts, WordKind},
    source::Source,
};

/// The words of one customer, by their numbers in the state's dictionaries.
#[derive(Clone, Copy)]
pub(super) struct CustomerWords {
    pub(super) zone: u16,
    pub(super) tag: u32,
    pub(super) operator: u32,
}

impl CustomerWords {
    /// These words, and those from before in fields that are kept.
    pub(super) fn keeping(self, kept: KeptFields, before: Self) -> Self {
        let mut words = self;
        if kept.has(KeptFields::TIMEZONE) {
            words.zone = before.zone;
        }
        if kept.has(KeptFields::TAG) {
            words.tag = before.tag;
        }
        if kept.has(KeptFields::OPERATOR) {
            words.operator = before.operator;
        }
        words
    }
}

/// A block of customers that was read, and may be changed.
#[derive(Default)]
pub(super) struct CustomerBlock {
    pub(super) columns: CustomerColumns,
    pub(super) texts: CustomerTexts,
    pub(super) hashes: Vec<u64>,
    pub(super) grown: bool,
    pub(super) columns_changed: bool,
    pub(super) texts_changed: bool,
}

impl CustomerBlock {
    /// The words of the customer at an index.
    pub(super) fn words(&self, index: usize) -> CustomerWords {
        let columns = &self.columns;
        CustomerWords {
            zone: columns.zones[index],
            tag: columns.tags[index],
            operator: columns.operators[index],
        }
    }
}

/// The blocks that one command touches, read once and written once.
#[derive(Default)]
pub(super) struct CustomerBlocks {
    blocks: BTreeMap<u32, CustomerBlock>,
    /// A tag and an operator for each row that began to use them: counted at the end, all at once.
    tags: Vec<u32>,
    operators: Vec<u32>,
}

impl CustomerBlocks {
    /// The block of a customer, and its index there.
    pub(super) fn get(
        &mut self,
        changes: &Changes<'_>,
        seq: Seq,
    ) -> Result<(&mut CustomerBlock, usize), Error> {
        let number = seq.0 / CUSTOMERS_PER_BLOCK;
        let index = (seq.0 % CUSTOMERS_PER_BLOCK) as usize;
        let block = match self.blocks.entry(number) {
            btree_map::Entry::Occupied(entry) => entry.into_mut(),
            btree_map::Entry::Vacant(entry) => entry.insert(CustomerBlock {
                columns: changes.get_or_default(&CustomerColumnsKey(number))?,
                texts: changes.get_or_default(&CustomerTextsKey(number))?,
                hashes: changes.get_or_default(&CustomerHashesKey(number))?,
                ..CustomerBlock::default()
            }),
        };
        Ok((block, index))
    }

    /// The customer with an id, found by its hash.
    pub(super) fn find(
        &mut self,
        changes: &Changes<'_>,
        id: &CustomerId,
    ) -> Result<Option<Seq>, Error> {
        let mut fault = None;
        let found = changes.find_id(id_hash(id.as_str()), |seq| {
            match self.get(changes, Seq(seq)) {
                Ok((block, index)) => block
                    .texts
                    .ids
                    .get(index)
                    .is_some_and(|found| found == id.as_str()),
                Err(error) => {
                    fault = Some(error);
                    true
                }
            }
        });
        fault.map_or(Ok(found), Err)
    }

    /// Notes that a customer uses some words from now on.
    pub(super) fn use_words(&mut self, words: CustomerWords) {
        self.tags.push(words.tag);
        self.operators.push(words.operator);
    }

    /// Writes what was changed.
    pub(super) fn write(self, changes: &mut Changes<'_>) {
        changes.use_words(WordKind::Tag, &self.tags, 1);
        changes.use_words(WordKind::Operator, &self.operators, 1);
        for (number, block) in self.blocks {
            if block.grown {
                changes.put(&CustomerHashesKey(number), &block.hashes);
            }
            if block.grown || block.columns_changed {
                changes.put(&CustomerColumnsKey(number), &block.columns);
            }
            if block.grown || block.texts_changed {
                changes.put(&CustomerTextsKey(number), &block.texts);
            }
        }
    }
}
