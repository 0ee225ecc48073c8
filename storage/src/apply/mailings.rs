//! Mailings: creating, changing, and the marks that people and time set on them.
//!
//! Cancelling, ending and deleting set one mark at once, which grants respect; the messages are
//! settled by bounded sweeps that follow.

use super::{Applied, batches::MailingEdit, changelog};
use crate::{
    changes::Changes,
    command::{Rejection, Reply},
    error::Error,
    keys::{MailingIdKey, MailingKey, NumbersKey, ProgressKey, RosterKey},
    limits::OPEN_MAILINGS,
    model::{Mailing, MailingId, MailingNumber, MailingSpec},
    records::{Cursor, MailingRecord, Numbers, Progress, Roster},
    source::Source,
};

/// The mailing with an id, if it is there to be seen.
fn find<S: Source>(
    source: &S,
    id: &MailingId,
) -> Result<Option<(MailingNumber, MailingRecord)>, Error> {
    let Some(number) = source.get(&MailingIdKey(id.clone()))? else {
        return Ok(None);
    };
    let record = source.need(&MailingKey(number), "a mailing that its id points to")?;
    Ok(record.deleted_at.is_none().then_some((number, record)))
}

fn need(
    changes: &Changes<'_>,
    id: &MailingId,
) -> Result<(MailingNumber, MailingRecord), super::Halt> {
    Ok(find(changes, id)?.ok_or(Rejection::MailingNotFound)?)
}

/// A mailing as people see it.
pub(crate) fn present<S: Source>(
    source: &S,
    number: MailingNumber,
    record: MailingRecord,
) -> Result<Mailing, Error> {
    let progress: Progress = source.need(&ProgressKey(number), "progress of a mailing")?;
    let numbers: Numbers = source.get_or_default(&NumbersKey)?;
    let bounds = match record.ended {
        Some((_, bounds)) => bounds,
        None => Cursor { customer: numbers.customers, change: numbers.changes },
    };
    let looked =
        progress.cursor.customer >= bounds.customer && progress.cursor.change >= bounds.change;
    let caught_up = record.started_at.is_some() && looked && progress.counts.open() == 0;
    Ok(Mailing {
        number,
        status: record.status(),
        caught_up,
        created_at: record.created_at,
        id: record.id,
        spec: record.spec,
    })
}

fn reply(changes: &Changes<'_>, number: MailingNumber, record: MailingRecord) -> Applied {
    Ok(Reply::Mailing(Box::new(present(changes, number, record)?)))
}

pub(super) fn create(changes: &mut Changes<'_>, id: &MailingId, spec: &MailingSpec) -> Applied {
    if find(changes, id)?.is_some() {
        return Err(Rejection::MailingExists.into());
    }
    if spec.end <= changes.at() {
        return Err(Rejection::EndPassed.into());
    }
    let mut roster: Roster = changes.get_or_default(&RosterKey)?;
    if roster.open.len() >= OPEN_MAILINGS {
        return Err(Rejection::TooManyMailings.into());
    }
    let number = changes.update(&NumbersKey, |numbers| {
        numbers.mailings += 1;
        MailingNumber(numbers.mailings)
    })?;
    roster.open.push(number);
    let record = MailingRecord {
        id: id.clone(),
        spec: spec.clone(),
        created_at: changes.at(),
        started_at: None,
        paused: false,
        held: false,
        ended: None,
        cancelled_at: None,
        deleted_at: None,
        settled_at: None,
    };
    changes.put(&RosterKey, &roster);
    changes.put(&MailingIdKey(id.clone()), &number);
    changes.put(&MailingKey(number), &record);
    changes.put(&ProgressKey(number), &Progress::default());
    reply(changes, number, record)
}

pub(super) fn update(changes: &mut Changes<'_>, id: &MailingId, spec: &MailingSpec) -> Applied {
    let (number, mut record) = need(changes, id)?;
    if *spec == record.spec {
        return reply(changes, number, record);
    }
    let now = changes.at();
    let over = record.is_over() || record.settled_at.is_some();
    let only_desc = MailingSpec { desc: record.spec.desc.clone(), ..spec.clone() } == record.spec;
    if (over || record.spec.end <= now) && !only_desc {
        return Err(over_rejection(&record));
    }
    let started = record.started_at.is_some() || record.spec.start <= now;
    if started && let Some(field) = frozen_field(&record.spec, spec) {
        return Err(Rejection::MailingStarted { field: field.to_owned() }.into());
    }
    if spec.end <= now && !only_desc {
        return Err(Rejection::EndPassed.into());
    }
    record.spec = spec.clone();
    changes.put(&MailingKey(number), &record);
    reply(changes, number, record)
}

/// The first field that differs and cannot change after the start.
fn frozen_field(old: &MailingSpec, new: &MailingSpec) -> Option<&'static str> {
    let fields = [
        ("text", old.text != new.text),
        ("start", old.start != new.start),
        ("tag_filter", old.tag_filter != new.tag_filter),
        ("operator_filter", old.operator_filter != new.operator_filter),
        ("phone_filter", old.phone_filter != new.phone_filter),
    ];
    fields.into_iter().find(|(_, differs)| *differs).map(|(field, _)| field)
}

fn over_rejection(record: &MailingRecord) -> super::Halt {
    let status = if record.cancelled_at.is_some() { "cancelled" } else { "finished" };
    Rejection::MailingOver { status: status.to_owned() }.into()
}

pub(super) fn pause(changes: &mut Changes<'_>, id: &MailingId) -> Applied {
    let (number, record) = need_sending(changes, id)?;
    set_paused(changes, number, record, true)
}

/// A mailing from a backup goes on only if its owner accepts duplicates, and with messages of its
/// own: what the life before sent after the backup is not known, but its ids are.
pub(super) fn resume(
    changes: &mut Changes<'_>,
    id: &MailingId,
    accept_duplicates: bool,
) -> Applied {
    let (number, mut record) = need_sending(changes, id)?;
    if record.held {
        if !accept_duplicates {
            return Err(Rejection::DuplicatesNotAccepted.into());
        }
        record.held = false;
        changes.update(&ProgressKey(number), |progress| progress.rises.push(progress.batches))?;
    }
    set_paused(changes, number, record, false)
}

/// A mailing about whose sending something can change.
fn need_sending(
    changes: &Changes<'_>,
    id: &MailingId,
) -> Result<(MailingNumber, MailingRecord), super::Halt> {
    let (number, record) = need(changes, id)?;
    if record.is_over() || record.settled_at.is_some() {
        return Err(over_rejection(&record));
    }
    Ok((number, record))
}

fn set_paused(
    changes: &mut Changes<'_>,
    number: MailingNumber,
    mut record: MailingRecord,
    paused: bool,
) -> Applied {
    if record.paused != paused {
        record.paused = paused;
        changes.put(&MailingKey(number), &record);
    }
    reply(changes, number, record)
}

pub(super) fn cancel(changes: &mut Changes<'_>, id: &MailingId) -> Applied {
    let (number, mut record) = need(changes, id)?;
    if record.cancelled_at.is_some() {
        return reply(changes, number, record);
    }
    if record.ended.is_some() || record.settled_at.is_some() {
        return Err(over_rejection(&record));
    }
    record.cancelled_at = Some(changes.at());
    changes.put(&MailingKey(number), &record);
    MailingEdit::open(changes, number)?.save(changes)?;
    changelog::trim(changes)?;
    let record = changes.need(&MailingKey(number), "the mailing just cancelled")?;
    reply(changes, number, record)
}

pub(super) fn delete(changes: &mut Changes<'_>, id: &MailingId) -> Applied {
    let (number, mut record) = need(changes, id)?;
    record.deleted_at = Some(changes.at());
    changes.put(&MailingKey(number), &record);
    if record.settled_at.is_none() {
        MailingEdit::open(changes, number)?.save(changes)?;
        changelog::trim(changes)?;
    } else {
        list_for_purge(changes, number)?;
    }
    changes.remove(&MailingIdKey(id.clone()));
    Ok(Reply::Done)
}

/// Puts a settled mailing back on the list of those whose messages go; it may have left it when
/// its retention was over.
fn list_for_purge(changes: &mut Changes<'_>, number: MailingNumber) -> Result<(), Error> {
    changes.update(&RosterKey, |roster: &mut Roster| {
        if !roster.settled.contains(&number)
            && let Err(at) = roster.folded.binary_search(&number)
        {
            roster.folded.insert(at, number);
        }
    })
}

pub(super) fn start(changes: &mut Changes<'_>, number: MailingNumber) -> Applied {
    let mut record = by_number(changes, number)?;
    let now = changes.at();
    if record.started_at.is_some() || record.is_over() || now < record.spec.start {
        return Err(Rejection::NotNow.into());
    }
    record.started_at = Some(now);
    changes.put(&MailingKey(number), &record);
    let numbers: Numbers = changes.get_or_default(&NumbersKey)?;
    changes.update(&ProgressKey(number), |progress| progress.cursor.change = numbers.changes)?;
    Ok(Reply::Done)
}

pub(super) fn end(changes: &mut Changes<'_>, number: MailingNumber) -> Applied {
    let mut record = by_number(changes, number)?;
    let now = changes.at();
    if record.is_over() || now < record.spec.end {
        return Err(Rejection::NotNow.into());
    }
    let numbers: Numbers = changes.get_or_default(&NumbersKey)?;
    if record.started_at.is_none() {
        record.started_at = Some(now);
        changes
            .update(&ProgressKey(number), |progress| progress.cursor.change = numbers.changes)?;
    }
    // Whom the life before a restore reached is not known: then nobody more is listed as expired.
    let bounds = match record.held {
        true => changes.need(&ProgressKey(number), "progress of a mailing")?.cursor,
        false => Cursor { customer: numbers.customers, change: numbers.changes },
    };
    record.ended = Some((now, bounds));
    changes.put(&MailingKey(number), &record);
    MailingEdit::open(changes, number)?.save(changes)?;
    Ok(Reply::Done)
}

/// A mailing by its number, deleted or not.
pub(super) fn by_number(
    changes: &Changes<'_>,
    number: MailingNumber,
) -> Result<MailingRecord, super::Halt> {
    Ok(changes.get(&MailingKey(number))?.ok_or(Rejection::MailingNotFound)?)
}

/// Marks a mailing as settled once it is over and every message is final.
pub(super) fn settle(
    changes: &mut Changes<'_>,
    number: MailingNumber,
    progress: &Progress,
) -> Result<(), Error> {
    if progress.counts.open() > 0 {
        return Ok(());
    }
    let mut record = changes.need(&MailingKey(number), "a mailing being edited")?;
    if record.settled_at.is_some() || !record.is_over() {
        return Ok(());
    }
    let stopped = record.cancelled_at.is_some() || record.deleted_at.is_some();
    let looked = record.ended.is_some_and(|(_, bounds)| progress.has_passed(&bounds));
    if !stopped && !looked {
        return Ok(());
    }
    record.settled_at = Some(changes.at());
    changes.put(&MailingKey(number), &record);
    changes.update(&RosterKey, |roster: &mut Roster| {
        roster.open.retain(|open| *open != number);
        if let Err(at) = roster.settled.binary_search(&number) {
            roster.settled.insert(at, number);
        }
    })?;
    changelog::trim(changes)
}
