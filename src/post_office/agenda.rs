//! What is due: pure decisions over the state and the time.

use std::{collections::BTreeSet, time::Duration};

use notty_storage::{
    Action, Error, Reader, Source, Timestamp, limits,
    model::{MailingNumber, Status},
    query::work::{self, OpenMailing},
    records::Numbers,
};

use crate::zones::Zones;

/// Customers that one expansion looks at, at most: an entry's budget.
const SCAN: u32 = limits::ENTRY_CUSTOMERS;
/// Batches that one sweep touches, at most: half of an entry's budget, so that grants and reports
/// find room beside it.
const SWEEP_BATCHES: u32 = limits::ENTRY_BATCHES / 2;
/// Actions of one look, at most; the rest comes with the next.
const ACTIONS: usize = 64;

/// What the decisions go by.
pub struct Policy<'a> {
    /// Messages to have ready in each mailing.
    pub ahead: u64,
    /// Mailings whose last grant found nothing: whatever seems ready in them is not.
    pub barren: &'a BTreeSet<MailingNumber>,
    /// For how long messages of finished mailings are kept, in milliseconds.
    pub retention_ms: i64,
    /// The time zones.
    pub zones: &'a Zones,
}

/// What to propose now, and how long nothing more will be due by itself.
#[derive(Debug)]
pub struct Agenda {
    /// In the order of importance.
    pub actions: Vec<Action>,
    /// Until something is due by the clock.
    pub wait: Duration,
}

/// Decides what is due.
pub fn draw_up(reader: &Reader<'_>, now: Timestamp, policy: &Policy<'_>) -> Result<Agenda, Error> {
    let mut actions = Vec::new();
    let mut next = now.plus_millis(3_600_000);
    let open = work::open_mailings(reader)?;
    let numbers = work::numbers(reader)?;
    for mailing in &open {
        next = next.min(next_moment(mailing, now));
        actions.extend(due(mailing, now));
    }
    for lease in notty_storage::query::leases::open(reader)? {
        if lease.expires_at <= now {
            actions.push(Action::ExpireLease { lease: lease.id });
        } else {
            next = next.min(lease.expires_at);
        }
    }
    for mailing in &open {
        if needs_expansion(reader, mailing, &numbers, now, policy)? {
            actions.push(expansion(mailing));
        }
        actions.extend(sweep(mailing));
    }
    if work::has_unswept(reader)? {
        actions.push(Action::SweepDeleted { batches: SWEEP_BATCHES });
    }
    tidy(reader, now, policy.retention_ms, &mut actions, &mut next)?;
    actions.truncate(ACTIONS);
    let wait = Duration::from_millis(next.since(now).max(1) as u64);
    Ok(Agenda { actions, wait })
}

/// A mailing whose start or end has come.
pub fn due(mailing: &OpenMailing, now: Timestamp) -> Option<Action> {
    let OpenMailing { number, record, .. } = mailing;
    if record.is_over() {
        None
    } else if record.spec.end <= now {
        Some(Action::EndMailing { mailing: *number })
    } else if record.started_at.is_none() && record.spec.start <= now {
        Some(Action::StartMailing { mailing: *number })
    } else {
        None
    }
}

/// When something next happens to a mailing by the clock.
fn next_moment(mailing: &OpenMailing, now: Timestamp) -> Timestamp {
    let spec = &mailing.record.spec;
    let due = work::next_due(mailing).filter(|due| *due > now);
    let moments = [Some(spec.start), Some(spec.end), due];
    let later = moments.into_iter().flatten().filter(|moment| *moment > now);
    later.min().unwrap_or(now.plus_millis(3_600_000))
}

/// Whether a mailing has customers to look at and too few messages ready.
fn needs_expansion(
    reader: &Reader<'_>,
    mailing: &OpenMailing,
    numbers: &Numbers,
    now: Timestamp,
    policy: &Policy<'_>,
) -> Result<bool, Error> {
    let OpenMailing { record, progress, .. } = mailing;
    let cursor = progress.cursor;
    if record.cancelled_at.is_some() || record.deleted_at.is_some() {
        return Ok(false);
    }
    if let Some((_, bounds)) = record.ended {
        return Ok(cursor.customer < bounds.customer || cursor.change < bounds.change);
    }
    let caught_up = cursor.customer >= numbers.customers && cursor.change >= numbers.changes;
    if record.started_at.is_none() || record.paused || record.spec.end <= now || caught_up {
        return Ok(false);
    }
    if policy.barren.contains(&mailing.number) {
        return Ok(true);
    }
    let zones = record.spec.send_window.as_ref().map(|window| policy.zones.open(window, now));
    let ready = work::ready(reader, mailing, zones.as_deref(), now, policy.ahead)?;
    Ok(ready < policy.ahead)
}

fn expansion(mailing: &OpenMailing) -> Action {
    Action::Expand {
        mailing: mailing.number,
        cursor: mailing.progress.cursor,
        scan: SCAN,
        limit: limits::BATCH_MESSAGES as u16,
    }
}

/// Settles what waits in a mailing that is over.
fn sweep(mailing: &OpenMailing) -> Option<Action> {
    let counts = &mailing.progress.counts;
    let waiting = counts.of(Status::Created) + counts.of(Status::Failed);
    let sweep = Action::SweepMailing { mailing: mailing.number, batches: SWEEP_BATCHES };
    (mailing.record.is_over() && waiting > 0).then_some(sweep)
}

/// Folds settled mailings, and drops what retention lets go.
fn tidy<S: Source>(
    source: &S,
    now: Timestamp,
    retention_ms: i64,
    actions: &mut Vec<Action>,
    next: &mut Timestamp,
) -> Result<(), Error> {
    let roster = work::roster(source)?;
    // One at a time: tidying must not crowd out sending.
    if let Some(mailing) = roster.settled.first() {
        actions.push(Action::FoldMailing { mailing: *mailing, batches: SWEEP_BATCHES });
    }
    for mailing in &roster.folded {
        let Some(until) = kept_until(source, *mailing, retention_ms)? else {
            continue;
        };
        if until <= now {
            actions.push(Action::PurgeMailing { mailing: *mailing, batches: SWEEP_BATCHES });
            break;
        }
        *next = (*next).min(until);
    }
    Ok(())
}

/// Until when a mailing's messages are kept; a deleted one's not at all.
fn kept_until<S: Source>(
    source: &S,
    mailing: MailingNumber,
    retention_ms: i64,
) -> Result<Option<Timestamp>, Error> {
    let record = work::record(source, mailing)?;
    Ok(record.map(|record| match (record.deleted_at, record.settled_at) {
        (None, Some(settled)) => settled.plus_millis(retention_ms),
        _ => Timestamp::default(),
    }))
}
