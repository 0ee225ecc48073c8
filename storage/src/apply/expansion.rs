//! Expanding a mailing: the next customers that match become the messages of a batch.
//!
//! A mailing looks at the customers in the order of their numbers, and once it has caught up with
//! them, at the changes of existing ones. Both cursors only rise, and the second looks whether a
//! customer is a member already: so nobody is expanded twice.

use std::{collections::BTreeMap, ops::Range};

use super::{
    at_start::Decisions,
    audience::Audience,
    batches::{MailingEdit, NewBatch},
    changelog,
    duplicates::Duplicates,
    mailings,
    members::Finder,
    ruled::Ruled,
};
use crate::{
    changes::Changes,
    command::{Expand, Expanded, Rejection},
    error::Error,
    keys::{ChangesKey, CustomerColumnsKey, NumbersKey},
    limits::{
        BATCH_MESSAGES, CHANGES_PER_BLOCK, CUSTOMERS_PER_BLOCK, ENTRY_CUSTOMERS, EXPAND_MESSAGES,
    },
    model::Status,
    records::{ChangeBlock, Cursor, CustomerColumns, Members, Numbers},
    rules,
    source::Source,
};

/// What a batch freezes of a customer: phone, zone, tag, operator.
type Row = (u64, u16, u32, u32);

fn row(columns: &CustomerColumns, customer: u32) -> Row {
    let index = (customer % CUSTOMERS_PER_BLOCK) as usize;
    let (zone, tag) = (columns.zones[index], columns.tags[index]);
    (columns.phones[index], zone, tag, columns.operators[index])
}

/// Chooses a mailing's customers among those that it looks at.
struct Chooser<'p> {
    audience: Audience,
    decisions: Decisions,
    duplicates: Duplicates<'p>,
}

impl Chooser<'_> {
    /// True if the customer at an index of a block is for the mailing.
    fn contains(
        &mut self,
        changes: &Changes<'_>,
        columns: &CustomerColumns,
        customer: u32,
    ) -> Result<bool, Error> {
        let index = (customer % CUSTOMERS_PER_BLOCK) as usize;
        match self.decisions.of(changes, customer)? {
            Some(matched) => Ok(matched && columns.is_present(index)),
            None => Ok(self.audience.contains(changes, columns, index)),
        }
    }
}

/// A batch being gathered, in rising order of customers.
#[derive(Default)]
struct Gathered {
    members: Members,
    last: Option<u32>,
    /// Indexes of those whose phone has the message already.
    duplicates: Vec<usize>,
}

impl Gathered {
    fn push(
        &mut self,
        changes: &Changes<'_>,
        duplicates: &mut Duplicates<'_>,
        (customer, row): (u32, Row),
    ) -> Result<(), Error> {
        if duplicates.contains(changes, customer, row.0)? {
            self.duplicates.push(self.members.len());
        }
        self.members.push(self.last, customer, row);
        self.last = Some(customer);
        Ok(())
    }

    fn into_batch(self, late: bool, status: Status) -> NewBatch {
        NewBatch {
            members: self.members,
            late,
            status,
            duplicates: self.duplicates,
        }
    }
}

pub(super) fn expand(changes: &mut Changes<'_>, expand: &Expand) -> Ruled<Expanded> {
    let Expand {
        mailing: number,
        cursor,
        scan,
        limit,
    } = *expand;
    let record = mailings::by_number(changes, number)?;
    let stopped = record.cancelled_at.is_some() || record.deleted_at.is_some();
    let waits = record.paused && record.ended.is_none();
    if record.started_at.is_none() || stopped || waits || record.settled_at.is_some() {
        return Err(Rejection::NotNow.into());
    }
    let mut edit = MailingEdit::open(changes, number)?;
    if edit.progress.cursor != cursor {
        return Err(Rejection::CursorMoved {
            cursor: edit.progress.cursor,
        }
        .into());
    }
    if edit.progress.is_exhausted() {
        return Err(Rejection::Exhausted.into());
    }
    let numbers: Numbers = changes.get_or_default(&NumbersKey)?;
    let bounds = record.bounds(&numbers, &cursor);
    let scan = scan.clamp(1, ENTRY_CUSTOMERS);
    let limit = usize::from(limit).clamp(1, EXPAND_MESSAGES);
    let before = changes.need_progress(number)?;
    let mut choice = Chooser {
        audience: Audience::new(&record.spec),
        decisions: Decisions::new(number, before.decided),
        duplicates: Duplicates::new(
            number,
            &before,
            rules::looks_for_shared_phones(record.spec.unique_phones),
        ),
    };
    let status = if record.ended.is_some() {
        Status::Expired
    } else {
        Status::Created
    };
    let (messages, next) = if cursor.customer < bounds.customer {
        let end = bounds.customer.min(cursor.customer.saturating_add(scan));
        in_order(changes, &mut choice, &mut edit, end, limit, status)?
    } else if cursor.change < bounds.change {
        let limit = limit.min(BATCH_MESSAGES);
        let (found, next) = in_changes(changes, &mut choice, &edit, bounds, (scan, limit))?;
        let messages = found.members.len();
        if messages > 0 {
            edit.add(changes, found.into_batch(true, status))?;
        }
        (messages, next)
    } else {
        return Err(Rejection::NothingToDo.into());
    };
    let messages = messages as u32;
    edit.progress.cursor = next;
    let caught_up = next.customer >= bounds.customer && next.change >= bounds.change;
    edit.progress.caught_up_at = caught_up.then_some(changes.steady());
    edit.save(changes)?;
    if next.change / CHANGES_PER_BLOCK > cursor.change / CHANGES_PER_BLOCK {
        changelog::trim(changes)?;
    }
    Ok(Expanded {
        cursor: next,
        messages,
    })
}

/// Looks at the next customers in the order of their numbers, up to `end`, and makes batches of
/// them; how many messages, and how far it came.
fn in_order(
    changes: &mut Changes<'_>,
    choice: &mut Chooser<'_>,
    edit: &mut MailingEdit,
    end: u32,
    limit: usize,
    status: Status,
) -> Result<(usize, Cursor), Error> {
    let (mut messages, mut cursor) = (0, edit.progress.cursor);
    while cursor.customer < end && messages < limit && !edit.progress.is_exhausted() {
        let room = BATCH_MESSAGES.min(limit - messages);
        let (found, customer) = next_batch(changes, choice, cursor.customer..end, room)?;
        cursor.customer = customer;
        if !found.members.is_empty() {
            messages += found.members.len();
            edit.add(changes, found.into_batch(false, status))?;
        }
    }
    Ok((messages, cursor))
}

/// The first of some customers who match, and the one after the last that was looked at.
fn next_batch(
    changes: &Changes<'_>,
    choice: &mut Chooser<'_>,
    customers: Range<u32>,
    room: usize,
) -> Result<(Gathered, u32), Error> {
    let mut gathered = Gathered::default();
    let (mut customer, end) = (customers.start, customers.end);
    while customer < end && gathered.members.len() < room {
        let block = customer / CUSTOMERS_PER_BLOCK;
        let columns: CustomerColumns = changes.get_or_default(&CustomerColumnsKey(block))?;
        let block_end = end.min((block + 1) * CUSTOMERS_PER_BLOCK);
        while customer < block_end && gathered.members.len() < room {
            if choice.contains(changes, &columns, customer)? {
                let found = (customer, row(&columns, customer));
                gathered.push(changes, &mut choice.duplicates, found)?;
            }
            customer += 1;
        }
    }
    Ok((gathered, customer))
}

/// Looks at the next changes of existing customers.
///
/// Changes come in any order of customers. So they are looked at in windows, each in the order of
/// customers: neighbours share the reads of their block and their batch. What a window finds is
/// then taken in the order of changes, so that the cursor never passes one that had no room.
fn in_changes(
    changes: &Changes<'_>,
    choice: &mut Chooser<'_>,
    edit: &MailingEdit,
    bounds: Cursor,
    (scan, limit): (u32, usize),
) -> Result<(Gathered, Cursor), Error> {
    let cursor = edit.progress.cursor;
    let end = bounds.change.min(cursor.change + u64::from(scan));
    let mut found: BTreeMap<u32, Row> = BTreeMap::new();
    let mut change = cursor.change;
    // The first window is as long as the batch, lest most of what it finds has no room and is
    // looked for again. If it does not fill the batch, few match, and the rest is one window.
    let mut window_end = end.min(change + limit as u64);
    while change < end && found.len() < limit {
        let window = changed_customers(changes, change..window_end)?;
        let mut matching = who_came_to_match(changes, &mut choice.audience, edit, &window)?;
        for (number, customer) in window {
            if found.len() >= limit {
                break;
            }
            change = number + 1;
            found.extend(matching.remove_entry(&customer));
        }
        if found.len() < limit {
            change = window_end;
        }
        window_end = end;
    }
    let mut gathered = Gathered::default();
    for found in found {
        gathered.push(changes, &mut choice.duplicates, found)?;
    }
    Ok((gathered, Cursor { change, ..cursor }))
}

/// Changes that still stand, by number, and whose they are.
fn changed_customers(changes: &Changes<'_>, numbers: Range<u64>) -> Result<Vec<(u64, u32)>, Error> {
    let mut found = Vec::new();
    for block in numbers.start / CHANGES_PER_BLOCK..numbers.end.div_ceil(CHANGES_PER_BLOCK) {
        let places: ChangeBlock = changes.get_or_default(&ChangesKey(block))?;
        let places = (block * CHANGES_PER_BLOCK..).zip(places.customers);
        let within = places.filter(|(number, _)| numbers.contains(number));
        found.extend(within.filter_map(|(number, place)| Some((number, place.checked_sub(1)?))));
    }
    Ok(found)
}

/// Those customers of a window who match now, and have no message of the mailing yet.
fn who_came_to_match(
    changes: &Changes<'_>,
    audience: &mut Audience,
    edit: &MailingEdit,
    window: &[(u64, u32)],
) -> Result<BTreeMap<u32, Row>, Error> {
    // Whom the sweep in the order of customers has not reached, it will find.
    let passed = edit.progress.cursor.customer;
    let mut customers: Vec<u32> = window.iter().map(|(_, customer)| *customer).collect();
    customers.retain(|customer| *customer < passed);
    customers.sort_unstable();
    customers.dedup();
    let mut members = Finder::new(edit.number, &edit.progress);
    let mut matching = BTreeMap::new();
    for neighbours in customers.chunk_by(|a, b| a / CUSTOMERS_PER_BLOCK == b / CUSTOMERS_PER_BLOCK)
    {
        let key = CustomerColumnsKey(neighbours[0] / CUSTOMERS_PER_BLOCK);
        let columns: CustomerColumns = changes.need(&key, "a block of customers")?;
        for customer in neighbours {
            let index = (customer % CUSTOMERS_PER_BLOCK) as usize;
            if audience.contains(changes, &columns, index)
                && members.find(changes, *customer)?.is_none()
            {
                matching.insert(*customer, row(&columns, *customer));
            }
        }
    }
    Ok(matching)
}
