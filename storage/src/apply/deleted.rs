//! The marks of deleted customers, as a search over many messages asks for them.

use std::collections::{BTreeMap, btree_map::Entry};

use crate::{
    changes::Changes,
    error::Error,
    keys::{DeletedKey, NumbersKey},
    limits::DELETED_PER_BLOCK,
    records::{DeletedBlock, Numbers},
    source::Source,
};

/// Marks of deleted customers: read block by block, and only if there are any.
pub(super) struct Deleted {
    any: bool,
    blocks: BTreeMap<u32, DeletedBlock>,
}

impl Deleted {
    /// Reads how many there are, and no block yet.
    pub(super) fn load(changes: &Changes<'_>) -> Result<Self, Error> {
        let numbers: Numbers = changes.get_or_default(&NumbersKey)?;
        Ok(Self {
            any: numbers.deleted > 0,
            blocks: BTreeMap::new(),
        })
    }

    /// True if any customer is deleted.
    pub(super) fn any(&self) -> bool {
        self.any
    }

    /// True if this customer is deleted.
    pub(super) fn contains(&mut self, changes: &Changes<'_>, customer: u32) -> Result<bool, Error> {
        if !self.any {
            return Ok(false);
        }
        let number = customer / DELETED_PER_BLOCK;
        if let Entry::Vacant(entry) = self.blocks.entry(number) {
            entry.insert(changes.get_or_default(&DeletedKey(number))?);
        }
        Ok(self.blocks[&number].contains(customer % DELETED_PER_BLOCK))
    }
}
