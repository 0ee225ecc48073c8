//! Expanding a mailing: the next customers that match become the messages of a batch.
//!
//! A mailing looks at the customers in the order of their numbers, and once it has caught up with
//! them, at the changes of existing ones. Both cursors only rise, and the second looks whether a
//! customer is a member already: so nobody is expanded twice.

use super::{
    Applied, batches::MailingEdit, changelog, customers::phone_text, mailings, members::Finder,
};
use crate::{
    changes::Changes,
    command::{Rejection, Reply},
    error::Error,
    keys::{ChangesKey, CustomerColumnsKey, NumbersKey},
    limits::{BATCH_MESSAGES, CHANGES_PER_BLOCK, CUSTOMERS_PER_BLOCK, ENTRY_CUSTOMERS},
    model::{MailingNumber, MailingSpec, Status},
    records::{ChangeBlock, Cursor, CustomerColumns, Members, Numbers, WordKind},
    source::Source,
};

/// Who a mailing's filters match. Each distinct tag and operator is compared once, however many
/// customers have it.
pub(crate) struct Audience<'a> {
    spec: &'a MailingSpec,
    tags: Vec<Option<bool>>,
    operators: Vec<Option<bool>>,
}

impl<'a> Audience<'a> {
    pub(crate) fn new(spec: &'a MailingSpec) -> Self {
        Self { spec, tags: Vec::new(), operators: Vec::new() }
    }

    /// Whether the customer at an index of a block exists and matches.
    pub(crate) fn contains<S: Source>(
        &mut self,
        source: &S,
        columns: &CustomerColumns,
        index: usize,
    ) -> bool {
        columns.is_present(index)
            && self.tag_matches(source, columns.tags[index])
            && self.operator_matches(source, columns.operators[index])
            && self.phone_matches(columns.phones[index])
    }

    fn tag_matches<S: Source>(&mut self, source: &S, number: u32) -> bool {
        let filter = &self.spec.tag_filter;
        filter.is_any()
            || remembered(&mut self.tags, number, || {
                let word = source.word(WordKind::Tag, number);
                word.is_some_and(|word| filter.matches(&word.folded))
            })
    }

    fn operator_matches<S: Source>(&mut self, source: &S, number: u32) -> bool {
        let filter = &self.spec.operator_filter;
        filter.is_any()
            || remembered(&mut self.operators, number, || {
                let word = source.word(WordKind::Operator, number);
                word.is_some_and(|word| filter.matches(&word.folded))
            })
    }

    fn phone_matches(&self, digits: u64) -> bool {
        let filter = &self.spec.phone_filter;
        filter.is_any() || filter.matches(&phone_text(digits))
    }
}

fn remembered(memory: &mut Vec<Option<bool>>, number: u32, ask: impl FnOnce() -> bool) -> bool {
    let index = number as usize;
    if memory.len() <= index {
        memory.resize(index + 1, None);
    }
    *memory[index].get_or_insert_with(ask)
}

/// A batch being gathered.
struct Gathered {
    members: Members,
    last: Option<u32>,
}

impl Gathered {
    fn new() -> Self {
        Self { members: Members::default(), last: None }
    }

    fn push(&mut self, columns: &CustomerColumns, customer: u32) {
        let index = (customer % CUSTOMERS_PER_BLOCK) as usize;
        let (zone, tag) = (columns.zones[index], columns.tags[index]);
        let row = (columns.phones[index], zone, tag, columns.operators[index]);
        self.members.push(self.last, customer, row);
        self.last = Some(customer);
    }
}

pub(super) fn expand(
    changes: &mut Changes<'_>,
    number: MailingNumber,
    cursor: Cursor,
    scan: u32,
    limit: u16,
) -> Applied {
    let record = mailings::by_number(changes, number)?;
    let stopped = record.cancelled_at.is_some() || record.deleted_at.is_some();
    let waits = record.paused && record.ended.is_none();
    if record.started_at.is_none() || stopped || waits || record.settled_at.is_some() {
        return Err(Rejection::NotNow.into());
    }
    let mut edit = MailingEdit::open(changes, number)?;
    if edit.progress.cursor != cursor {
        return Err(Rejection::CursorMoved { cursor: edit.progress.cursor }.into());
    }
    if edit.progress.is_exhausted() {
        return Err(Rejection::Exhausted.into());
    }
    let numbers: Numbers = changes.get_or_default(&NumbersKey)?;
    let bounds = match record.ended {
        Some((_, bounds)) => bounds,
        None => Cursor { customer: numbers.customers, change: numbers.changes },
    };
    let scan = scan.clamp(1, ENTRY_CUSTOMERS);
    let limit = usize::from(limit).clamp(1, BATCH_MESSAGES);
    let mut audience = Audience::new(&record.spec);
    let late = cursor.customer >= bounds.customer;
    let (members, next) = if !late {
        in_order(changes, &mut audience, cursor, bounds, (scan, limit))?
    } else if cursor.change < bounds.change {
        in_changes(changes, &mut audience, &edit, bounds, (scan, limit))?
    } else {
        return Err(Rejection::NothingToDo.into());
    };
    edit.progress.cursor = next;
    let caught_up = next.customer >= bounds.customer && next.change >= bounds.change;
    edit.progress.caught_up_at = caught_up.then_some(changes.at());
    let messages = members.len() as u32;
    if messages > 0 {
        let status = if record.ended.is_some() { Status::Expired } else { Status::Created };
        edit.add(changes, members, late, status)?;
    }
    edit.save(changes)?;
    if next.change / CHANGES_PER_BLOCK > cursor.change / CHANGES_PER_BLOCK {
        changelog::trim(changes)?;
    }
    Ok(Reply::Expanded { cursor: next, messages })
}

/// Looks at the next customers in the order of their numbers.
fn in_order(
    changes: &Changes<'_>,
    audience: &mut Audience<'_>,
    cursor: Cursor,
    bounds: Cursor,
    (scan, limit): (u32, usize),
) -> Result<(Members, Cursor), Error> {
    let end = bounds.customer.min(cursor.customer.saturating_add(scan));
    let mut gathered = Gathered::new();
    let mut customer = cursor.customer;
    while customer < end && gathered.members.len() < limit {
        let block = customer / CUSTOMERS_PER_BLOCK;
        let columns: CustomerColumns = changes.get_or_default(&CustomerColumnsKey(block))?;
        let block_end = end.min((block + 1) * CUSTOMERS_PER_BLOCK);
        while customer < block_end && gathered.members.len() < limit {
            let index = (customer % CUSTOMERS_PER_BLOCK) as usize;
            if audience.contains(changes, &columns, index) {
                gathered.push(&columns, customer);
            }
            customer += 1;
        }
    }
    Ok((gathered.members, Cursor { customer, ..cursor }))
}

/// Looks at the next changes of existing customers.
fn in_changes(
    changes: &Changes<'_>,
    audience: &mut Audience<'_>,
    edit: &MailingEdit,
    bounds: Cursor,
    (scan, limit): (u32, usize),
) -> Result<(Members, Cursor), Error> {
    let cursor = edit.progress.cursor;
    let end = bounds.change.min(cursor.change + u64::from(scan));
    let mut matching = Vec::new();
    let mut members = Finder::new(edit.number, &edit.progress);
    let mut change = cursor.change;
    while change < end && matching.len() < limit {
        let number = change / CHANGES_PER_BLOCK;
        let block: ChangeBlock = changes.get_or_default(&ChangesKey(number))?;
        let block_end = end.min((number + 1) * CHANGES_PER_BLOCK);
        while change < block_end && matching.len() < limit {
            let place = block.customers.get((change % CHANGES_PER_BLOCK) as usize).copied();
            change += 1;
            let Some(customer) = place.and_then(|place| place.checked_sub(1)) else {
                continue;
            };
            if came_to_match(changes, audience, &mut members, cursor, customer)? {
                matching.push(customer);
            }
        }
    }
    matching.sort_unstable();
    matching.dedup();
    let mut gathered = Gathered::new();
    for customer in matching {
        let key = CustomerColumnsKey(customer / CUSTOMERS_PER_BLOCK);
        gathered.push(&changes.need(&key, "a block of customers")?, customer);
    }
    Ok((gathered.members, Cursor { change, ..cursor }))
}

/// Whether a customer that changed matches now, and has no message of the mailing yet.
fn came_to_match(
    changes: &Changes<'_>,
    audience: &mut Audience<'_>,
    members: &mut Finder<'_>,
    cursor: Cursor,
    customer: u32,
) -> Result<bool, Error> {
    if customer >= cursor.customer {
        return Ok(false);
    }
    let key = CustomerColumnsKey(customer / CUSTOMERS_PER_BLOCK);
    let columns = changes.need(&key, "a block of customers")?;
    let index = (customer % CUSTOMERS_PER_BLOCK) as usize;
    if !audience.contains(changes, &columns, index) {
        return Ok(false);
    }
    Ok(members.find(changes, customer)?.is_none())
}
