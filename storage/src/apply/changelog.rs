//! Which existing customers changed, in order, for mailings that have looked at them already.
//!
//! Kept only while mailings run, and only until all of them have passed a change. A customer has
//! one place at most: a newer change takes the older one's away, so that the log cannot outgrow
//! the customers. Only a mailing that has ended keeps the places that it has not looked at yet.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    ops::Range,
};

use super::{phones, ruled::Ruled};
use crate::{
    changes::Changes,
    command::{Rejection, SweptBatches, TrimChanges},
    error::Error,
    index::OpenMailing,
    keys::{ChangeNumbersKey, ChangesKey, NumbersKey},
    limits::{CHANGES_PER_BLOCK, CUSTOMERS_PER_BLOCK, TRIM_BLOCKS},
    records::{ChangeBlock, ChangeNumbers, Numbers},
    source::Source,
};

/// Blocks removed by one command, at most.
const BLOCKS_AT_ONCE: u32 = 4;

/// The records of the log that one command touches, each read once and written once: customers who
/// change in one command are mostly neighbours, and so are their changes.
#[derive(Default)]
struct Touched {
    places: BTreeMap<u64, ChangeBlock>,
    last: BTreeMap<u32, ChangeNumbers>,
}

impl Touched {
    /// The place of a change.
    fn place(&mut self, changes: &Changes<'_>, number: u64) -> Result<&mut u32, Error> {
        let block = match self.places.entry(number / CHANGES_PER_BLOCK) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let key = ChangesKey(*entry.key());
                entry.insert(changes.get_or_default(&key)?)
            }
        };
        let index = (number % CHANGES_PER_BLOCK) as usize;
        if block.customers.len() <= index {
            block.customers.resize(index + 1, 0);
        }
        Ok(&mut block.customers[index])
    }

    /// Sets a customer's last change; gives the one before.
    fn set_last(
        &mut self,
        changes: &Changes<'_>,
        customer: u32,
        number: u64,
    ) -> Result<Option<u64>, Error> {
        let block = match self.last.entry(customer / CUSTOMERS_PER_BLOCK) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let key = ChangeNumbersKey(*entry.key());
                entry.insert(changes.get_or_default(&key)?)
            }
        };
        let offset = (customer % CUSTOMERS_PER_BLOCK) as u8;
        match block.numbers.binary_search_by_key(&offset, |(o, _)| *o) {
            Ok(at) => Ok(Some(std::mem::replace(&mut block.numbers[at].1, number))),
            Err(at) => {
                block.numbers.insert(at, (offset, number));
                Ok(None)
            }
        }
    }

    fn write(self, changes: &mut Changes<'_>) {
        self.places
            .iter()
            .for_each(|(block, places)| changes.put(&ChangesKey(*block), places));
        self.last
            .iter()
            .for_each(|(block, last)| changes.put(&ChangeNumbersKey(*block), last));
    }
}

/// Notes that existing customers changed, if a mailing runs that must learn of it.
pub(super) fn note(changes: &mut Changes<'_>, customers: &[u32]) -> Result<(), Error> {
    if customers.is_empty() || !any_running(changes) {
        return Ok(());
    }
    let needed = needed_at_ends(changes);
    let mut numbers: Numbers = changes.get_or_default(&NumbersKey)?;
    let mut touched = Touched::default();
    for customer in customers {
        let number = numbers.changes;
        numbers.changes += 1;
        if let Some(older) = touched.set_last(changes, *customer, number)?
            && older >= numbers.changes_from
            && !needed.iter().any(|range| range.contains(&older))
        {
            *touched.place(changes, older)? = 0;
        }
        *touched.place(changes, number)? = customer + 1;
    }
    touched.write(changes);
    changes.put(&NumbersKey, &numbers);
    Ok(())
}

fn any_running(changes: &Changes<'_>) -> bool {
    let open = changes.open_mailings();
    open.iter()
        .any(|mailing| mailing.record.is_running() && !mailing.record.is_at_start())
}

/// Changes that mailings which have ended must still look at: a newer change of the same customer
/// comes after their end, so that it does not stand for these.
fn needed_at_ends(changes: &Changes<'_>) -> Vec<Range<u64>> {
    let open = changes.open_mailings().into_iter();
    let needed = open.filter_map(
        |OpenMailing {
             record, progress, ..
         }| {
            let (_, bounds) = record.ended?;
            Some(progress.cursor.change..bounds.change)
        },
    );
    needed.filter(|range| !range.is_empty()).collect()
}

/// Whether a block of changes has been passed by every mailing that looks at them.
pub(crate) fn is_left<'m>(numbers: &Numbers, open: impl Iterator<Item = &'m OpenMailing>) -> bool {
    (numbers.changes_from / CHANGES_PER_BLOCK + 1) * CHANGES_PER_BLOCK
        <= passed_by_all(open, numbers.changes)
}

/// Removes blocks that every mailing that looks at changes has passed. More may follow as fast as
/// that, so what is left is for [`trim_more`].
pub(super) fn trim(changes: &mut Changes<'_>) -> Result<(), Error> {
    trim_blocks(changes, BLOCKS_AT_ONCE).map(drop)
}

/// The post office has passed blocks removed.
pub(super) fn trim_more(changes: &mut Changes<'_>, trim: &TrimChanges) -> Ruled<SweptBatches> {
    let blocks = trim.blocks.clamp(1, TRIM_BLOCKS);
    let removed = trim_blocks(changes, blocks)?;
    let removed = removed + phones::trim(changes, blocks - removed)?;
    match removed {
        0 => Err(Rejection::NothingToDo.into()),
        batches => Ok(SweptBatches {
            batches,
            more: batches == blocks,
        }),
    }
}

fn trim_blocks(changes: &mut Changes<'_>, most: u32) -> Result<u32, Error> {
    let mut numbers: Numbers = changes.get_or_default(&NumbersKey)?;
    let open = changes.open_mailings();
    let mut removed = 0;
    while removed < most && is_left(&numbers, open.iter()) {
        let block = numbers.changes_from / CHANGES_PER_BLOCK;
        remove(changes, block)?;
        numbers.changes_from = (block + 1) * CHANGES_PER_BLOCK;
        removed += 1;
    }
    if removed > 0 {
        changes.put(&NumbersKey, &numbers);
    }
    Ok(removed)
}

/// Changes below this were looked at by every mailing that still looks.
fn passed_by_all<'m>(open: impl Iterator<Item = &'m OpenMailing>, all: u64) -> u64 {
    let looking = open.filter(|mailing| looks_at_changes(mailing));
    looking
        .map(|mailing| mailing.progress.cursor.change)
        .min()
        .unwrap_or(all)
        .min(all)
}

fn looks_at_changes(mailing: &OpenMailing) -> bool {
    let record = &mailing.record;
    let stopped = record.cancelled_at.is_some() || record.deleted_at.is_some();
    record.started_at.is_some() && !stopped && !record.is_at_start()
}

fn remove(changes: &mut Changes<'_>, block: u64) -> Result<(), Error> {
    let gone = block * CHANGES_PER_BLOCK..(block + 1) * CHANGES_PER_BLOCK;
    let places: ChangeBlock = changes.get_or_default(&ChangesKey(block))?;
    let customers = places
        .customers
        .into_iter()
        .filter_map(|place| place.checked_sub(1));
    let blocks: BTreeSet<u32> = customers
        .map(|customer| customer / CUSTOMERS_PER_BLOCK)
        .collect();
    for block in blocks {
        changes.update(&ChangeNumbersKey(block), |last: &mut ChangeNumbers| {
            last.numbers.retain(|(_, number)| !gone.contains(number));
        })?;
    }
    changes.remove(&ChangesKey(block));
    Ok(())
}
