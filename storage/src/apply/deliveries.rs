//! Reports: what became of messages under a lease. The first report of a token wins.
//!
//! The ways back from `sending` are three, and each is a statement of the holder: nothing was
//! written, the gateway did not take it, or the gateway is idempotent and may get it again.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    batches::{BatchEdit, MailingEdit},
    deleted::Deleted,
    leases, mailings,
    ruled::{Halt, Ruled},
    unheard::drop_unheard,
};
use crate::{
    changes::Changes,
    command::{Rejection, Report, Reported},
    error::Error,
    keys::{LeaseKey, NumbersKey, OpenLeasesKey},
    limits::{BATCH_STRIDE_BITS, LEASE_BATCHES, LEASE_MESSAGES, RETRY_PAUSE_MS},
    model::{MailingNumber, MessageId, Run, SendResult, Status, Timestamp},
    records::{Doubt, Lease, LeaseList, ListedLease, MailingRecord, Numbers, TimeSetting, address},
    rules::{self, ReportPlace},
    source::Source,
};

/// What one token's report did.
enum Taken {
    /// It was the first.
    First { was_sending: bool },
    /// It was the first, of an attempt that a receipt had settled.
    AfterReceipt,
    /// It said what was said before, or came too late to matter.
    Again,
    /// It said something else than before.
    Conflict,
}

/// What a report is settled by: how things are now.
struct Now<'a> {
    steady: Timestamp,
    set: &'a TimeSetting,
    gateway: u64,
    record: &'a MailingRecord,
    customer_deleted: bool,
}

/// What all tokens of a report did.
#[derive(Default)]
struct Tally {
    accepted: u32,
    repeated: u32,
    from_sending: u32,
    conflicts: Vec<MessageId>,
}

pub(super) fn report(changes: &mut Changes<'_>, report: &Report) -> Ruled<Reported> {
    check_bounds(report)?;
    let numbers: Numbers = changes.get_or_default(&NumbersKey)?;
    if report.lease.epoch.0 <= numbers.closed_epochs {
        // Of a life before a restore: what it is about was given up, or was sent under other ids.
        let repeated = tokens(report).count() as u32;
        return Ok(Reported {
            accepted: 0,
            repeated,
            conflicts: Vec::new(),
        });
    }
    let open: LeaseList = changes.get_or_default(&OpenLeasesKey)?;
    if changes.mailing(report.mailing)?.is_none()
        && let Some((_, lease)) = open_lease(changes, &open, report)?
    {
        return report_of_gone(changes, report, &lease);
    }
    let record = mailings::by_number(changes, report.mailing)?;
    let lease = open_lease(changes, &open, report)?;
    let mut edit = MailingEdit::open(changes, report.mailing)?;
    let tally = take_all(changes, &mut edit, report, &record, lease.is_some())?;
    edit.save(changes)?;
    match lease {
        Some((found, lease)) => count_down(changes, found, lease, tally.from_sending)?,
        None => drop_unheard(changes, |lease| lease == report.lease)?,
    }
    let Tally {
        accepted,
        repeated,
        conflicts,
        ..
    } = tally;
    if !conflicts.is_empty() {
        let count = conflicts.len() as u64;
        changes.update(&NumbersKey, |numbers| numbers.conflicts += count)?;
    }
    Ok(Reported {
        accepted,
        repeated,
        conflicts,
    })
}

/// Takes the report of a lease whose mailing is gone: receipts had settled all of its messages, and nothing is
/// left that a report could change.
fn report_of_gone(changes: &mut Changes<'_>, report: &Report, lease: &Lease) -> Ruled<Reported> {
    let repeated = tokens(report).count() as u32;
    let granted: u32 = lease.runs.iter().map(|run| u32::from(run.len)).sum();
    // One in parts is not counted down: such a lease stays until its end.
    if repeated == granted {
        leases::close(changes, lease.id)?;
    }
    Ok(Reported {
        accepted: 0,
        repeated,
        conflicts: Vec::new(),
    })
}

/// Takes the report of each token, batch by batch.
fn take_all(
    changes: &mut Changes<'_>,
    edit: &mut MailingEdit,
    report: &Report,
    record: &MailingRecord,
    lease_is_open: bool,
) -> Result<Tally, Halt> {
    let (mut batches, mut tally) = (BTreeMap::new(), Tally::default());
    let mut deleted = Deleted::load(changes)?;
    for (result, position, attempt) in tokens(report) {
        let place = address(position);
        let Some((batch, index)) = open_batch(changes, edit, &mut batches, place)? else {
            tally.repeated += 1;
            continue;
        };
        if !lease_is_open && is_under_lease(batch, index, attempt) {
            return Err(not_its_own());
        }
        let customer_deleted = is_deleted(changes, &mut deleted, batch, report.mailing, index)?;
        let (set, gateway) = (*changes.setting(), report.gateway);
        let steady = changes.steady();
        let now = Now {
            steady,
            set: &set,
            gateway,
            record,
            customer_deleted,
        };
        match take(batch, index, attempt, result, &now) {
            Taken::First { was_sending } => {
                if batch.columns.status(index).is_ready() {
                    batch.mark_zone(changes, report.mailing, index)?;
                }
                tally.accepted += 1;
                tally.from_sending += u32::from(was_sending);
            }
            Taken::AfterReceipt => {
                if batch.columns.status(index).is_ready() {
                    batch.mark_zone(changes, report.mailing, index)?;
                }
                tally.accepted += 1;
                tally.from_sending += 1;
                // A receipt that came after the end of the lease was not counted as early.
                let early = u32::from(lease_is_open);
                edit.progress.early = edit.progress.early.saturating_sub(early);
            }
            Taken::Again => tally.repeated += 1,
            Taken::Conflict => {
                tally
                    .conflicts
                    .push(edit.progress.id(report.mailing, position));
            }
        }
    }
    for batch in batches.into_values().flatten() {
        edit.close(changes, batch)?;
    }
    Ok(tally)
}

fn is_deleted(
    changes: &Changes<'_>,
    deleted: &mut Deleted,
    batch: &mut BatchEdit,
    mailing: MailingNumber,
    index: usize,
) -> Result<bool, Error> {
    if !deleted.any() {
        return Ok(false);
    }
    match batch.members(changes, mailing)?.customers().nth(index) {
        Some(customer) => deleted.contains(changes, customer),
        None => Ok(false),
    }
}

fn check_bounds(report: &Report) -> Result<(), Rejection> {
    let runs = report.results.iter().flat_map(|(_, runs)| runs);
    let (mut messages, mut batches) = (0, BTreeSet::new());
    for run in runs {
        let (number, index) = address(run.first);
        messages += usize::from(run.len);
        batches.insert(number);
        if index + usize::from(run.len) > 1 << BATCH_STRIDE_BITS {
            let what = "a run of positions crosses the end of a batch".to_owned();
            return Err(Rejection::OutOfBounds { what });
        }
    }
    // As many as a lease can have, however many results they came to.
    if messages > usize::from(LEASE_MESSAGES) || batches.len() > usize::from(LEASE_BATCHES) {
        let what =
            format!("a report names at most {LEASE_MESSAGES} messages of {LEASE_BATCHES} batches");
        return Err(Rejection::OutOfBounds { what });
    }
    Ok(())
}

fn tokens(report: &Report) -> impl Iterator<Item = (SendResult, u32, u16)> + '_ {
    report.results.iter().flat_map(|(result, runs)| {
        runs.iter().flat_map(move |run| {
            run.positions()
                .map(move |position| (*result, position, run.attempt))
        })
    })
}

/// The lease of a report if it is open; refused if the report names messages that it lacks.
fn open_lease(
    changes: &Changes<'_>,
    open: &LeaseList,
    report: &Report,
) -> Result<Option<(ListedLease, Lease)>, Halt> {
    let Some(found) = open.find(report.lease) else {
        return Ok(None);
    };
    let lease: Lease = changes.need(&LeaseKey(found.slot), "an open lease")?;
    let mut runs = report.results.iter().flat_map(|(_, runs)| runs);
    if lease.mailing != report.mailing || !runs.all(|run| contains(&lease.runs, run)) {
        return Err(not_its_own());
    }
    Ok(Some((*found, lease)))
}

fn not_its_own() -> Halt {
    let what = "a report names messages that its lease does not hold".to_owned();
    Rejection::OutOfBounds { what }.into()
}

/// Whether a token is held by an open lease: a closed one, or none, cannot speak for it.
fn is_under_lease(batch: &BatchEdit, index: usize, attempt: u16) -> bool {
    batch.columns.attempts.get(index) == Some(&attempt)
        && batch.columns.status(index) == Status::Sending
}

fn contains(runs: &[Run], run: &Run) -> bool {
    let after = runs.partition_point(|granted| granted.first <= run.first);
    let granted = after.checked_sub(1).map(|at| &runs[at]);
    granted.is_some_and(|granted| granted.attempt == run.attempt && run.end() <= granted.end())
}

type Batches = BTreeMap<u32, Option<BatchEdit>>;

fn open_batch<'b>(
    changes: &mut Changes<'_>,
    edit: &mut MailingEdit,
    batches: &'b mut Batches,
    (number, index): (u32, usize),
) -> Result<Option<(&'b mut BatchEdit, usize)>, Error> {
    if let std::collections::btree_map::Entry::Vacant(entry) = batches.entry(number) {
        entry.insert(edit.batch(changes, number)?);
    }
    let batch = batches.get_mut(&number).and_then(Option::as_mut);
    Ok(batch.map(|batch| (batch, index)))
}

fn count_down(
    changes: &mut Changes<'_>,
    found: ListedLease,
    mut lease: Lease,
    reported: u32,
) -> Result<(), Error> {
    let left = lease.open.checked_sub(reported);
    lease.open = left.ok_or(Error::Contradiction {
        what: "a lease reported beyond its messages",
    })?;
    if lease.open == 0 {
        return leases::close(changes, lease.id);
    }
    if reported > 0 {
        changes.put(&LeaseKey(found.slot), &lease);
    }
    Ok(())
}

/// Takes the report of one token.
fn take(
    batch: &mut BatchEdit,
    index: usize,
    attempt: u16,
    result: SendResult,
    now: &Now<'_>,
) -> Taken {
    let Some(current) = batch.columns.attempts.get(index).copied() else {
        return Taken::Again;
    };
    match rules::place_of_report(attempt, current, is_reported(batch, index)) {
        ReportPlace::NoToken => Taken::Conflict,
        ReportPlace::OldAttempt => take_old(batch, index, result, now),
        ReportPlace::First => {
            let was_sending = batch.columns.status(index) == Status::Sending;
            settle(batch, index, result, now);
            batch.columns.reported[index] = result.number();
            Taken::First { was_sending }
        }
        ReportPlace::Later if batch.columns.is_settled_by_receipt(index) => {
            if !rules::receipt_stands() {
                settle(batch, index, result, now);
            }
            batch.note_report(index, result);
            Taken::AfterReceipt
        }
        ReportPlace::Later if batch.columns.reported[index] == result.number() => Taken::Again,
        ReportPlace::Later => {
            was_taken_after_all(batch, index, result, now);
            Taken::Conflict
        }
    }
}

/// True if the present attempt was reported, or was settled without a report.
fn is_reported(batch: &BatchEdit, index: usize) -> bool {
    let is_open = matches!(
        batch.columns.status(index),
        Status::Sending | Status::Unconfirmed
    );
    batch.columns.reported[index] != 0 || !is_open
}

/// A report of an attempt before the present one. That attempt was reported as a way back, or
/// there would be no later one; anything else is a conflict.
fn take_old(batch: &mut BatchEdit, index: usize, result: SendResult, now: &Now<'_>) -> Taken {
    match result {
        SendResult::Done => {
            was_taken_after_all(batch, index, result, now);
            Taken::Conflict
        }
        SendResult::Invalid | SendResult::Unsure => Taken::Conflict,
        SendResult::HandedBack
        | SendResult::NotTaken { .. }
        | SendResult::NotSent { .. }
        | SendResult::UnsureRepeatable { .. } => Taken::Again,
    }
}

/// A second report that says `done` while the message could still be sent again: now, or after
/// the present attempt comes back.
fn was_taken_after_all(batch: &mut BatchEdit, index: usize, result: SendResult, now: &Now<'_>) {
    if result != SendResult::Done {
        return;
    }
    if batch.columns.status(index).is_ready() {
        never_again(batch, index, now);
        batch.set(index, Status::Unconfirmed, now.steady);
    } else if !is_reported(batch, index) {
        never_again(batch, index, now);
    }
}

fn never_again(batch: &mut BatchEdit, index: usize, now: &Now<'_>) {
    let (index, since) = (index as u16, now.steady);
    batch.doubt(Doubt {
        index,
        repeat_until: None,
        since,
        gateway: now.gateway,
    });
}

/// Settles the first report of a token by how things are now.
fn settle(batch: &mut BatchEdit, index: usize, result: SendResult, now: &Now<'_>) {
    let granted_at = granted_at(batch, index);
    match result {
        SendResult::Done => batch.set(index, Status::Done, now.steady),
        // Refused this time; a gateway that may have it from an earlier try may have sent it.
        SendResult::Invalid => batch.give_up(index, Status::Invalid, now.steady),
        SendResult::Unsure => {
            never_again(batch, index, now);
            batch.set(index, Status::Unconfirmed, now.steady);
        }
        SendResult::HandedBack => {
            batch.columns.add_handed_back(index);
            give_back(batch, index, None, now);
        }
        SendResult::NotTaken { pause_ms } | SendResult::NotSent { pause_ms } => {
            give_back(batch, index, Some(pause_ms), now);
        }
        SendResult::UnsureRepeatable {
            pause_ms,
            repeat_ms,
        } => {
            let until = granted_at.plus_millis(repeat_ms.min(i64::MAX as u64) as i64);
            // How much time has passed since is known only where nobody has set it.
            let repeat_until = (!now.set.came_after(granted_at)).then_some(until);
            let (index16, gateway) = (index as u16, now.gateway);
            batch.doubt(Doubt {
                index: index16,
                since: granted_at,
                repeat_until,
                gateway,
            });
            give_back(batch, index, Some(pause_ms), now);
        }
    }
}

/// The steady time at which the present attempt was granted: the first moment at which the gateway
/// may have got it.
fn granted_at(batch: &mut BatchEdit, index: usize) -> Timestamp {
    let changed = batch.columns.changed_ms[index] as i64;
    let lapsed = batch.columns.take_lapsed(index);
    lapsed.unwrap_or_else(|| batch.head.created_steady().plus_millis(changed))
}

/// Takes a message back that was certainly not taken, or may be repeated.
fn give_back(batch: &mut BatchEdit, index: usize, pause_ms: Option<u64>, now: &Now<'_>) {
    let over = if now.customer_deleted || batch.columns.is_forsaken(index) {
        Some(Status::Cancelled)
    } else {
        verdict_when_over(now.record)
    };
    if let Some(status) = over {
        return batch.give_up(index, status, now.steady);
    }
    let doubt = batch.columns.doubt(index);
    if doubt.is_some_and(|doubt| doubt.repeat_until.is_none()) {
        return batch.set(index, Status::Unconfirmed, now.steady);
    }
    if pause_ms.is_none() && doubt.is_none() {
        return batch.set(index, Status::Created, now.steady);
    }
    let pause_ms = pause_ms.unwrap_or_default().min(RETRY_PAUSE_MS);
    batch.set(index, Status::Failed, now.steady);
    batch
        .columns
        .set_due(index, now.steady.plus_millis(pause_ms as i64));
}

/// The status of what comes back to a mailing that is over; `None` while it goes on. By its marks
/// alone: an end that seems to have passed, and that nobody has declared, may be a time that people
/// set wrong.
fn verdict_when_over(record: &MailingRecord) -> Option<Status> {
    if record.cancelled_at.is_some() || record.deleted_at.is_some() {
        Some(Status::Cancelled)
    } else if record.ended.is_some() {
        Some(Status::Expired)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, LeaseId};

    /// A report of so many different results, each of one message of each of so many batches.
    fn report(results: u64, batches: u32) -> Report {
        let run = |batch: u32, n: u64| Run {
            first: (batch << BATCH_STRIDE_BITS) | n as u32,
            len: 1,
            attempt: 1,
        };
        let group = |n| {
            let runs = (0..batches).map(|batch| run(batch, n)).collect();
            (SendResult::NotTaken { pause_ms: n }, runs)
        };
        Report {
            lease: LeaseId {
                epoch: Epoch(1),
                n: 1,
            },
            mailing: MailingNumber(1),
            gateway: 0,
            results: (0..results).map(group).collect(),
        }
    }

    #[test]
    fn whatever_a_lease_can_come_to_can_be_reported_at_once() {
        assert_eq!(check_bounds(&report(20, 50)), Ok(()));
        assert_eq!(check_bounds(&report(1_000, 1)), Ok(()));
        assert!(check_bounds(&report(1, 51)).is_err());
        assert!(check_bounds(&report(1_001, 1)).is_err());
    }
}
