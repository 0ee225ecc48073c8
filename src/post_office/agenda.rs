//! What is due: pure decisions over the state and the time.

use std::{collections::BTreeSet, time::Duration};

use notty_storage::{
    Action, Error, Reader, Source, Timestamp,
    command::{
        EndMailing, Expand, ExpireLease, FoldMailing, PurgeMailing, StartMailing, SweepDeleted,
        SweepMailing, TrimChanges,
    },
    limits,
    model::{MailingNumber, Status},
    query::{
        self,
        work::{self, OpenMailing},
    },
    records::{Cursor, Numbers, TimeSetting},
};

use crate::zones::Zones;

/// Customers that one expansion looks at, at most: an entry's budget.
const SCAN: u32 = limits::ENTRY_CUSTOMERS;
/// Batches that one sweep touches, at most: half of an entry's budget, so that grants and reports
/// find room beside it.
const SWEEP_BATCHES: u32 = limits::ENTRY_BATCHES / 2;
/// Customers and changes that are looked at once there are so many.
const GATHERED: u64 = limits::BATCH_MESSAGES as u64;
/// How long fewer wait for more after a mailing had caught up, in milliseconds; not so long that
/// they would miss its end.
const GATHER_MS: i64 = 1_000;
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
    let setting = query::time::setting(reader)?;
    let numbers = work::numbers(reader)?;
    for mailing in work::open_mailings(reader) {
        next = next.min(next_moment(mailing, now, &setting));
        actions.extend(due(mailing, now));
    }
    for lease in query::leases::open(reader)? {
        let expires_at = setting.time(lease.expires_at);
        if expires_at <= now {
            actions.push(Action::ExpireLease(ExpireLease { lease: lease.id }));
        } else {
            next = next.min(expires_at);
        }
    }
    for mailing in work::open_mailings(reader) {
        match expansion_due(mailing, &numbers, &setting) {
            Some(due) if due > now => next = next.min(due),
            Some(_) => {
                let wanted = wanted(reader, mailing, (now, &setting), policy)?;
                actions.extend((wanted > 0).then(|| expansion(mailing, wanted)));
            }
            None => {}
        }
        actions.extend(sweep(mailing));
    }
    if work::has_unswept(reader)? {
        actions.push(Action::SweepDeleted(SweepDeleted {
            batches: SWEEP_BATCHES,
        }));
    }
    if work::has_passed_changes(reader)? {
        actions.push(Action::TrimChanges(TrimChanges {
            blocks: limits::TRIM_BLOCKS,
        }));
    }
    tidy(
        reader,
        (now, &setting),
        policy.retention_ms,
        &mut actions,
        &mut next,
    );
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
        Some(Action::EndMailing(EndMailing { mailing: *number }))
    } else if record.started_at.is_none() && record.spec.start <= now {
        Some(Action::StartMailing(StartMailing { mailing: *number }))
    } else {
        None
    }
}

/// When something next happens to a mailing by the clock.
fn next_moment(mailing: &OpenMailing, now: Timestamp, setting: &TimeSetting) -> Timestamp {
    let spec = &mailing.record.spec;
    let due = work::next_due(mailing).map(|due| setting.time(due));
    let due = due.filter(|due| *due > now);
    let moments = [Some(spec.start), Some(spec.end), due];
    let later = moments.into_iter().flatten().filter(|moment| *moment > now);
    later.min().unwrap_or(now.plus_millis(3_600_000))
}

/// When the customers and changes that a mailing has not looked at are due to be looked at. A few
/// that came after it had caught up wait for more, so that they do not make a batch each.
fn expansion_due(
    mailing: &OpenMailing,
    numbers: &Numbers,
    setting: &TimeSetting,
) -> Option<Timestamp> {
    let OpenMailing {
        record, progress, ..
    } = mailing;
    let stopped = record.cancelled_at.is_some() || record.deleted_at.is_some();
    let all = Cursor {
        customer: numbers.customers,
        change: numbers.changes,
    };
    let bounds = record.ended.map_or(all, |(_, bounds)| bounds);
    if record.started_at.is_none() || stopped || progress.has_passed(&bounds) {
        return None;
    }
    let cursor = progress.cursor;
    let left = u64::from(bounds.customer.saturating_sub(cursor.customer))
        + bounds.change.saturating_sub(cursor.change);
    match progress.caught_up_at {
        Some(at) if record.ended.is_none() && left < GATHERED => {
            let at = setting.time(at);
            Some(
                at.plus_millis(GATHER_MS)
                    .min(record.spec.end.plus_millis(-GATHER_MS)),
            )
        }
        _ => Some(Timestamp::default()),
    }
}

/// How many messages a mailing that is due to look at customers lacks.
fn wanted(
    reader: &Reader<'_>,
    mailing: &OpenMailing,
    (now, setting): (Timestamp, &TimeSetting),
    policy: &Policy<'_>,
) -> Result<u64, Error> {
    let record = &mailing.record;
    if record.ended.is_some() {
        return Ok(u64::MAX);
    }
    if record.paused || record.spec.end <= now {
        return Ok(0);
    }
    let zones = record
        .spec
        .send_window
        .as_ref()
        .map(|window| policy.zones.open(window, now));
    // Where it is night everywhere nothing counts as ready, and the mailing would be expanded whole.
    if zones.as_ref().is_some_and(Vec::is_empty) {
        return Ok(0);
    }
    if policy.barren.contains(&mailing.number) {
        return Ok(1);
    }
    let steady = setting.steady(now);
    let ready = work::ready(reader, mailing, zones.as_deref(), steady, policy.ahead)?;
    Ok(policy.ahead.saturating_sub(ready))
}

/// Expands so many messages in whole batches, as far as one command may.
fn expansion(mailing: &OpenMailing, wanted: u64) -> Action {
    let most = limits::EXPAND_MESSAGES as u64;
    let limit = wanted
        .min(most)
        .next_multiple_of(limits::BATCH_MESSAGES as u64);
    Action::Expand(Expand {
        mailing: mailing.number,
        cursor: mailing.progress.cursor,
        scan: SCAN,
        limit: limit as u16,
    })
}

/// Settles what waits in a mailing that is over.
fn sweep(mailing: &OpenMailing) -> Option<Action> {
    let counts = &mailing.progress.counts;
    let waiting = counts.of(Status::Created) + counts.of(Status::Failed);
    let sweep = Action::SweepMailing(SweepMailing {
        mailing: mailing.number,
        batches: SWEEP_BATCHES,
    });
    (mailing.record.is_over() && waiting > 0).then_some(sweep)
}

/// Folds settled mailings, and drops what retention lets go.
fn tidy<S: Source>(
    source: &S,
    (now, setting): (Timestamp, &TimeSetting),
    retention_ms: i64,
    actions: &mut Vec<Action>,
    next: &mut Timestamp,
) {
    // One at a time: tidying must not crowd out sending.
    if let Some(mailing) = work::next_settled(source) {
        let (batches, blocks) = (SWEEP_BATCHES, limits::FOLD_BLOCKS);
        actions.push(Action::FoldMailing(FoldMailing {
            mailing,
            batches,
            blocks,
        }));
    }
    if let Some((since, mailing)) = work::oldest_folded(source) {
        // Those of a deleted mailing are not kept at all.
        let until = if since == Timestamp::default() {
            since
        } else {
            setting.time(since).plus_millis(retention_ms)
        };
        if until <= now {
            actions.push(Action::PurgeMailing(PurgeMailing {
                mailing,
                batches: SWEEP_BATCHES,
            }));
        } else {
            *next = (*next).min(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use notty_storage::{
        limits::MAILING_BATCHES,
        model::{Filter, MailingId, MailingSpec},
        records::{MailingRecord, Progress},
    };

    use super::*;

    const END: i64 = 100_000;

    /// A mailing that started at 0 and stands at a customer.
    fn running(customer: u32, caught_up_ms: Option<i64>) -> OpenMailing {
        let spec = MailingSpec {
            desc: String::new(),
            text: "Hi".into(),
            start: Timestamp::default(),
            end: Timestamp::from_millis(END),
            tag_filter: Filter::default(),
            operator_filter: Filter::default(),
            phone_filter: Filter::default(),
            send_window: None,
        };
        let record = MailingRecord {
            id: MailingId::parse("m").expect("an id"),
            spec,
            created_at: Timestamp::default(),
            started_at: Some(Timestamp::default()),
            paused: false,
            held: false,
            ended: None,
            cancelled_at: None,
            deleted_at: None,
            settled_at: None,
        };
        let progress = Progress {
            cursor: Cursor {
                customer,
                change: 5,
            },
            caught_up_at: caught_up_ms.map(Timestamp::from_millis),
            ..Progress::default()
        };
        OpenMailing {
            number: MailingNumber(1),
            record: Arc::new(record),
            progress: Arc::new(progress),
        }
    }

    fn due_ms(mailing: &OpenMailing, customers: u32, changes: u64) -> Option<i64> {
        let numbers = Numbers {
            customers,
            changes,
            ..Numbers::default()
        };
        expansion_due(mailing, &numbers, &TimeSetting::default()).map(Timestamp::as_millis)
    }

    #[test]
    fn what_is_wanted_is_expanded_in_whole_batches_and_never_beyond_a_command() {
        let limit = |wanted| match expansion(&running(0, None), wanted) {
            Action::Expand(Expand { limit, .. }) => usize::from(limit),
            other => panic!("{other:?} expands nothing"),
        };
        assert_eq!(limit(1), limits::BATCH_MESSAGES);
        assert_eq!(
            limit(limits::BATCH_MESSAGES as u64 + 1),
            2 * limits::BATCH_MESSAGES
        );
        assert_eq!(limit(u64::MAX), limits::EXPAND_MESSAGES);
    }

    #[test]
    fn a_mailing_that_has_just_started_looks_at_once() {
        assert_eq!(due_ms(&running(0, None), 3, 5), Some(0));
    }

    #[test]
    fn a_few_that_come_later_are_gathered_for_a_second() {
        assert_eq!(due_ms(&running(3, Some(5_000)), 4, 5), Some(6_000));
        assert_eq!(due_ms(&running(3, Some(5_000)), 3, 6), Some(6_000));
        assert_eq!(due_ms(&running(3, Some(5_000)), 500, 504), Some(6_000));
    }

    #[test]
    fn many_that_come_later_are_looked_at_at_once() {
        assert_eq!(due_ms(&running(3, Some(5_000)), 503, 505), Some(0));
    }

    #[test]
    fn nobody_waits_beyond_the_end() {
        assert_eq!(
            due_ms(&running(3, Some(END - 1_500)), 4, 5),
            Some(END - 1_000)
        );
        let mut ended = running(3, Some(END - 10));
        let bounds = Cursor {
            customer: 4,
            change: 5,
        };
        Arc::make_mut(&mut ended.record).ended = Some((Timestamp::from_millis(END), bounds));
        assert_eq!(due_ms(&ended, 9, 9), Some(0));
    }

    #[test]
    fn nothing_is_due_where_nothing_is_left() {
        assert_eq!(due_ms(&running(3, Some(5_000)), 3, 5), None);
        let mut exhausted = running(3, None);
        Arc::make_mut(&mut exhausted.progress).batches = MAILING_BATCHES;
        assert_eq!(due_ms(&exhausted, 9_000, 5), None);
    }
}
