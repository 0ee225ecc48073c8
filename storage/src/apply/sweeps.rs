//! What follows a mailing's end, bit by bit: settling its messages, adding them to their
//! customers' totals, and at last dropping them.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::{
    at_start,
    batches::{MailingEdit, totals_of, use_words},
    mailings,
    ruled::Ruled,
};
use crate::{
    changes::Changes,
    command::{FoldMailing, PurgeMailing, Rejection, SweepMailing, SweptBatches},
    error::Error,
    keys::{
        ColumnsKey, CustomerTotalsKey, HeadsKey, LateKey, MailingKey, MembersKey, ProgressKey,
        ReachesKey, RenumberedKey,
    },
    limits::{CUSTOMERS_PER_BLOCK, ENTRY_BATCHES, FOLD_BLOCKS, HEADS_PER_BLOCK, REACHES_PER_BLOCK},
    model::{Counts, Delivery, MailingNumber, Status, Timestamp},
    records::{Columns, CustomerTotals, Members, Stage},
    source::Source,
};

/// Settles what waits in a mailing that is over.
pub(super) fn sweep(changes: &mut Changes<'_>, sweep: &SweepMailing) -> Ruled<SweptBatches> {
    let SweepMailing {
        mailing: number,
        batches,
    } = *sweep;
    let record = mailings::by_number(changes, number)?;
    if !record.is_over() || record.settled_at.is_some() {
        return Err(Rejection::NotNow.into());
    }
    let cancelled = record.cancelled_at.is_some() || record.deleted_at.is_some();
    let to = if cancelled {
        Status::Cancelled
    } else {
        Status::Expired
    };
    let mut edit = MailingEdit::open(changes, number)?;
    let most = batches.clamp(1, ENTRY_BATCHES) as usize;
    let waiting = find_batches(changes, &mut edit, most, |counts| {
        counts.of(Status::Created) + counts.of(Status::Failed) > 0
    })?;
    for batch in &waiting {
        sweep_batch(changes, &mut edit, *batch, to)?;
    }
    let more = edit.progress.counts.of(Status::Created) + edit.progress.counts.of(Status::Failed);
    edit.save(changes)?;
    Ok(SweptBatches {
        batches: waiting.len() as u32,
        more: more > 0,
    })
}

/// The first batches whose counts are as wanted, among those with messages that are not final.
pub(super) fn find_batches(
    changes: &mut Changes<'_>,
    edit: &mut MailingEdit,
    most: usize,
    wanted: impl Fn(&Counts) -> bool,
) -> Result<Vec<u32>, Error> {
    let mut found = Vec::new();
    // Each holds a batch with such messages, if not one that is wanted.
    let blocks: Vec<u32> = edit
        .progress
        .open
        .iter()
        .map(|block| block.number)
        .collect();
    for block in blocks {
        let heads = edit
            .heads(changes, block)?
            .heads
            .iter()
            .zip(block * HEADS_PER_BLOCK..);
        found.extend(
            heads
                .filter(|(head, _)| wanted(&head.counts))
                .map(|(_, batch)| batch),
        );
        if found.len() >= most {
            break;
        }
    }
    found.truncate(most);
    Ok(found)
}

fn sweep_batch(
    changes: &mut Changes<'_>,
    edit: &mut MailingEdit,
    batch: u32,
    to: Status,
) -> Result<(), Error> {
    let Some(mut batch) = edit.batch(changes, batch)? else {
        return Ok(());
    };
    for index in 0..batch.columns.statuses.len() {
        if batch.columns.status(index).is_ready() {
            batch.give_up(index, to, changes.steady());
        }
    }
    edit.close(changes, batch)
}

/// Adds messages of a settled mailing to their customers' totals.
pub(super) fn fold(changes: &mut Changes<'_>, fold: &FoldMailing) -> Ruled<SweptBatches> {
    let FoldMailing {
        mailing: number,
        batches,
        blocks,
    } = *fold;
    if changes.stage(number) != Stage::Settled {
        return Err(Rejection::NotNow.into());
    }
    let mut progress = (*changes.need_progress(number)?).clone();
    let from = progress.folded;
    let most = progress.batches.min(from + batches.clamp(1, ENTRY_BATCHES));
    let to = fold_batches(
        changes,
        number,
        from..most,
        blocks.clamp(1, FOLD_BLOCKS) as usize,
    )?;
    progress.folded = to;
    let more = to < progress.batches;
    changes.put_progress(number, progress);
    if !more {
        let record = mailings::by_number(changes, number)?;
        changes.put_stage(number, Stage::Folded, record.kept_since())?;
    }
    Ok(SweptBatches {
        batches: to - from,
        more,
    })
}

/// Folds batches until too many blocks of customers would be touched, one batch at least; the
/// batch before which it stopped.
fn fold_batches(
    changes: &mut Changes<'_>,
    number: MailingNumber,
    batches: Range<u32>,
    most: usize,
) -> Result<u32, Error> {
    let mut touched = BTreeSet::new();
    for batch in batches.clone() {
        let members: Members = changes.need(&MembersKey(number, batch), "members of a batch")?;
        touched.extend(
            members
                .customers()
                .map(|customer| customer / CUSTOMERS_PER_BLOCK),
        );
        if touched.len() > most && batch > batches.start {
            return Ok(batch);
        }
        fold_batch(changes, number, batch, &members)?;
    }
    Ok(batches.end)
}

fn fold_batch(
    changes: &mut Changes<'_>,
    number: MailingNumber,
    batch: u32,
    members: &Members,
) -> Result<(), Error> {
    let columns: Columns = changes.need(&ColumnsKey(number, batch), "columns of a batch")?;
    let mut blocks: BTreeMap<u32, Vec<(u8, Status, Option<Delivery>)>> = BTreeMap::new();
    for (index, customer) in members.customers().enumerate() {
        let offset = (customer % CUSTOMERS_PER_BLOCK) as u8;
        let message = (offset, columns.status(index), columns.delivery(index));
        blocks
            .entry(customer / CUSTOMERS_PER_BLOCK)
            .or_default()
            .push(message);
    }
    for (block, messages) in blocks {
        changes.update(&CustomerTotalsKey(block), |totals: &mut CustomerTotals| {
            for (offset, status, delivery) in messages {
                totals_of(totals, offset).add(status, 1);
                if let Some(delivery) = delivery {
                    totals.delivery_mut(offset).add(delivery, 1);
                }
            }
        })?;
    }
    Ok(())
}

/// Drops messages of a folded mailing; a deleted mailing goes whole.
pub(super) fn purge(changes: &mut Changes<'_>, purge: &PurgeMailing) -> Ruled<SweptBatches> {
    let PurgeMailing {
        mailing: number,
        batches,
    } = *purge;
    if changes.stage(number) != Stage::Folded {
        return Err(Rejection::NotNow.into());
    }
    let mut progress = (*changes.need_progress(number)?).clone();
    let from = progress.purged;
    let to = progress.batches.min(from + batches.clamp(1, ENTRY_BATCHES));
    for batch in from..to {
        purge_batch(changes, number, batch)?;
    }
    purge_heads(changes, number, from..to, to == progress.batches);
    progress.purged = to;
    let more = to < progress.batches;
    changes.put_progress(number, progress);
    if !more {
        forget(changes, number)?;
    }
    Ok(SweptBatches {
        batches: to - from,
        more,
    })
}

fn purge_batch(changes: &mut Changes<'_>, number: MailingNumber, batch: u32) -> Result<(), Error> {
    let members: Members = changes.need(&MembersKey(number, batch), "members of a batch")?;
    let key = HeadsKey(number, batch / HEADS_PER_BLOCK);
    let heads = changes.need(&key, "heads of a batch that is not purged")?;
    if heads
        .heads
        .get((batch % HEADS_PER_BLOCK) as usize)
        .is_some_and(|head| head.late)
    {
        for customer in members.customers() {
            changes.remove(&LateKey(number, customer));
        }
    }
    use_words(changes, &members, -1);
    changes.remove(&MembersKey(number, batch));
    changes.remove(&ColumnsKey(number, batch));
    Ok(())
}

/// Drops blocks of heads with the last batch of each, and likewise what was noted of such blocks.
fn purge_heads(changes: &mut Changes<'_>, number: MailingNumber, gone: Range<u32>, all: bool) {
    let last = |per: u32| move |batch: &u32| (batch + 1).is_multiple_of(per);
    for batch in gone.clone().filter(last(HEADS_PER_BLOCK)) {
        changes.remove(&HeadsKey(number, batch / HEADS_PER_BLOCK));
    }
    let reaches = HEADS_PER_BLOCK * REACHES_PER_BLOCK;
    for batch in gone.clone().filter(last(reaches)) {
        changes.remove(&ReachesKey(number, batch / reaches));
    }
    if all && let Some(batch) = gone.last() {
        changes.remove(&HeadsKey(number, batch / HEADS_PER_BLOCK));
        changes.remove(&ReachesKey(number, batch / reaches));
    }
}

/// A mailing is done with; one that was deleted leaves nothing behind.
fn forget(changes: &mut Changes<'_>, number: MailingNumber) -> Result<(), Error> {
    changes.put_stage(number, Stage::Done, Timestamp::default())?;
    let record = changes.need(&MailingKey(number), "a mailing being purged")?;
    if changes.need_progress(number)?.decided {
        at_start::forget(changes, number, record.begun.customers);
    }
    if record.deleted_at.is_some() {
        for (_, renumbered) in &changes.need_progress(number)?.renumbered {
            changes.remove(&RenumberedKey(*renumbered));
        }
        changes.remove(&MailingKey(number));
        changes.remove(&ProgressKey(number));
    }
    Ok(())
}
