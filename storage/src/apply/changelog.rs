//! Which existing customers changed, in order, for mailings that have looked at them already.
//!
//! Kept only while mailings run, and only until all of them have passed a change. A customer has
//! one place at most: a newer change takes the older one's away, so that the log cannot outgrow
//! the customers. Only a mailing that has ended keeps the places that it has not looked at yet.

use std::ops::Range;

use crate::{
    changes::Changes,
    error::Error,
    index::OpenMailing,
    keys::{ChangeNumbersKey, ChangesKey, NumbersKey},
    limits::{CHANGES_PER_BLOCK, CUSTOMERS_PER_BLOCK},
    records::{ChangeBlock, ChangeNumbers, Numbers},
    source::Source,
};

/// Blocks removed at once, at most.
const BLOCKS_AT_ONCE: u64 = 4;

/// Notes that existing customers changed, if a mailing runs that must learn of it.
pub(super) fn note(changes: &mut Changes<'_>, customers: &[u32]) -> Result<(), Error> {
    if customers.is_empty() || !any_running(changes) {
        return Ok(());
    }
    let needed = needed_at_ends(changes);
    let mut numbers: Numbers = changes.get_or_default(&NumbersKey)?;
    for customer in customers {
        let number = numbers.changes;
        numbers.changes += 1;
        if let Some(older) = set_last(changes, *customer, Some(number))?
            && !needed.iter().any(|range| range.contains(&older))
        {
            vacate(changes, older)?;
        }
        changes.update(&ChangesKey(number / CHANGES_PER_BLOCK), |block| {
            block.customers.resize((number % CHANGES_PER_BLOCK) as usize, 0);
            block.customers.push(customer + 1);
        })?;
    }
    changes.put(&NumbersKey, &numbers);
    Ok(())
}

fn any_running(changes: &Changes<'_>) -> bool {
    changes.open_mailings().iter().any(|mailing| mailing.record.is_running())
}

/// Changes that mailings which have ended must still look at: a newer change of the same customer
/// comes after their end, so that it does not stand for these.
fn needed_at_ends(changes: &Changes<'_>) -> Vec<Range<u64>> {
    let open = changes.open_mailings().into_iter();
    let needed = open.filter_map(|OpenMailing { record, progress, .. }| {
        let (_, bounds) = record.ended?;
        Some(progress.cursor.change..bounds.change)
    });
    needed.filter(|range| !range.is_empty()).collect()
}

/// Sets or clears a customer's last change; gives the one before.
fn set_last(
    changes: &mut Changes<'_>,
    customer: u32,
    number: Option<u64>,
) -> Result<Option<u64>, Error> {
    let offset = (customer % CUSTOMERS_PER_BLOCK) as u8;
    changes.update(
        &ChangeNumbersKey(customer / CUSTOMERS_PER_BLOCK),
        |block: &mut ChangeNumbers| {
            let found = block.numbers.binary_search_by_key(&offset, |(o, _)| *o);
            match (found, number) {
                (Ok(at), Some(number)) => Some(std::mem::replace(&mut block.numbers[at].1, number)),
                (Ok(at), None) => Some(block.numbers.remove(at).1),
                (Err(at), Some(number)) => {
                    block.numbers.insert(at, (offset, number));
                    None
                }
                (Err(_), None) => None,
            }
        },
    )
}

/// A customer's last change.
fn last(changes: &Changes<'_>, customer: u32) -> Result<Option<u64>, Error> {
    let key = ChangeNumbersKey(customer / CUSTOMERS_PER_BLOCK);
    let block: ChangeNumbers = changes.get_or_default(&key)?;
    let offset = (customer % CUSTOMERS_PER_BLOCK) as u8;
    let found = block.numbers.binary_search_by_key(&offset, |(o, _)| *o);
    Ok(found.ok().map(|at| block.numbers[at].1))
}

fn vacate(changes: &mut Changes<'_>, number: u64) -> Result<(), Error> {
    let key = ChangesKey(number / CHANGES_PER_BLOCK);
    if let Some(mut block) = changes.get(&key)? {
        if let Some(place) = block.customers.get_mut((number % CHANGES_PER_BLOCK) as usize) {
            *place = 0;
        }
        changes.put(&key, &block);
    }
    Ok(())
}

/// Removes blocks that every running mailing has passed.
pub(super) fn trim(changes: &mut Changes<'_>) -> Result<(), Error> {
    let mut numbers: Numbers = changes.get_or_default(&NumbersKey)?;
    let passed = passed_by_all(changes, numbers.changes);
    for _ in 0..BLOCKS_AT_ONCE {
        let block = numbers.changes_from / CHANGES_PER_BLOCK;
        if (block + 1) * CHANGES_PER_BLOCK > passed {
            break;
        }
        remove(changes, block)?;
        numbers.changes_from = (block + 1) * CHANGES_PER_BLOCK;
        let mut current: Numbers = changes.get_or_default(&NumbersKey)?;
        current.changes_from = numbers.changes_from;
        changes.put(&NumbersKey, &current);
    }
    Ok(())
}

/// Changes below this were looked at by every mailing that still looks.
fn passed_by_all(changes: &Changes<'_>, all: u64) -> u64 {
    let open = changes.open_mailings().into_iter().filter(looks_at_changes);
    open.map(|mailing| mailing.progress.cursor.change).min().unwrap_or(all).min(all)
}

fn looks_at_changes(mailing: &OpenMailing) -> bool {
    let record = &mailing.record;
    let stopped = record.cancelled_at.is_some() || record.deleted_at.is_some();
    record.started_at.is_some() && !stopped
}

fn remove(changes: &mut Changes<'_>, number: u64) -> Result<(), Error> {
    let block: ChangeBlock = changes.get_or_default(&ChangesKey(number))?;
    for (place, change) in block.customers.into_iter().zip(number * CHANGES_PER_BLOCK..) {
        if let Some(customer) = place.checked_sub(1)
            && last(changes, customer)? == Some(change)
        {
            set_last(changes, customer, None)?;
        }
    }
    changes.remove(&ChangesKey(number));
    Ok(())
}
