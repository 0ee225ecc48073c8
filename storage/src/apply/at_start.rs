//! Mailings for those who match when they start, and for nobody else.
//!
//! Such a mailing looks at its customers bit by bit after its start. A customer who changes before its turn
//! is decided about right then, by how it was before its first change: that is how it was at the start.
//! A customer that is deleted and comes back counts as a new one here, and one that was created later has
//! too high a number.

use std::{collections::BTreeMap, ops::Range};

use super::audience::Audience;
use crate::{
    changes::Changes,
    error::Error,
    index::OpenMailing,
    keys::DecidedKey,
    limits::DELETED_PER_BLOCK,
    model::{MailingNumber, Seq},
    records::Decided,
    source::Source,
};

/// A customer as filters saw it before it changed.
#[derive(Clone, Copy)]
pub(super) struct FormerCustomer {
    pub(super) phone: u64,
    /// Numbers of its tag and its operator.
    pub(super) words: (u32, u32),
}

/// A mailing that has not looked at all of its customers, and what was decided of them.
struct Undecided {
    mailing: MailingNumber,
    /// Customers whose turn is to come.
    customers: Range<u32>,
    audience: Audience,
    blocks: BTreeMap<u32, Decided>,
}

/// All mailings that must decide about customers who change.
pub(super) struct AllUndecided(Vec<Undecided>);

impl AllUndecided {
    pub(super) fn of<'m>(open: impl Iterator<Item = &'m OpenMailing>) -> Self {
        let undecided = open.filter(|mailing| {
            let record = &mailing.record;
            record.is_at_start() && !record.looks_no_further(&mailing.progress)
        });
        let undecided = undecided.map(|mailing| Undecided {
            mailing: mailing.number,
            customers: mailing.progress.cursor.customer..mailing.record.begun.customers,
            audience: Audience::new(&mailing.record.spec),
            blocks: BTreeMap::new(),
        });
        Self(undecided.collect())
    }

    /// A customer changes, or comes back, which is told from there having been nothing before.
    pub(super) fn decide(
        &mut self,
        changes: &Changes<'_>,
        customer: Seq,
        before: Option<FormerCustomer>,
    ) -> Result<(), Error> {
        for undecided in &mut self.0 {
            if undecided.customers.contains(&customer.0) {
                undecided.decide(changes, customer, before)?;
            }
        }
        Ok(())
    }

    pub(super) fn write(self, changes: &mut Changes<'_>) -> Result<(), Error> {
        for undecided in self.0 {
            undecided.write(changes)?;
        }
        Ok(())
    }
}

impl Undecided {
    fn decide(
        &mut self,
        changes: &Changes<'_>,
        customer: Seq,
        before: Option<FormerCustomer>,
    ) -> Result<(), Error> {
        let number = customer.0 / DELETED_PER_BLOCK;
        let offset = customer.0 % DELETED_PER_BLOCK;
        if !self.blocks.contains_key(&number) {
            let key = DecidedKey(self.mailing, number);
            self.blocks.insert(number, changes.get_or_default(&key)?);
        }
        let block = self.blocks.entry(number).or_default();
        // Only its first change tells how it was at the start.
        if block.customers.contains(offset) && before.is_some() {
            return Ok(());
        }

        let matched =
            before.is_some_and(|before| self.audience.matches(changes, before.words, before.phone));
        block.customers.set(offset, true);
        block.matched.set(offset, matched);
        Ok(())
    }

    fn write(self, changes: &mut Changes<'_>) -> Result<(), Error> {
        if self.blocks.is_empty() {
            return Ok(());
        }
        for (number, block) in &self.blocks {
            changes.put(&DecidedKey(self.mailing, *number), block);
        }
        let progress = changes.need_progress(self.mailing)?;
        if !progress.decided {
            let mut progress = (*progress).clone();
            progress.decided = true;
            changes.put_progress(self.mailing, progress);
        }
        Ok(())
    }
}

/// The decisions about the customers of a mailing, read block by block where there is anything.
pub(super) struct Decisions {
    mailing: MailingNumber,
    any: bool,
    block: Option<(u32, Decided)>,
}

impl Decisions {
    pub(super) fn new(mailing: MailingNumber, any: bool) -> Self {
        Self {
            mailing,
            any,
            block: None,
        }
    }

    /// True if a customer is for the mailing; none where it is as it was at the start.
    pub(super) fn of(
        &mut self,
        changes: &Changes<'_>,
        customer: u32,
    ) -> Result<Option<bool>, Error> {
        if !self.any {
            return Ok(None);
        }
        let number = customer / DELETED_PER_BLOCK;
        let block = match self.block.take() {
            Some((kept, block)) if kept == number => block,
            _ => changes.get_or_default(&DecidedKey(self.mailing, number))?,
        };
        let offset = customer % DELETED_PER_BLOCK;
        let is_decided = block.customers.contains(offset);
        let matched = block.matched.contains(offset);
        self.block = Some((number, block));
        Ok(is_decided.then_some(matched))
    }
}

/// Drops what was decided of the first customers of a mailing.
pub(super) fn forget(changes: &mut Changes<'_>, mailing: MailingNumber, customers: u32) {
    for number in 0..customers.div_ceil(DELETED_PER_BLOCK) {
        changes.remove(&DecidedKey(mailing, number));
    }
}
