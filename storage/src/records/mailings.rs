//! Mailings: what was decided, the marks that time and people set, and how far each has come.

use serde::{Deserialize, Serialize};

use crate::limits::{BATCH_STRIDE_BITS, MAILING_BATCHES, RESTORED_BATCHES};
use crate::model::{Counts, MailingId, MailingSpec, MailingStatus, Timestamp};

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
    /// The next batch's number each time that it was resumed after a restore: from there on, batches
    /// lie 2^27 positions further.
    pub rises: Vec<u32>,
}

impl Progress {
    /// Whether it has no positions left: nothing more is expanded.
    pub fn is_exhausted(&self) -> bool {
        self.place(self.batches) >= MAILING_BATCHES
    }

    /// Where a batch lies among the positions of its mailing, in batches: its number, unless the
    /// mailing was resumed after a restore before it was expanded.
    pub fn place(&self, batch: u32) -> u32 {
        let rises = self.rises.partition_point(|rise| *rise <= batch) as u32;
        batch.saturating_add(rises.saturating_mul(RESTORED_BATCHES))
    }

    /// The number of the batch that lies at a place; none where none ever lies.
    pub fn batch_at(&self, place: u32) -> Option<u32> {
        let batch = self.batch_from(place);
        (self.place(batch) == place).then_some(batch)
    }

    /// The number of the first batch that lies at a place or behind it.
    pub fn batch_from(&self, place: u32) -> u32 {
        let mut from = 0;
        for (rise, risen) in self.rises.iter().zip(0u32..) {
            let batch = from.max(place.saturating_sub(risen * RESTORED_BATCHES));
            if batch < *rise {
                return batch;
            }
            from = *rise;
        }
        from.max(place.saturating_sub(self.rises.len() as u32 * RESTORED_BATCHES))
    }

    /// The position of a message.
    pub fn position(&self, batch: u32, index: usize) -> u32 {
        (self.place(batch) << BATCH_STRIDE_BITS) | index as u32
    }

    /// The batch of a position and the index there; none where no batch ever lies.
    pub fn address(&self, position: u32) -> Option<(u32, usize)> {
        let index = position & ((1 << BATCH_STRIDE_BITS) - 1);
        Some((self.batch_at(position >> BATCH_STRIDE_BITS)?, index as usize))
    }

    /// Whether all below some bounds was looked at, or nothing more can be.
    pub fn has_passed(&self, bounds: &Bounds) -> bool {
        let looked = self.cursor.customer >= bounds.customer && self.cursor.change >= bounds.change;
        looked || self.is_exhausted()
    }

    /// Takes the summary of a block as it is now.
    pub fn summarise(&mut self, block: Block) {
        match (self.open.binary_search_by_key(&block.number, |open| open.number), block.is_open()) {
            (Ok(at), true) => self.open[at] = block,
            (Ok(at), false) => drop(self.open.remove(at)),
            (Err(at), true) => self.open.insert(at, block),
            (Err(_), false) => {}
        }
    }

    /// The first open block from a number on.
    pub fn open_from(&self, number: u32) -> Option<&Block> {
        self.open.get(self.open.partition_point(|open| open.number < number))
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
    fn batches_expanded_after_a_restore_lie_further_and_are_found_there() {
        let progress = Progress { batches: 9, rises: vec![3, 3, 7], ..Progress::default() };
        let rise = RESTORED_BATCHES;
        let places: Vec<_> = (0..9).map(|batch| progress.place(batch)).collect();
        let after = [3, 4, 5, 6].map(|batch| batch + 2 * rise);
        assert_eq!(places[..3], [0, 1, 2]);
        assert_eq!(places[3..7], after);
        assert_eq!(places[7..], [7 + 3 * rise, 8 + 3 * rise]);
        for (place, batch) in places.into_iter().zip(0..) {
            assert_eq!(progress.batch_at(place), Some(batch));
        }
        for nowhere in [3, 7, rise, rise + 3, 2 * rise, 2 * rise + 2, 2 * rise + 7, 3 * rise] {
            assert_eq!(progress.batch_at(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn one_rise_is_two_to_the_twenty_seven_positions() {
        let progress = Progress { rises: vec![5], ..Progress::default() };
        assert_eq!(progress.position(5, 7), (5 << BATCH_STRIDE_BITS) + (1 << 27) + 7);
        assert_eq!(progress.address((5 << BATCH_STRIDE_BITS) + (1 << 27) + 7), Some((5, 7)));
        assert_eq!(progress.address(4 << BATCH_STRIDE_BITS), Some((4, 0)));
    }
}
