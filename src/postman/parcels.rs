//! Leases that come, or fail to: the answers to a postman's asks.

use std::{collections::HashSet, time::Duration};

use notty_storage::{
    model::{MailingNumber, Run},
    query::leases::LeasedMessage,
};

use super::{
    Postman, PostmanError,
    asking::AGAIN,
    desk::{DeskError, Left, Parcel, Terms},
    floor::Settled,
    leases::LeaseInHand,
    reports::tokens,
    terms::{Job, LeaseTerms, LeasedMailing, SharedLease, VIEW_AGE},
};

/// Time before an ask after a lease that is too short for a single message.
const SHORT: Duration = Duration::from_secs(10);
/// Time before an ask after a lease of a halted mailing.
const HALTED: Duration = Duration::from_secs(1);

/// The messages that a lease holds and its parcel lacks: receipts have settled them. None is begun.
fn left_out(n: u64, mailing: MailingNumber, runs: &[Run], jobs: &[Job]) -> Vec<Settled> {
    let granted: usize = runs.iter().map(|run| usize::from(run.len)).sum();
    if granted == jobs.len() {
        return Vec::new();
    }
    let begun: HashSet<u32> = jobs.iter().map(|job| job.id.position).collect();
    tokens(n, mailing, runs)
        .filter(|token| !begun.contains(&token.position))
        .map(Settled::handed_back)
        .collect()
}

impl Postman {
    /// Takes in the answer to an ask; the lease runs from the first ask under its number.
    pub(super) fn take_parcel(
        &mut self,
        asked_at: Duration,
        answer: Result<Option<Parcel>, DeskError>,
        now: Duration,
    ) -> Result<(), PostmanError> {
        match answer {
            Ok(Some(parcel)) => {
                let rest = self.rest_after(parcel.mailing, now);
                self.asking.go_on(now + rest);
                self.accept(asked_at, parcel, now)?;
            }

            // Not now: the same number is asked for again.
            Ok(None) => {
                if self.asking.found_nothing(now) {
                    let work = self.outlet.sendable(now);
                    self.calls.wait(work, self.asking.seen());
                }
            }
            Err(DeskError::Unavailable(why)) => {
                tracing::debug!(why, "the postman's ask was not answered");
                self.asking.unanswered(now);
            }
            Err(DeskError::Refused(why)) => {
                tracing::warn!(why, lease.n = self.asking.next_n(), "a lease was refused");
                self.asking.refused(now);
            }

            // The lease has come and gone: its messages are known until the next one is asked for.
            Err(DeskError::Closed) => {
                self.asking.trace();
                self.calls.trace(Duration::ZERO);
            }
            Err(DeskError::Replaced) => return Err(PostmanError::Replaced),
            Err(DeskError::Forgotten) => return Err(PostmanError::Forgotten),
        }
        Ok(())
    }

    /// Begins the messages of a lease, or keeps them back until a look.
    fn accept(
        &mut self,
        asked_at: Duration,
        parcel: Parcel,
        now: Duration,
    ) -> Result<(), PostmanError> {
        let n = parcel.lease.n;
        // Before any message is begun: a later run believes only what was noted.
        self.journal.leased(n, parcel.mailing, &parcel.runs)?;
        let (base, signatures) = match parcel.receipts {
            Some(asked) => (Some(asked.base), asked.signatures),
            None => (None, Vec::new()),
        };
        let mailing = LeasedMailing {
            number: parcel.mailing,
            id: parcel.mailing_id,
            text: parcel.text,
            receipts: base,
        };
        let shared = SharedLease::new(
            parcel.lease,
            mailing,
            asked_at + parcel.ttl,
            LeaseTerms::new(asked_at, parcel.terms),
        );

        let mut signatures = signatures.into_iter();
        let job = |message: &LeasedMessage| Job {
            lease: shared.clone(),
            id: message.id,
            phone: message.phone,
            attempt: message.attempt,
            tries: message.tries,
            zone: message.zone.0,
            repeat_until: message.repeat_until,
            receipt: signatures.next(),
        };
        let jobs: Vec<_> = parcel.messages.iter().map(job).collect();
        let left_out = left_out(n, parcel.mailing, &parcel.runs, &jobs);

        let lease = LeaseInHand::new(
            shared.clone(),
            self.outlet.clone(),
            parcel.runs,
            jobs.len() + left_out.len(),
            now,
        );

        let lease = self.leases.add(n, lease);
        if self.outlet.halts.holds_mailing(shared.mailing, now) {
            self.floor.hand_back(&jobs);
            return Ok(());
        }

        lease.keep_back(jobs);
        // Reported with the others: the lease would stay open until its end.
        for settled in left_out {
            lease.take(settled);
        }
        if now.saturating_sub(asked_at) <= VIEW_AGE / 2 {
            lease.release();
        } else {
            // The answer took long: the mailing may have been paused or cancelled meanwhile.
            self.looking.hurry(now);
        }
        self.check_length(parcel.ttl, now);
        Ok(())
    }

    /// The time before the next ask after a lease of a mailing. One that is halted here should not have been
    /// granted: the leader is of an older version, or more are halted than an ask names. Each such lease uses
    /// up an attempt of its messages, so there is a rest after each.
    fn rest_after(&self, mailing: MailingNumber, now: Duration) -> Duration {
        if self.outlet.halts.holds_mailing(mailing, now) {
            HALTED
        } else {
            Duration::ZERO
        }
    }

    /// Complains of leases in which no message can be begun.
    fn check_length(&mut self, ttl: Duration, now: Duration) {
        let needs = self.outlet.least_lease();
        if ttl <= needs {
            tracing::error!(
                lease.ms = ttl.as_millis() as u64,
                "the leases of the cluster are too short for this postman's gateway timeouts \
                 ({} ms): it sends nothing; raise lease.ttl_ms on the nodes",
                needs.as_millis()
            );
            self.asking.rest(now + SHORT);
        }
    }

    /// Hands back the messages of a lease that ran out before its answer came: none was begun.
    pub(super) fn take_missed(
        &mut self,
        answer: Result<Vec<Left>, DeskError>,
        now: Duration,
    ) -> Result<(), PostmanError> {
        // The next number is not asked for before this is known.
        let Ok(left) = answer else {
            self.calls.trace(AGAIN);
            return Ok(());
        };

        let n = self.asking.next_n();
        self.asking.go_on(now + AGAIN);
        let Some(missed) = left.into_iter().find(|left| left.lease.n == n) else {
            tracing::warn!(lease.n = n, "a lease ran out before it was used");
            return Ok(());
        };

        self.journal.leased(n, missed.mailing, &missed.runs)?;
        let back: Vec<_> = tokens(n, missed.mailing, &missed.runs)
            .map(Settled::handed_back)
            .collect();
        tracing::warn!(
            lease.n = n,
            count = back.len(),
            "a lease ran out before its answer came: its messages are handed back unsent"
        );

        // Terms that allow nothing: its messages are reported, not sent.
        let terms = LeaseTerms::new(now, Terms::default());
        let mailing = LeasedMailing::unsent(missed.mailing);
        let shared = SharedLease::new(missed.lease, mailing, now, terms);
        let lease = LeaseInHand::new(shared, self.outlet.clone(), missed.runs, 0, now);
        self.leases.add(n, lease.settled_with(back));
        Ok(())
    }
}
