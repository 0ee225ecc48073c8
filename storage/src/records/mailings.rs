//! Mailings: what was decided, the marks that time and people set, and how far each has come.

use serde::{Deserialize, Serialize};

use super::meta::Numbers;
use crate::limits::{BATCH_STRIDE_BITS, MAILING_BATCHES};
use crate::model::{
    AudienceSpan, Counts, DeliveryCounts, MailingId, MailingNumber, MailingSpec, MailingStatus,
    MessageId, Timestamp,
};

/// How far a mailing has looked at the customers.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Cursor {
    /// Customers below this number have been looked at.
    pub customer: u32,
    /// Changes below this number have been looked at.
    pub change: u64,
}

/// How far a mailing that has ended still looks: as far as there was something at its end.
pub type Bounds = Cursor;

/// The numbers that stood next when a mailing started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The next customer: those below it were there.
    pub customers: u32,
    /// The next phone that is given up: those below it were nobody's any more.
    pub phones: u64,
}

/// A mailing and its marks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailingRecord {
    /// Its id.
    pub id: MailingId,
    /// What its owner decided.
    pub spec: MailingSpec,
    /// When it was created.
    pub created_at: Timestamp,
    /// Set when its start came.
    pub started_at: Option<Timestamp>,
    /// The numbers that stood next when its start came.
    pub begun: Begun,
    /// Whether it was told to wait.
    pub paused: bool,
    /// Whether it comes from a backup and waits for its owner to accept duplicates: it is paused
    /// and looks at nobody until then.
    pub held: bool,
    /// Set when its end came, with how far it still looks.
    pub ended: Option<(Timestamp, Bounds)>,
    /// Set when it was told to stop for good.
    pub cancelled_at: Option<Timestamp>,
    /// Set when it was deleted: hidden from everyone.
    pub deleted_at: Option<Timestamp>,
    /// Set when nothing more can happen by itself: over, and every message final. A steady time: how
    /// long messages are kept follows from it.
    pub settled_at: Option<Timestamp>,
}

impl MailingRecord {
    /// How it stands, as people see it.
    pub fn status(&self) -> MailingStatus {
        if self.cancelled_at.is_some() {
            MailingStatus::Cancelled
        } else if self.settled_at.is_some() {
            MailingStatus::Finished
        } else if self.paused {
            MailingStatus::Paused
        } else if self.started_at.is_some() {
            MailingStatus::Active
        } else {
            MailingStatus::Scheduled
        }
    }

    /// Whether nothing more is to be sent: ended, cancelled or deleted.
    pub fn is_over(&self) -> bool {
        self.ended.is_some() || self.cancelled_at.is_some() || self.deleted_at.is_some()
    }

    /// Since which steady time its messages are kept for retention alone, once it is folded; those of a deleted
    /// mailing are not kept.
    pub fn kept_since(&self) -> Timestamp {
        match self.deleted_at {
            Some(_) => Timestamp::default(),
            None => self.settled_at.unwrap_or_default(),
        }
    }

    /// Whether it must learn of changes of customers: started and not over.
    pub fn is_running(&self) -> bool {
        self.started_at.is_some() && !self.is_over()
    }

    /// True if it may still have messages to make, be it to list somebody as expired.
    pub fn may_expand(&self) -> bool {
        let is_stopped = self.cancelled_at.is_some() || self.deleted_at.is_some();
        self.started_at.is_some() && !is_stopped && self.settled_at.is_none()
    }

    /// True if it is for those alone who match when it starts.
    pub fn is_at_start(&self) -> bool {
        self.spec.audience == AudienceSpan::AtStart
    }

    /// True if nobody can get a message of it any more who has none yet.
    pub fn looks_no_further(&self, progress: &Progress) -> bool {
        let is_bounded = self.ended.is_some() || self.is_at_start();
        // Neither bound depends on the numbers given so far.
        let bounds = self.bounds(&Numbers::default(), &progress.cursor);
        !self.may_expand() || is_bounded && progress.has_passed(&bounds)
    }

    /// The bounds of its looking, by the numbers given so far and its cursor.
    pub fn bounds(&self, numbers: &Numbers, cursor: &Cursor) -> Bounds {
        match self.ended {
            Some((_, bounds)) => bounds,
            None => self.bounds_now(numbers, cursor),
        }
    }

    /// The bounds of its looking if it ends now, or has not ended.
    pub fn bounds_now(&self, numbers: &Numbers, cursor: &Cursor) -> Bounds {
        if self.is_at_start() {
            // It learns of no change: what changes is decided when it does.
            Cursor {
                customer: self.begun.customers,
                change: cursor.change,
            }
        } else {
            Cursor {
                customer: numbers.customers,
                change: numbers.changes,
            }
        }
    }
}

/// A summary of the batches whose heads share a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Its number in the mailing.
    pub number: u32,
    /// Messages waiting for their first turn, or handed back.
    pub created: u32,
    /// Messages waiting for another try.
    pub failed: u32,
    /// Messages under a lease.
    pub sending: u32,
    /// No failed message is due before this steady time.
    pub due: Timestamp,
    /// The zones of created messages, as bits.
    pub created_zones: u64,
    /// The zones of failed messages, as bits.
    pub failed_zones: u64,
}

impl Block {
    /// Whether it holds messages that are not final.
    pub fn is_open(&self) -> bool {
        self.created + self.failed + self.sending > 0
    }

    /// Whether a grant at the steady time `at` for some zones, as bits, may find something here.
    pub fn is_ready(&self, at: Timestamp, zones: u64) -> bool {
        self.created_zones & zones != 0 || (self.failed_zones & zones != 0 && self.due <= at)
    }
}

/// How far a mailing has come. Read and written with every step of it, so it holds what is open
/// only: what a mailing has behind it must not make it slower.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Its messages by status.
    pub counts: Counts,
    /// How far it has looked at the customers.
    pub cursor: Cursor,
    /// The steady time at which it last came to the end of what there was to look at; none while
    /// there was more.
    pub caught_up_at: Option<Timestamp>,
    /// The next batch's number.
    pub batches: u32,
    /// Customers below this number may be in batches in the order of customers.
    pub reached: u32,
    /// Summaries of the blocks of heads that hold messages which are not final, in the order of
    /// their numbers.
    pub open: Vec<Block>,
    /// The batch at which grants begin to look, and since which steady time: where one opened as many batches
    /// in vain as it may, so that those do not hide what follows them.
    pub skip: Option<(u32, Timestamp)>,
    /// Batches whose messages were added to their customers' totals, from the first.
    pub folded: u32,
    /// Batches whose messages are gone, from the first.
    pub purged: u32,
    /// The next batch's number each time that it was resumed after a restore, and the number of a
    /// mailing that was given then: the ids of the messages of that batch and those after it have
    /// that number instead of the mailing's own.
    pub renumbered: Vec<(u32, MailingNumber)>,
    /// True if customers were deleted while messages to them were under way.
    pub forsaken: bool,
    /// True if customers changed after its start before it had looked at them, in a mailing for those
    /// who match then.
    pub decided: bool,
    /// Its messages by delivery.
    pub delivery: DeliveryCounts,
    /// Messages that receipts settled while they were under a lease, and whose postmen may not know it: they
    /// have reported nothing of them. May be too many, never too few.
    pub early: u32,
}

/// The position of a message in its mailing.
pub const fn position(batch: u32, index: usize) -> u32 {
    (batch << BATCH_STRIDE_BITS) | index as u32
}

/// The batch of a position, and the index there.
pub const fn address(position: u32) -> (u32, usize) {
    (
        position >> BATCH_STRIDE_BITS,
        (position & ((1 << BATCH_STRIDE_BITS) - 1)) as usize,
    )
}

impl Progress {
    /// Whether it has no positions left: nothing more is expanded.
    pub fn is_exhausted(&self) -> bool {
        self.batches >= MAILING_BATCHES
    }

    /// The id of a message of the mailing with a number.
    pub fn id(&self, mailing: MailingNumber, position: u32) -> MessageId {
        let (batch, _) = address(position);
        let earlier = self.renumbered.partition_point(|(from, _)| *from <= batch);
        let renumbered = self.renumbered[..earlier].last();
        MessageId {
            mailing: renumbered.map_or(mailing, |(_, number)| *number),
            position,
        }
    }

    /// Whether all below some bounds was looked at, or nothing more can be.
    pub fn has_passed(&self, bounds: &Bounds) -> bool {
        let looked = self.cursor.customer >= bounds.customer && self.cursor.change >= bounds.change;
        looked || self.is_exhausted()
    }

    /// Takes the summary of a block as it is now.
    pub fn summarise(&mut self, block: Block) {
        match (
            self.open
                .binary_search_by_key(&block.number, |open| open.number),
            block.is_open(),
        ) {
            (Ok(at), true) => self.open[at] = block,
            (Ok(at), false) => drop(self.open.remove(at)),
            (Err(at), true) => self.open.insert(at, block),
            (Err(_), false) => {}
        }
    }

    /// The first open block from a number on.
    pub fn open_from(&self, number: u32) -> Option<&Block> {
        self.open
            .get(self.open.partition_point(|open| open.number < number))
    }
}

/// How far the sweep in the order of customers had come with each of 256 blocks of heads, so that
/// the batch of a customer is found without reading them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaches {
    /// [`Progress::reached`] when the block was full, in the order of blocks.
    pub reached: Vec<u32>,
}

/// In which stage of its life a mailing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Nothing is left to do.
    #[default]
    Done,
    /// Not settled.
    Open,
    /// Settled; being added to its customers' totals.
    Settled,
    /// Added to its customers' totals; its messages wait for retention.
    Folded,
}

/// The stages of 256 mailings that follow each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stages {
    /// In the order of numbers.
    pub stages: Vec<Stage>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_expanded_after_a_restore_have_ids_of_another_number() {
        let of = MailingNumber;
        let renumbered = vec![(3, of(70)), (3, of(80)), (7, of(90))];
        let progress = Progress {
            batches: 9,
            renumbered,
            ..Progress::default()
        };
        let number = |batch| progress.id(of(1), position(batch, 5)).mailing.0;
        let numbers: Vec<_> = (0..9).map(number).collect();
        assert_eq!(numbers, [1, 1, 1, 80, 80, 80, 80, 90, 90]);
        let last = position(MAILING_BATCHES - 1, 999);
        assert_eq!(progress.id(of(1), last).position, last);
        assert_eq!(address(last), (MAILING_BATCHES - 1, 999));
    }
}
