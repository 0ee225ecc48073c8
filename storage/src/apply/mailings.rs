//! Mailings: creating, changing, and the marks that people and time set on them.
//!
//! Cancelling, ending and deleting set one mark at once, which grants respect; the messages are
//! settled by bounded sweeps that follow.

use std::sync::Arc;

use super::{
    batches::MailingEdit,
    changelog,
    ruled::{Halt, Ruled},
};
use crate::{
    changes::Changes,
    command::{
        CancelMailing, CreateMailing, DeleteMailing, EndMailing, PauseMailing, Rejection,
        ResumeMailing, StartMailing, UpdateMailing,
    },
    error::Error,
    keys::{GivenUpKey, MailingIdKey, NumbersKey, RenumberedKey},
    limits::{FIRST_MAILINGS, OPEN_MAILINGS},
    model::{Mailing, MailingId, MailingNumber, MailingSpec, Timestamp},
    records::{Begun, MailingRecord, Numbers, Progress, Stage},
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
    let record = source.mailing(number)?;
    let record = record.ok_or(Error::Contradiction {
        what: "a mailing that its id points to",
    })?;
    Ok(record
        .deleted_at
        .is_none()
        .then(|| (number, (*record).clone())))
}

fn need(changes: &Changes<'_>, id: &MailingId) -> Result<(MailingNumber, MailingRecord), Halt> {
    Ok(find(changes, id)?.ok_or(Rejection::MailingNotFound)?)
}

/// A mailing as people see it.
pub(crate) fn present<S: Source>(
    source: &S,
    number: MailingNumber,
    record: MailingRecord,
) -> Result<Mailing, Error> {
    let progress = source.need_progress(number)?;
    let numbers: Numbers = source.get_or_default(&NumbersKey)?;
    let bounds = record.bounds(&numbers, &progress.cursor);
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

fn reply(
    changes: &Changes<'_>,
    number: MailingNumber,
    record: MailingRecord,
) -> Ruled<Box<Mailing>> {
    Ok(Box::new(present(changes, number, record)?))
}

pub(super) fn create(changes: &mut Changes<'_>, create: &CreateMailing) -> Ruled<Box<Mailing>> {
    let CreateMailing { id, spec, first } = create;
    if find(changes, id)?.is_some() {
        return Err(Rejection::MailingExists.into());
    }
    if spec.end <= changes.at() {
        return Err(Rejection::EndPassed.into());
    }
    if changes.open_mailings().len() >= OPEN_MAILINGS {
        return Err(Rejection::TooManyMailings.into());
    }
    begin_numbers(changes, *first)?;
    let number = next_number(changes)?;
    let record = MailingRecord {
        id: id.clone(),
        spec: spec.clone(),
        created_at: changes.at(),
        started_at: None,
        begun: Begun::default(),
        paused: false,
        held: false,
        ended: None,
        cancelled_at: None,
        deleted_at: None,
        settled_at: None,
    };
    changes.put(&MailingIdKey(id.clone()), &number);
    changes.put_mailing(number, record.clone());
    changes.put_progress(number, Progress::default());
    changes.put_stage(number, Stage::Open, Timestamp::default())?;
    reply(changes, number, record)
}

/// Lets the numbers of a new cluster begin where its proposer has drawn.
fn begin_numbers(changes: &mut Changes<'_>, first: u32) -> Ruled<()> {
    if first > FIRST_MAILINGS {
        let what = format!("the first mailing's number is at most {FIRST_MAILINGS}");
        return Err(Rejection::OutOfBounds { what }.into());
    }
    changes.update(&NumbersKey, |numbers| numbers.begin_at(first))?;
    Ok(())
}

fn next_number(changes: &mut Changes<'_>) -> Result<MailingNumber, Halt> {
    let next = changes.update(&NumbersKey, Numbers::next_mailing)?;
    Ok(next.ok_or(Rejection::NoNumbersLeft)?)
}

pub(super) fn update(changes: &mut Changes<'_>, update: &UpdateMailing) -> Ruled<Box<Mailing>> {
    let UpdateMailing { id, spec } = update;
    let (number, mut record) = need(changes, id)?;
    if *spec == record.spec {
        return reply(changes, number, record);
    }
    let now = changes.at();
    let over = record.is_over() || record.settled_at.is_some();
    let only_desc = MailingSpec {
        desc: record.spec.desc.clone(),
        ..spec.clone()
    } == record.spec;
    if (over || record.spec.end <= now) && !only_desc {
        return Err(over_rejection(&record));
    }
    let started = record.started_at.is_some() || record.spec.start <= now;
    if started && let Some(field) = frozen_field(&record.spec, spec) {
        return Err(Rejection::MailingStarted {
            field: field.to_owned(),
        }
        .into());
    }
    if spec.end <= now && !only_desc {
        return Err(Rejection::EndPassed.into());
    }
    record.spec = spec.clone();
    changes.put_mailing(number, record.clone());
    reply(changes, number, record)
}

/// The first field that differs and cannot change after the start.
fn frozen_field(old: &MailingSpec, new: &MailingSpec) -> Option<&'static str> {
    let fields = [
        ("text", old.text != new.text),
        ("start", old.start != new.start),
        ("tag_filter", old.tag_filter != new.tag_filter),
        (
            "operator_filter",
            old.operator_filter != new.operator_filter,
        ),
        ("phone_filter", old.phone_filter != new.phone_filter),
        ("audience", old.audience != new.audience),
        ("unique_phones", old.unique_phones != new.unique_phones),
    ];
    fields
        .into_iter()
        .find(|(_, differs)| *differs)
        .map(|(field, _)| field)
}

fn over_rejection(record: &MailingRecord) -> Halt {
    let status = if record.cancelled_at.is_some() {
        "cancelled"
    } else {
        "finished"
    };
    Rejection::MailingOver {
        status: status.to_owned(),
    }
    .into()
}

pub(super) fn pause(changes: &mut Changes<'_>, pause: &PauseMailing) -> Ruled<Box<Mailing>> {
    let (number, record) = need_sending(changes, &pause.id)?;
    set_paused(changes, number, record, true)
}

/// A mailing from a backup goes on only if its owner accepts duplicates, and with message ids of its
/// own: what the life before sent after the backup is not known, nor what another restore of the
/// same backup sends. So its next messages have the next mailing's number in their ids, which the
/// restore has drawn at random; positions alone would leave too little room for that.
pub(super) fn resume(changes: &mut Changes<'_>, resume: &ResumeMailing) -> Ruled<Box<Mailing>> {
    let (number, mut record) = need_sending(changes, &resume.id)?;
    if record.held {
        if !resume.accept_duplicates {
            return Err(Rejection::DuplicatesNotAccepted.into());
        }
        record.held = false;
        let mut progress = (*changes.need_progress(number)?).clone();
        let renumbered = next_number(changes)?;
        progress.renumbered.push((progress.batches, renumbered));
        changes.put(&RenumberedKey(renumbered), &number);
        changes.put_progress(number, progress);
    }
    set_paused(changes, number, record, false)
}

/// A mailing about whose sending something can change.
fn need_sending(
    changes: &Changes<'_>,
    id: &MailingId,
) -> Result<(MailingNumber, MailingRecord), Halt> {
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
) -> Ruled<Box<Mailing>> {
    if record.paused != paused {
        record.paused = paused;
        changes.put_mailing(number, record.clone());
    }
    reply(changes, number, record)
}

pub(super) fn cancel(changes: &mut Changes<'_>, cancel: &CancelMailing) -> Ruled<Box<Mailing>> {
    let (number, mut record) = need(changes, &cancel.id)?;
    if record.cancelled_at.is_some() {
        return reply(changes, number, record);
    }
    if record.ended.is_some() || record.settled_at.is_some() {
        return Err(over_rejection(&record));
    }
    record.cancelled_at = Some(changes.at());
    changes.put_mailing(number, record);
    MailingEdit::open(changes, number)?.save(changes)?;
    changelog::trim(changes)?;
    let record = by_number(changes, number)?;
    reply(changes, number, (*record).clone())
}

pub(super) fn delete(changes: &mut Changes<'_>, delete: &DeleteMailing) -> Ruled<()> {
    let (number, mut record) = need(changes, &delete.id)?;
    record.deleted_at = Some(changes.at());
    let (settled, since) = (record.settled_at.is_some(), record.kept_since());
    changes.put_mailing(number, record);
    if !settled {
        MailingEdit::open(changes, number)?.save(changes)?;
        changelog::trim(changes)?;
    } else if changes.stage(number) != Stage::Settled {
        // Its messages go, and then itself; it may have been done with.
        changes.put_stage(number, Stage::Folded, since)?;
    }
    changes.remove(&MailingIdKey(delete.id.clone()));
    Ok(())
}

pub(super) fn start(changes: &mut Changes<'_>, start: &StartMailing) -> Ruled<()> {
    let number = start.mailing;
    let mut record = (*by_number(changes, number)?).clone();
    let now = changes.at();
    if record.started_at.is_some() || record.is_over() || now < record.spec.start {
        return Err(Rejection::NotNow.into());
    }
    begin(changes, number, &mut record)?;
    changes.put_mailing(number, record);
    Ok(())
}

/// A mailing starts. It looks at the changes from now on: what was before, it sees as it is.
fn begin(
    changes: &mut Changes<'_>,
    number: MailingNumber,
    record: &mut MailingRecord,
) -> Result<(), Error> {
    let numbers: Numbers = changes.get_or_default(&NumbersKey)?;
    record.started_at = Some(changes.at());
    record.begun = Begun {
        customers: numbers.customers,
        phones: changes.get_or_default(&GivenUpKey)?.next,
    };
    let mut progress = (*changes.need_progress(number)?).clone();
    progress.cursor.change = numbers.changes;
    changes.put_progress(number, progress);
    Ok(())
}

pub(super) fn end(changes: &mut Changes<'_>, end: &EndMailing) -> Ruled<()> {
    let number = end.mailing;
    let mut record = (*by_number(changes, number)?).clone();
    let now = changes.at();
    if record.is_over() || now < record.spec.end {
        return Err(Rejection::NotNow.into());
    }
    let numbers: Numbers = changes.get_or_default(&NumbersKey)?;
    if record.started_at.is_none() {
        begin(changes, number, &mut record)?;
    }
    let cursor = changes.need_progress(number)?.cursor;
    // Whom the life before a restore reached is not known: then nobody more is listed as expired.
    let bounds = match record.held {
        true => cursor,
        false => record.bounds_now(&numbers, &cursor),
    };
    record.ended = Some((now, bounds));
    changes.put_mailing(number, record);
    MailingEdit::open(changes, number)?.save(changes)?;
    Ok(())
}

/// A mailing by its number, deleted or not.
pub(super) fn by_number(
    changes: &Changes<'_>,
    number: MailingNumber,
) -> Result<Arc<MailingRecord>, Halt> {
    Ok(changes.mailing(number)?.ok_or(Rejection::MailingNotFound)?)
}
