//! Deliveries of a batch that is edited, carried into everything that counts them.
//!
//! Apart from the moves between statuses, because most batches have none, and a delivery changes by
//! itself long after the status.

use std::collections::BTreeMap;

use super::{BatchEdit, MailingEdit, update_facets};
use crate::{
    changes::Changes,
    error::Error,
    keys::CustomerTotalsKey,
    limits::CUSTOMERS_PER_BLOCK,
    model::{Delivery, DeliveryCounts, ErrorCode, SendResult, Timestamp},
    records::{Columns, CustomerTotals, Members},
};

/// One message's delivery that became known, or changed.
#[derive(Clone, Copy)]
pub(super) struct DeliveryMove {
    index: usize,
    from: Option<Delivery>,
    to: Delivery,
}

impl BatchEdit {
    /// Sets the delivery of a message that is done, at a steady time.
    pub(in crate::apply) fn deliver(
        &mut self,
        index: usize,
        to: Delivery,
        error: Option<&ErrorCode>,
        steady: Timestamp,
    ) {
        let from = self.columns.delivery(index);
        let at_ms = steady.since(self.head.created_steady()).max(0) as u64;
        self.columns.set_delivery(index, to, error, at_ms);

        self.touched = true;
        self.head.delivery.shift(from, to);
        self.delivered.push(DeliveryMove { index, from, to });
    }

    /// Notes the report of an attempt that a receipt has settled: whatever it says, the gateway has the
    /// message.
    pub(in crate::apply) fn note_report(&mut self, index: usize, result: SendResult) {
        self.touched = true;
        self.columns.reported[index] = result.number();
        if result == SendResult::HandedBack {
            self.columns.add_handed_back(index);
        }
    }

    /// Forgets when a message was granted whose lease ran out: no report makes use of it any more.
    pub(in crate::apply) fn forget_lapsed(&mut self, index: usize) {
        self.touched |= self.columns.take_lapsed(index).is_some();
    }
}

impl MailingEdit {
    /// Takes changed deliveries of a batch into the sums; into the facets if those had the batch before.
    pub(super) fn recount_deliveries(
        &mut self,
        changes: &mut Changes<'_>,
        edit: &mut BatchEdit,
        was_counted: bool,
    ) -> Result<(), Error> {
        if edit.delivered.is_empty() {
            return Ok(());
        }
        for step in &edit.delivered {
            self.progress.delivery.shift(step.from, step.to);
        }

        edit.members(changes, self.number)?;
        let Some(members) = &edit.members else {
            return Ok(());
        };
        if was_counted {
            let day = edit.head.created_at.day() as u32;
            move_in_facets(changes, day, members, &edit.delivered)?;
        }
        if edit.number < self.progress.folded {
            move_in_customers(changes, members, &edit.delivered)?;
        }
        Ok(())
    }
}

/// The deliveries of a batch by tag and operator.
pub(super) fn by_words(
    members: &Members,
    columns: &Columns,
) -> BTreeMap<(u32, u32), DeliveryCounts> {
    let mut found: BTreeMap<_, DeliveryCounts> = BTreeMap::new();
    for index in 0..members.len() {
        if let Some(delivery) = columns.delivery(index) {
            let words = (members.tags[index], members.operators[index]);
            found.entry(words).or_default().add(delivery, 1);
        }
    }
    found
}

fn move_in_facets(
    changes: &mut Changes<'_>,
    day: u32,
    members: &Members,
    moves: &[DeliveryMove],
) -> Result<(), Error> {
    let mut steps: BTreeMap<(u32, u32), Vec<DeliveryMove>> = BTreeMap::new();
    for step in moves {
        let words = (members.tags[step.index], members.operators[step.index]);
        steps.entry(words).or_default().push(*step);
    }
    update_facets(changes, day, steps, |facet, steps| {
        for step in steps {
            facet.delivery.shift(step.from, step.to);
        }
    })
}

fn move_in_customers(
    changes: &mut Changes<'_>,
    members: &Members,
    moves: &[DeliveryMove],
) -> Result<(), Error> {
    for step in moves {
        let customer = members.customer(step.index);
        let offset = (customer % CUSTOMERS_PER_BLOCK) as u8;
        let key = CustomerTotalsKey(customer / CUSTOMERS_PER_BLOCK);
        changes.update(&key, |totals: &mut CustomerTotals| {
            totals.delivery_mut(offset).shift(step.from, step.to);
        })?;
    }
    Ok(())
}
