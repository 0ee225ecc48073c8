//! What may have been sent, told from commands and answers alone, and what must follow from it.
//!
//! The model keeps every token that was granted and what was said of it. It knows nothing of
//! batches, heads or counts; those are added up elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use notty_storage::{
    Rejection, Reply, Timestamp,
    command::{Grant, Report, Reported},
    model::{Epoch, LeaseId, MailingNumber, Run, SendResult, Status},
    records::MailingRecord,
};

use super::receipts::Heard;
use crate::common::{Census, Checked, census::Seen, ensure};

/// A message: its mailing and position.
pub(crate) type Message = (MailingNumber, u32);

/// The time, and the same without what people set it by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) at: Timestamp,
    pub(crate) steady: Timestamp,
}

/// One grant of one message.
#[derive(Clone, Debug)]
struct Token {
    /// Since when it may be sent.
    granted_at: Timestamp,
    /// What was said of it first.
    first: Option<SendResult>,
}

/// Why a message may have been taken although it was handed back.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    gateway: u64,
    /// When the first attempt in doubt was granted.
    since: Timestamp,
    until: Option<Timestamp>,
}

/// Everything that was granted and said.
#[derive(Default)]
pub(crate) struct Model {
    /// Tokens of each message, by attempt.
    tokens: BTreeMap<Message, BTreeMap<u16, Token>>,
    /// What each lease was granted.
    pub(crate) leases: BTreeMap<LeaseId, (MailingNumber, Vec<Run>)>,
    doubts: BTreeMap<Message, Doubt>,
    /// Where each start sends, and for how long it repeats there.
    pub(crate) declared: BTreeMap<Epoch, (u64, Option<u64>)>,
    customers: BTreeMap<(MailingNumber, u32), u32>,
    statuses: BTreeMap<Message, Status>,
    /// What messages of a life before the last restore are for ever.
    settled: BTreeMap<Message, Status>,
    /// Messages whose customers were deleted while they were under way: they do not come back.
    forsaken: BTreeSet<Message>,
    /// The deliveries that receipts have named.
    pub(crate) heard: Heard,
    /// The highest epoch before the last restore.
    over: Epoch,
    /// The steady time at which the time was set last.
    set: Option<Timestamp>,
}

/// The positions and attempts of runs.
pub(crate) fn each(runs: &[Run]) -> impl Iterator<Item = (u32, u16)> + '_ {
    runs.iter().flat_map(|run| {
        (run.first..run.first + u32::from(run.len)).map(|position| (position, run.attempt))
    })
}

impl Model {
    /// Whether a lease is of a life before a restore.
    pub(crate) fn is_over(&self, lease: LeaseId) -> bool {
        self.over > Epoch::default() && lease.epoch <= self.over
    }

    /// The time was set, at a steady time: how long ago anything before was is not known any more.
    pub(crate) fn time_was_set(&mut self, steady: Timestamp) {
        self.set = Some(steady);
    }

    /// The state began a new life: what was final is as it was, all else is in doubt, and no mailing
    /// goes on.
    pub(crate) fn restored(&mut self, before: &Census, after: &Census) -> Checked {
        let open = |record: &MailingRecord| record.settled_at.is_none();
        for (number, mailing) in &after.mailings {
            ensure(!open(&mailing.record) || mailing.record.held, || {
                format!("mailing {number} is neither held nor settled")
            })?;
        }
        let last = self.leases.last_key_value().map(|(id, _)| id.epoch);
        self.over = self.over.max(last.unwrap_or_default());
        for (mailing, seen) in before.all() {
            let final_now = if seen.status.is_final() {
                seen.status
            } else {
                Status::Unconfirmed
            };
            self.settled.insert((mailing, seen.position), final_now);
        }
        self.check(after)
    }

    /// Customers were deleted, perhaps: what is under way for them does not come back.
    pub(crate) fn deleted(&mut self, before: &Census, after: &Census) {
        let is_new =
            |customer| after.deleted.contains(customer) && !before.deleted.contains(customer);
        for (mailing, seen) in before.all() {
            let under_way = matches!(seen.status, Status::Sending | Status::Unconfirmed);
            let open = before.mailings[&mailing].record.settled_at.is_none();
            if under_way && open && is_new(&seen.customer) {
                self.forsaken.insert((mailing, seen.position));
            }
        }
    }

    /// A lease was granted: nothing in it may be on its way already, or have been taken.
    pub(crate) fn granted(
        &mut self,
        before: &Census,
        now: Now,
        grant: &Grant,
        runs: &[Run],
    ) -> Checked {
        if let Some((mailing, known)) = self.leases.get(&grant.lease) {
            let open = each(known).any(|(at, attempt)| before.is_unreported(*mailing, at, attempt));
            ensure(open, || {
                format!("closed lease {} was granted again", grant.lease)
            })?;
            return ensure(known == runs, || {
                format!("lease {} gave other messages", grant.lease)
            });
        }
        let record = &before.mailings[&grant.mailing].record;
        let may = record.is_running() && !record.paused && now.at < record.spec.end;
        ensure(may, || {
            format!("mailing {} grants while it must not", grant.mailing)
        })?;
        for (position, attempt) in each(runs) {
            let message = (grant.mailing, position);
            let seen = before.find(grant.mailing, position);
            let seen = seen.ok_or_else(|| format!("{message:?} is granted and is not there"))?;
            self.may_be_sent(before, now.steady, grant, seen)?;
            let tokens = self.tokens.entry(message).or_default();
            let last = tokens.last_key_value().map_or(0, |(attempt, _)| *attempt);
            ensure(attempt == last + 1, || {
                format!("{message:?} goes from {last} to {attempt}")
            })?;
            tokens.insert(
                attempt,
                Token {
                    granted_at: now.steady,
                    first: None,
                },
            );
        }
        self.leases
            .insert(grant.lease, (grant.mailing, runs.to_vec()));
        Ok(())
    }

    fn may_be_sent(&self, before: &Census, at: Timestamp, grant: &Grant, seen: &Seen) -> Checked {
        let message = (grant.mailing, seen.position);
        let due = seen.due.is_none_or(|due| due <= at);
        ensure(seen.status.is_ready() && due, || {
            format!("{message:?} is not ready: {seen:?}")
        })?;
        ensure(!before.deleted.contains(&seen.customer), || {
            format!("{message:?} goes to a deleted customer")
        })?;
        let open = grant
            .zones
            .as_ref()
            .is_none_or(|zones| zones.iter().any(|z| z.0 == seen.zone));
        ensure(open, || format!("{message:?} is in a closed zone"))?;
        if let Some(doubt) = self.doubts.get(&message) {
            let declared = self.declared.get(&grant.lease.epoch);
            let may_now = declared.is_some_and(|(gateway, repeat_ms)| {
                let in_time = |ms: u64| at <= doubt.since.plus_millis(ms as i64);
                *gateway == doubt.gateway && repeat_ms.is_some_and(in_time)
            });
            let known = self.set.is_none_or(|set| doubt.since > set);
            let again = known && may_now && doubt.until.is_some_and(|until| at <= until);
            ensure(again && doubt.gateway == grant.gateway, || {
                format!("{message:?} may have been taken, and is granted: {doubt:?}, {declared:?}")
            })?;
        }
        for (attempt, token) in self.tokens.get(&message).into_iter().flatten() {
            let back = token.first.is_some_and(is_way_back);
            ensure(back, || {
                format!("{message:?} is granted beside {attempt}: {token:?}")
            })?;
        }
        Ok(())
    }

    /// A report was answered: the answer and what became of each message must fit.
    pub(crate) fn reported(
        &mut self,
        before: &Census,
        after: &Census,
        now: Now,
        report: &Report,
        outcome: &Result<Reply, Rejection>,
    ) -> Checked {
        let own = self
            .leases
            .get(&report.lease)
            .filter(|(mailing, _)| *mailing == report.mailing);
        let known = own.is_some();
        let own = own
            .map(|(_, runs)| each(runs).collect::<Vec<_>>())
            .unwrap_or_default();
        let tokens = report.results.iter().flat_map(|(result, runs)| {
            each(runs).map(move |(position, attempt)| (position, attempt, *result))
        });
        let tokens: Vec<_> = tokens.collect();
        let fits = known
            && tokens
                .iter()
                .all(|(at, attempt, _)| own.contains(&(*at, *attempt)));
        if self.is_over(report.lease) {
            let ignored = matches!(
                outcome,
                Ok(Reply::Reported(Reported { accepted: 0, conflicts, .. })) if conflicts.is_empty()
            );
            return ensure(ignored, || {
                format!("a life that is over was heard: {outcome:?}")
            });
        }
        let (accepted, conflicts) = match outcome {
            Ok(Reply::Reported(Reported {
                accepted,
                conflicts,
                ..
            })) => (*accepted, conflicts.len()),
            Err(_) if !fits || !before.mailings.contains_key(&report.mailing) => return Ok(()),
            other => return Err(format!("a fitting report was answered {other:?}")),
        };
        let (mut first, mut others) = (0, 0..0);
        for (position, attempt, result) in tokens {
            match self.say(before, now, report, (position, attempt), result) {
                Said::First(expected) => {
                    first += 1;
                    let found = after.find(report.mailing, position).map(|seen| seen.status);
                    ensure(found == expected, || {
                        format!("{position} became {found:?}, not {expected:?}")
                    })?;
                }
                Said::Again => {}
                Said::Otherwise => others = others.start + 1..others.end + 1,
                Said::PerhapsOtherwise => others.end += 1,
            }
        }
        ensure(accepted == first, || {
            format!("{accepted} accepted, not {first}")
        })?;
        ensure((others.start..=others.end).contains(&conflicts), || {
            format!("{conflicts} conflicts, not {others:?}")
        })
    }

    /// Takes one token's report, and says what must become of its message.
    fn say(
        &mut self,
        before: &Census,
        now: Now,
        report: &Report,
        (position, attempt): (u32, u16),
        result: SendResult,
    ) -> Said {
        let message = (report.mailing, position);
        let Some(seen) = before.find(report.mailing, position) else {
            return Said::Again;
        };
        let tokens = self.tokens.entry(message).or_default();
        let last = tokens.last_key_value().map(|(attempt, _)| *attempt);
        let Some(token) = tokens.get_mut(&attempt) else {
            return Said::Otherwise;
        };
        let Some(first) = token.first else {
            token.first = Some(result);
            let granted_at = token.granted_at;
            self.doubt(message, report.gateway, (granted_at, now.steady), result);
            let expected = if self.heard.of(message) {
                Status::Done
            } else {
                self.settled(before, message, seen, result)
            };
            return Said::First(Some(expected));
        };
        if first.number() == result.number() {
            return Said::Again;
        }
        if result == SendResult::Done {
            let (gateway, since) = (report.gateway, now.steady);
            self.doubts.insert(
                message,
                Doubt {
                    gateway,
                    since,
                    until: None,
                },
            );
        }
        let forgotten = last != Some(attempt) && is_way_back(result);
        if forgotten {
            Said::PerhapsOtherwise
        } else {
            Said::Otherwise
        }
    }

    fn doubt(
        &mut self,
        message: Message,
        gateway: u64,
        (granted_at, steady): (Timestamp, Timestamp),
        result: SendResult,
    ) {
        let known = self.set.is_none_or(|set| granted_at > set);
        let (until, since) = match result {
            SendResult::Unsure => (None, steady),
            SendResult::UnsureRepeatable { repeat_ms, .. } => (
                known.then(|| granted_at.plus_millis(repeat_ms as i64)),
                granted_at,
            ),
            _ => return,
        };
        let new = Doubt {
            gateway,
            since,
            until,
        };
        let doubt = self.doubts.entry(message).or_insert(new);
        if until.is_none() || doubt.gateway != gateway {
            doubt.until = None;
        }
    }

    /// What a first report makes of a message, by how things are now.
    fn settled(
        &self,
        before: &Census,
        message: Message,
        seen: &Seen,
        result: SendResult,
    ) -> Status {
        match result {
            SendResult::Done => return Status::Done,
            // A refusal says nothing of an earlier try.
            SendResult::Invalid if self.doubts.contains_key(&message) => {
                return Status::Unconfirmed;
            }
            SendResult::Invalid => return Status::Invalid,
            SendResult::Unsure => return Status::Unconfirmed,
            _ => {}
        }
        let record = &before.mailings[&message.0].record;
        let stopped = record.cancelled_at.is_some() || record.deleted_at.is_some();
        let doubt = self.doubts.get(&message);
        let over = record.ended.is_some();
        // Also where the customer has come back since.
        let stopped = stopped || before.deleted.contains(&seen.customer);
        let stopped = stopped || self.forsaken.contains(&message);
        match doubt {
            Some(doubt) if stopped || over || doubt.until.is_none() => Status::Unconfirmed,
            _ if stopped => Status::Cancelled,
            _ if over => Status::Expired,
            None if result == SendResult::HandedBack => Status::Created,
            _ => Status::Failed,
        }
    }

    /// After any command: every message is where its tokens allow it, and came there by a way
    /// that the table of statuses has.
    pub(crate) fn check(&mut self, after: &Census) -> Checked {
        for (mailing, seen) in after.all() {
            let message = (mailing, seen.position);
            let position = *self
                .customers
                .entry((mailing, seen.customer))
                .or_insert(seen.position);
            ensure(position == seen.position, || {
                format!("customer {} has two messages of {mailing}", seen.customer)
            })?;
            self.heard.check(message, seen)?;
            self.fits_tokens(after, message, seen)?;
            if let Some(before) = self.statuses.insert(message, seen.status) {
                let by_receipt = self.heard.of(message) && seen.status == Status::Done;
                ensure(
                    before == seen.status || by_receipt || can_become(before, seen.status),
                    || format!("{message:?} went from {before:?} to {:?}", seen.status),
                )?;
            }
        }
        Ok(())
    }

    fn fits_tries(&self, message: Message, seen: &Seen) -> Checked {
        let tries = self.tokens.get(&message).map_or(0, |tokens| {
            let back = |token: &&Token| token.first != Some(SendResult::HandedBack);
            tokens.values().filter(back).count()
        });
        ensure(tries == usize::from(seen.tries), || {
            format!("{message:?} had {tries}: {seen:?}")
        })
    }

    fn fits_tokens(&self, after: &Census, message: Message, seen: &Seen) -> Checked {
        use Status::{Cancelled, Created, Done, Expired, Failed, Invalid, Sending, Unconfirmed};
        if self.heard.of(message) {
            return self.fits_tries(message, seen);
        }
        if let Some(settled) = self.settled.get(&message) {
            return ensure(seen.status == *settled, || {
                format!(
                    "{message:?} of a life before is {:?}, not {settled:?}",
                    seen.status
                )
            });
        }
        let last = self.tokens.get(&message).and_then(BTreeMap::last_key_value);
        let fits = match last.map(|(_, token)| token.first) {
            None => matches!(seen.status, Created | Expired | Cancelled),
            Some(None) => matches!(seen.status, Sending | Unconfirmed),
            Some(Some(SendResult::Done)) => seen.status == Done,
            // The doubt may have come before the refusal, or by a contradicting report after it.
            Some(Some(SendResult::Invalid)) if self.doubts.contains_key(&message) => {
                matches!(seen.status, Invalid | Unconfirmed)
            }
            Some(Some(SendResult::Invalid)) => seen.status == Invalid,
            Some(Some(SendResult::Unsure)) => seen.status == Unconfirmed,
            Some(Some(_)) => match self.doubts.get(&message) {
                Some(doubt) if doubt.until.is_none() => {
                    matches!(seen.status, Unconfirmed | Expired | Cancelled)
                }
                Some(_) => matches!(seen.status, Failed | Unconfirmed),
                None => matches!(seen.status, Created | Failed | Expired | Cancelled),
            },
        };
        ensure(fits, || format!("{message:?} is {seen:?} after {last:?}"))?;
        self.fits_tries(message, seen)?;
        let record = &after.mailings[&message.0].record;
        ensure(
            record.settled_at.is_none() || seen.status.is_final(),
            || format!("{message:?} is {:?} in a settled mailing", seen.status),
        )
    }
}

/// What a report of a token was, by the model.
enum Said {
    /// The first; the message must be in this status now.
    First(Option<Status>),
    /// The same as before, or of a message that is gone.
    Again,
    /// A conflict.
    Otherwise,
    /// A conflict, but of an attempt so old that the state need not know.
    PerhapsOtherwise,
}

/// Whether a result lets the message be sent again.
fn is_way_back(result: SendResult) -> bool {
    !matches!(
        result,
        SendResult::Done | SendResult::Invalid | SendResult::Unsure
    )
}

/// The table of statuses.
fn can_become(before: Status, after: Status) -> bool {
    use Status::{Cancelled, Created, Done, Expired, Failed, Invalid, Sending, Unconfirmed};
    match before {
        Created => matches!(after, Sending | Expired | Cancelled | Unconfirmed),
        Sending => after != Sending,
        Failed => matches!(after, Sending | Expired | Cancelled | Unconfirmed),
        Unconfirmed => after != Sending,
        Done | Invalid | Expired | Cancelled => false,
    }
}
