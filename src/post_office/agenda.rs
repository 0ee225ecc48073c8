//! The agenda: pure decisions about what is due, from the state and the time.
//!
//! Everything here only proposes. Apply checks each action again, because the state may have changed
//! until it is executed.

use std::{collections::BTreeSet, time::Duration};

use notty_storage::{
    Action, Error, Reader, Timestamp,
    command::{
        EndMailing, Expand, ExpireLease, FoldMailing, PurgeMailing, StartMailing, SweepDeleted,
        SweepMailing, TrimChanges,
    },
    limits,
    model::{MailingNumber, Status, ZoneNumber},
    query::{
        self,
        work::{self, OpenMailing},
    },
    records::{Cursor, Numbers, TimeSetting},
};

use crate::zones::Zones;

/// The most customers that one expansion looks at: the budget of an entry.
const SCAN: u32 = limits::ENTRY_CUSTOMERS;
/// The most batches that one sweep touches: half the budget of an entry, so that grants and reports
/// find room beside it.
const SWEEP_BATCHES: u32 = limits::ENTRY_BATCHES / 2;
/// New customers and changes that are enough for a look at them without waiting for more.
const GATHERED: u64 = limits::BATCH_MESSAGES as u64;
/// Time for which fewer wait for more, after a mailing had caught up, in milliseconds.
const GATHER_MS: i64 = 1_000;
/// The most actions of one look; the rest follows with the next one.
const ACTIONS: usize = 64;
/// The longest time until the next look, in milliseconds, if nothing is due by the clock.
const HOUR_MS: i64 = 3_600_000;

/// The knowledge by which it is decided what is due.
pub struct AgendaPolicy<'a> {
    /// Messages to have ready in each mailing.
    pub ahead: u64,
    /// Mailings whose last grant found nothing: messages that seem ready in them cannot be sent.
    pub barren: &'a BTreeSet<MailingNumber>,
    /// Time for which messages of finished mailings are kept, in milliseconds.
    pub retention_ms: i64,
    /// The time zones of the state.
    pub zones: &'a Zones,
}

/// The actions to propose now, and the time until more is due.
#[derive(Debug)]
pub struct Agenda {
    /// Actions in the order of importance.
    pub actions: Vec<Action>,
    /// Time until something is due by the clock.
    pub wait: Duration,
}

/// An agenda in the making.
struct Draft<'a> {
    reader: &'a Reader<'a>,
    now: Timestamp,
    /// Translates times of records, which a set clock does not change, into times of day.
    setting: TimeSetting,
    policy: &'a AgendaPolicy<'a>,
    actions: Vec<Action>,
    /// The earliest time at which something is due that is not due now.
    next: Timestamp,
}

/// Decides what is due. The order of the calls is the order of importance: actions beyond the limit
/// are left for the next look.
pub fn draw_up(
    reader: &Reader<'_>,
    now: Timestamp,
    policy: &AgendaPolicy<'_>,
) -> Result<Agenda, Error> {
    let mut draft = Draft {
        reader,
        now,
        setting: query::time::setting(reader)?,
        policy,
        actions: Vec::new(),
        next: now.plus_millis(HOUR_MS),
    };

    draft.start_and_end();
    draft.expire_leases()?;
    draft.expand_and_sweep()?;
    draft.clean_up_customers()?;
    draft.fold();
    draft.purge();

    draft.actions.truncate(ACTIONS);
    let wait_ms = draft.next.since(now).max(1) as u64;
    Ok(Agenda {
        actions: draft.actions,
        wait: Duration::from_millis(wait_ms),
    })
}

impl Draft<'_> {
    fn start_and_end(&mut self) {
        for mailing in work::open_mailings(self.reader) {
            let moment = next_moment(mailing, self.now, &self.setting);
            self.next = self.next.min(moment);
            self.actions.extend(due(mailing, self.now));
        }
    }

    fn expire_leases(&mut self) -> Result<(), Error> {
        for lease in query::leases::open(self.reader)? {
            let expires_at = self.setting.time(lease.expires_at);
            if expires_at <= self.now {
                self.actions
                    .push(Action::ExpireLease(ExpireLease { lease: lease.id }));
            } else {
                self.next = self.next.min(expires_at);
            }
        }
        Ok(())
    }

    fn expand_and_sweep(&mut self) -> Result<(), Error> {
        let numbers = work::numbers(self.reader)?;
        for mailing in work::open_mailings(self.reader) {
            if let Some(due) = expansion_due(mailing, &numbers, &self.setting) {
                self.expand(mailing, due)?;
            }
            self.actions.extend(sweep(mailing));
        }
        Ok(())
    }

    fn expand(&mut self, mailing: &OpenMailing, due: Timestamp) -> Result<(), Error> {
        if due > self.now {
            self.next = self.next.min(due);
            return Ok(());
        }
        let wanted = self.wanted(mailing)?;
        if wanted > 0 {
            self.actions.push(expansion(mailing, wanted));
        }
        Ok(())
    }

    /// Cancels messages of deleted customers, and drops changes that all mailings have passed.
    fn clean_up_customers(&mut self) -> Result<(), Error> {
        if work::has_unswept(self.reader)? {
            self.actions.push(Action::SweepDeleted(SweepDeleted {
                batches: SWEEP_BATCHES,
            }));
        }
        if work::has_passed_changes(self.reader)? {
            self.actions.push(Action::TrimChanges(TrimChanges {
                blocks: limits::TRIM_BLOCKS,
            }));
        }
        Ok(())
    }

    /// Folds a settled mailing. One at a time, because tidying must not crowd out sending.
    fn fold(&mut self) {
        if let Some(mailing) = work::next_settled(self.reader) {
            self.actions.push(Action::FoldMailing(FoldMailing {
                mailing,
                batches: SWEEP_BATCHES,
                blocks: limits::FOLD_BLOCKS,
            }));
        }
    }

    /// Purges the mailing that was folded longest ago, if its retention has ended.
    fn purge(&mut self) {
        let Some((since, mailing)) = work::oldest_folded(self.reader) else {
            return;
        };

        let until = self.kept_until(since);
        if until <= self.now {
            self.actions.push(Action::PurgeMailing(PurgeMailing {
                mailing,
                batches: SWEEP_BATCHES,
            }));
        } else {
            self.next = self.next.min(until);
        }
    }

    /// Time until which the messages of a mailing are kept that was folded at a time.
    fn kept_until(&self, folded_at: Timestamp) -> Timestamp {
        // A deleted mailing is listed under the beginning of time: its messages are not kept.
        if folded_at == Timestamp::default() {
            return folded_at;
        }
        let time = self.setting.time(folded_at);
        time.plus_millis(self.policy.retention_ms)
    }

    /// Number of messages that a mailing lacks, which is due to look at customers.
    fn wanted(&self, mailing: &OpenMailing) -> Result<u64, Error> {
        let record = &mailing.record;
        if record.ended.is_some() {
            // The list of those who were not reached must be complete.
            return Ok(u64::MAX);
        }
        if record.paused || record.spec.end <= self.now {
            return Ok(0);
        }

        let zones = self.open_zones(mailing);
        // Where it is night everywhere nothing counts as ready, and the mailing would be expanded whole.
        if zones.as_ref().is_some_and(Vec::is_empty) {
            return Ok(0);
        }
        if self.policy.barren.contains(&mailing.number) {
            return Ok(1);
        }

        let ahead = self.policy.ahead;
        let steady = self.setting.steady(self.now);
        let ready = work::ready(self.reader, mailing, zones.as_deref(), steady, ahead)?;
        Ok(ahead.saturating_sub(ready))
    }

    /// The zones in which a mailing may send now; `None` means all.
    fn open_zones(&self, mailing: &OpenMailing) -> Option<Vec<ZoneNumber>> {
        let window = mailing.record.spec.send_window.as_ref()?;
        Some(self.policy.zones.open(window, self.now))
    }
}

/// Starts or ends a mailing whose time has come.
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

/// Time at which something next happens to a mailing by the clock.
fn next_moment(mailing: &OpenMailing, now: Timestamp, setting: &TimeSetting) -> Timestamp {
    let spec = &mailing.record.spec;
    let retry = work::next_due(mailing).map(|due| setting.time(due));
    let moments = [Some(spec.start), Some(spec.end), retry];
    let later = moments.into_iter().flatten().filter(|moment| *moment > now);
    later.min().unwrap_or(now.plus_millis(HOUR_MS))
}

/// Time at which a mailing is due to look at new customers and changes; `None` if there are none. A
/// few that came after it had caught up wait for more, so that they do not make a batch each.
fn expansion_due(
    mailing: &OpenMailing,
    numbers: &Numbers,
    setting: &TimeSetting,
) -> Option<Timestamp> {
    let OpenMailing {
        record, progress, ..
    } = mailing;
    let bounds = record.bounds(numbers, &progress.cursor);
    let is_stopped = record.cancelled_at.is_some() || record.deleted_at.is_some();
    if record.started_at.is_none() || is_stopped || progress.has_passed(&bounds) {
        return None;
    }

    match progress.caught_up_at {
        Some(at) if record.ended.is_none() && left(&progress.cursor, &bounds) < GATHERED => {
            Some(gathered_at(setting.time(at), record.spec.end))
        }
        _ => Some(Timestamp::default()),
    }
}

/// Time until which a few customers wait for more.
fn gathered_at(caught_up_at: Timestamp, end: Timestamp) -> Timestamp {
    let gathered = caught_up_at.plus_millis(GATHER_MS);
    // Not so long that they would miss the end of the mailing.
    gathered.min(end.plus_millis(-GATHER_MS))
}

/// Number of customers and changes between a mailing's cursor and its bounds.
fn left(cursor: &Cursor, bounds: &Cursor) -> u64 {
    let customers = bounds.customer.saturating_sub(cursor.customer);
    let changes = bounds.change.saturating_sub(cursor.change);
    u64::from(customers) + changes
}

/// Expands a mailing by a number of messages, rounded up to whole batches, as far as one command may.
fn expansion(mailing: &OpenMailing, wanted: u64) -> Action {
    let bounded = wanted.min(limits::EXPAND_MESSAGES as u64);
    let limit = bounded.next_multiple_of(limits::BATCH_MESSAGES as u64);
    Action::Expand(Expand {
        mailing: mailing.number,
        cursor: mailing.progress.cursor,
        scan: SCAN,
        limit: limit as u16,
    })
}

/// Settles the messages that wait in a mailing that is over.
fn sweep(mailing: &OpenMailing) -> Option<Action> {
    let counts = &mailing.progress.counts;
    let waiting = counts.of(Status::Created) + counts.of(Status::Failed);
    let sweep = Action::SweepMailing(SweepMailing {
        mailing: mailing.number,
        batches: SWEEP_BATCHES,
    });
    (mailing.record.is_over() && waiting > 0).then_some(sweep)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use notty_storage::{
        limits::MAILING_BATCHES,
        model::{AudienceSpan, Filter, MailingId, MailingSpec},
        records::{Begun, MailingRecord, Progress},
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
            audience: AudienceSpan::default(),
            unique_phones: false,
        };
        let record = MailingRecord {
            id: MailingId::parse("m").expect("an id"),
            spec,
            created_at: Timestamp::default(),
            started_at: Some(Timestamp::default()),
            begun: Begun::default(),
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
