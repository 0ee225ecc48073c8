//! The terms of a lease, and the decision whether one of its messages may be begun (rule 8).
//!
//! Slots read the terms for each message while the postman renews them four times a second. So the
//! terms of a moment never change: new ones replace them behind one pointer, and a reader sees either
//! the old or the new, never a part of each.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use notty_storage::{
    Timestamp,
    model::{LeaseId, MailingNumber, MessageId, Phone},
    rules,
};

use super::{desk::Terms, journal::SendToken};
use crate::receipts::{ReceiptBase, ReceiptSignature};

/// Maximum age of the view of pauses, ends and deletions under which a message may be begun.
pub(super) const VIEW_AGE: Duration = Duration::from_secs(1);
/// The part of a lease that must be left after the gateway's time, for reporting.
pub(super) const MARGIN: Duration = Duration::from_millis(500);

/// The mailing of a lease.
#[derive(Clone, Debug)]
pub(super) struct LeasedMailing {
    pub(super) number: MailingNumber,
    /// Empty if it is not known.
    pub(super) id: String,
    /// The text of its messages.
    pub(super) text: Arc<str>,
    /// The part that the addresses for receipts share, where any are asked for.
    pub(super) receipts: Option<ReceiptBase>,
}

impl LeasedMailing {
    /// A mailing of which nothing is sent.
    pub(super) fn unsent(number: MailingNumber) -> Self {
        Self {
            number,
            id: String::new(),
            text: "".into(),
            receipts: None,
        }
    }
}

/// The part of a lease that all of its messages share. Aligned, so that it is not on the cache line of
/// its count of references, which changes with each message.
#[repr(align(128))]
pub(super) struct SharedLease {
    pub(super) lease: LeaseId,
    pub(super) mailing: MailingNumber,
    /// Id of the mailing, for logs; empty if it is not known.
    pub(super) mailing_id: String,
    /// The text of its messages.
    pub(super) text: Arc<str>,
    /// The part that the addresses for receipts share, where any are asked for.
    receipts: Option<ReceiptBase>,
    /// The end of the lease, since the machine started.
    pub(super) ends: Duration,
    /// The end of the mailing by the latest terms, in milliseconds since 1970: requests may name it.
    mailing_ends_ms: AtomicI64,
    terms: ArcSwap<LeaseTerms>,
}

impl SharedLease {
    pub(super) fn new(
        lease: LeaseId,
        mailing: LeasedMailing,
        ends: Duration,
        terms: LeaseTerms,
    ) -> Arc<Self> {
        let mailing_ends_ms = AtomicI64::new(terms.mailing.ends_at.as_millis());
        // Each renewal replaces them as a whole.
        let terms = ArcSwap::from_pointee(terms);

        Arc::new(Self {
            lease,
            mailing: mailing.number,
            mailing_id: mailing.id,
            text: mailing.text,
            receipts: mailing.receipts,
            ends,
            mailing_ends_ms,
            terms,
        })
    }

    /// The end of the mailing.
    pub(super) fn mailing_ends_at(&self) -> Timestamp {
        Timestamp::from_millis(self.mailing_ends_ms.load(Ordering::Relaxed))
    }

    /// Replaces the terms by those of a later look. Messages that were dropped once stay dropped.
    pub(super) fn renew(&self, asked_at: Duration, mailing: Terms, dropped: &[u32]) {
        let ends_ms = mailing.ends_at.as_millis();
        // A mailing that is over has no end in its terms. Slots read beside the number: it is written
        // only if it changed.
        if ends_ms > 0 && self.mailing_ends_ms.load(Ordering::Relaxed) != ends_ms {
            self.mailing_ends_ms.store(ends_ms, Ordering::Relaxed);
        }
        // The postman alone renews: nothing can come between reading and replacing.
        let renewed = self.terms.load().renewed(asked_at, mailing, dropped);
        self.terms.store(Arc::new(renewed));
    }
}

/// The terms of a lease as one look has shown them. They never change.
#[derive(Clone, Debug)]
pub(super) struct LeaseTerms {
    /// The time of the question, not of its answer: all that happened later may be missing.
    asked_at: Duration,
    mailing: Terms,
    /// Positions of messages that a look has dropped: their customers were deleted, or a receipt has settled
    /// them.
    dropped: Arc<HashSet<u32>>,
}

impl LeaseTerms {
    /// Terms that were asked for at a time.
    pub(super) fn new(asked_at: Duration, mailing: Terms) -> Self {
        Self {
            asked_at,
            mailing,
            dropped: Arc::default(),
        }
    }

    fn renewed(&self, asked_at: Duration, mailing: Terms, dropped: &[u32]) -> Self {
        let mut all_dropped = self.dropped.clone();
        if !dropped.is_empty() {
            Arc::make_mut(&mut all_dropped).extend(dropped);
        }
        Self {
            asked_at,
            mailing,
            dropped: all_dropped,
        }
    }

    /// Age of these terms. A view of the cluster that was asked for before the lease came shows nothing
    /// of it.
    fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.asked_at)
    }

    /// True if mailing, window and customer allow a message at a time.
    fn allow(&self, job: &Job, wall: Timestamp) -> bool {
        let Terms {
            open,
            ends_at,
            window,
            closes,
        } = &self.mailing;
        let is_too_late = job.repeat_until.is_some_and(|until| until < wall);
        if !open || wall >= *ends_at || is_too_late {
            return false;
        }
        // Usually empty, which costs a comparison.
        if self.dropped.contains(&job.id.position) {
            return false;
        }

        let is_open_in_zone = |(zone, at): &(u16, Timestamp)| *zone == job.zone && wall < *at;
        window.is_none() || closes.iter().any(is_open_in_zone)
    }
}

/// A message to be sent.
pub(super) struct Job {
    pub(super) lease: Arc<SharedLease>,
    pub(super) id: MessageId,
    pub(super) phone: Phone,
    pub(super) attempt: u16,
    pub(super) tries: u16,
    pub(super) zone: u16,
    /// End of the time in which it may go out, if its gateway may have it already.
    pub(super) repeat_until: Option<Timestamp>,
    /// The signature of its address for receipts, if any are asked for.
    pub(super) receipt: Option<ReceiptSignature>,
}

impl Job {
    /// The address for receipts of the message; empty where none are asked for.
    pub(super) fn receipt_url(&self) -> String {
        let asked = self.lease.receipts.as_ref().zip(self.receipt.as_ref());
        asked.map_or_else(String::new, |(base, signature)| {
            base.url(self.id, signature)
        })
    }

    pub(super) fn token(&self) -> SendToken {
        SendToken {
            n: self.lease.lease.n,
            mailing: self.lease.mailing,
            position: self.id.position,
            attempt: self.attempt,
        }
    }
}

/// The circumstances in which a message would be begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    /// Time since the machine started.
    pub(super) now: Duration,
    /// Time by the wall clock.
    pub(super) wall: Timestamp,
    /// The longest time that sending may still take.
    pub(super) needs: Duration,
    /// Age of the view of the cluster.
    pub(super) view_age: Duration,
    pub(super) clocks_agree: bool,
    pub(super) is_stopping: bool,
}

/// Decides rule 8: true if a message may be begun.
pub(super) fn may_begin(job: &Job, at: &Circumstances) -> bool {
    let terms = job.lease.terms.load();
    !at.is_stopping
        && at.now + at.needs + MARGIN < job.lease.ends
        && rules::is_fresh(at.view_age.max(terms.age(at.now)), VIEW_AGE)
        && at.clocks_agree
        && terms.allow(job, at.wall)
}

#[cfg(test)]
mod tests {
    use notty_storage::model::{Epoch, SendWindow};

    use super::*;

    const MAILING: MailingNumber = MailingNumber(1);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// Terms of a mailing that ends at 1,000.
    fn open() -> Terms {
        Terms {
            open: true,
            ends_at: at(1_000),
            ..Terms::default()
        }
    }

    /// A message of a lease that ends after a minute, with terms of the tenth second.
    fn job(mailing: Terms) -> Job {
        let lease = LeaseId {
            epoch: Epoch(1),
            n: 1,
        };
        let terms = LeaseTerms::new(seconds(10), mailing);
        Job {
            lease: SharedLease::new(lease, LeasedMailing::unsent(MAILING), seconds(60), terms),
            id: MessageId {
                mailing: MAILING,
                position: 7,
            },
            phone: Phone::parse("+79161112233").expect("a phone number"),
            attempt: 1,
            tries: 0,
            zone: 3,
            repeat_until: None,
            receipt: None,
        }
    }

    fn good() -> Circumstances {
        Circumstances {
            now: seconds(10),
            wall: at(500),
            needs: seconds(12),
            view_age: Duration::ZERO,
            clocks_agree: true,
            is_stopping: false,
        }
    }

    #[test]
    fn each_circumstance_holds_a_message_back_by_itself() {
        let job = job(open());
        assert!(may_begin(&job, &good()));

        let bad = [
            Circumstances {
                is_stopping: true,
                ..good()
            },
            Circumstances {
                clocks_agree: false,
                ..good()
            },
            // The view of the cluster is old.
            Circumstances {
                view_age: VIEW_AGE + Duration::from_nanos(1),
                ..good()
            },
            // The lease's own terms are old.
            Circumstances {
                now: seconds(11) + Duration::from_nanos(1),
                ..good()
            },
            // What is left of the lease is just not enough.
            Circumstances {
                needs: seconds(50) - MARGIN,
                ..good()
            },
            // The mailing is over.
            Circumstances {
                wall: at(1_000),
                ..good()
            },
        ];
        for at in bad {
            assert!(!may_begin(&job, &at), "{at:?}");
        }
    }

    #[test]
    fn a_window_allows_the_zones_in_which_it_is_open_until_it_closes() {
        let in_zone = |zone, until| Terms {
            window: SendWindow::parse("09:00", "21:00").ok(),
            closes: vec![(zone, at(until))],
            ..open()
        };
        assert!(may_begin(&job(in_zone(3, 501)), &good()));
        assert!(!may_begin(&job(in_zone(3, 500)), &good()));
        assert!(!may_begin(&job(in_zone(4, 501)), &good()));
    }

    #[test]
    fn a_message_in_doubt_goes_out_again_only_while_its_gateway_remembers_it() {
        for (until, may_go) in [(499, false), (500, true)] {
            let mut job = job(open());
            job.repeat_until = Some(at(until));
            assert_eq!(may_begin(&job, &good()), may_go, "until {until}");
        }
    }

    #[test]
    fn a_message_that_was_dropped_stays_dropped_when_terms_are_renewed() {
        let job = job(open());
        job.lease.renew(seconds(10), open(), &[6, 7]);
        assert!(!may_begin(&job, &good()));
        job.lease.renew(seconds(10), open(), &[]);
        assert!(!may_begin(&job, &good()));
    }

    #[test]
    fn a_mailing_that_is_paused_is_open_again_when_a_look_shows_it() {
        let job = job(open());
        job.lease.renew(seconds(10), Terms::default(), &[]);
        assert!(!may_begin(&job, &good()));
        job.lease.renew(seconds(10), open(), &[]);
        assert!(may_begin(&job, &good()));
    }
}
