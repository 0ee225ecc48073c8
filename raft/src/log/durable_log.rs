//! The log: appends, reads, truncates and purges entries, and keeps the vote.
//!
//! It knows the order in which marks and segments must reach the disk, so that a crash between any
//! two steps leaves a log that the next start can trust. It knows nothing of openraft's traits
//! (`log_store` does), nor of the bytes in the files (`segment` and `record` do).

use std::{
    ops::{Bound, Range, RangeBounds},
    path::{Path, PathBuf},
    sync::Arc,
};

use notty_storage::codec;

use super::{
    LogOptions, Unsynced,
    cache::EntryCache,
    inventory::{self, FoundTail},
    marks::Marks,
    record::{self, RecordPlace},
    segments::SegmentRow,
};
use crate::{
    disk::files::Files,
    error::Error,
    types::{LogEntry, LogId, NodeId, Vote},
};

/// The log of a node, with its vote and its marks.
pub struct Log {
    dir: PathBuf,
    options: LogOptions,
    marks: Marks,
    segments: SegmentRow,
    /// The end as it was found; its torn write is gone once the log is settled.
    tail: FoundTail,
    last: Option<LogId>,
    /// Position up to which entries are dropped before the next one comes.
    dropped_later: Option<LogId>,
    next_write: u64,
    cache: EntryCache,
    appended_bytes: u64,
}

/// The records of one write.
struct EncodedWrite {
    bytes: Vec<u8>,
    /// Length of each record.
    lens: Vec<usize>,
}

impl Log {
    /// Opens the log in a directory and checks all of it. A possible torn write is kept aside
    /// until [`Log::settle`].
    pub fn open(files: Arc<dyn Files>, dir: &Path, options: LogOptions) -> Result<Self, Error> {
        files.create_dir(dir).map_err(Error::file(dir))?;
        let marks = Marks::open(files.clone(), dir)?;
        let found = inventory::read(&files, dir, marks.purged)?;

        let log = Self {
            dir: dir.to_owned(),
            options,
            // A purge may have gone beyond the last entry: a snapshot took its place.
            last: later(found.last, marks.purged),
            marks,
            appended_bytes: found.segments.bytes(),
            segments: found.segments,
            tail: found.tail,
            dropped_later: None,
            next_write: found.next_write,
            cache: EntryCache::new(options.cache_bytes),
        };
        log.check_marks()?;
        Ok(log)
    }

    /// Refuses a log that lacks a vote or entries that it must have had.
    fn check_marks(&self) -> Result<(), Error> {
        // Only the first entry of a new cluster is written before any vote.
        if self.marks.vote.is_none() && self.last.is_some_and(|last| last.index > 0) {
            let vote = self.dir.join("vote");
            return Err(Error::damage(&vote, 0, "the vote is missing"));
        }

        // The mark is never synced, so that it may lag; it never runs ahead.
        let committed = self.marks.committed.map(|committed| committed.index);
        self.refuse_below(committed, "committed mark")
    }

    /// Refuses a log that ends before an entry which somebody knows to have been written.
    fn refuse_below(&self, index: Option<u64>, whose: &str) -> Result<(), Error> {
        let Some(index) = index.filter(|index| self.last.is_none_or(|last| last.index < *index))
        else {
            return Ok(());
        };

        let what = format!("the log ends below the {whose}, entry {index}: it was damaged");
        Err(match (&self.tail.torn, self.segments.last()) {
            (Some(torn), _) => Error::damage(&torn.path, torn.at, what),
            (None, Some(last)) => Error::damage(&last.path, last.bytes, what),
            (None, None) => Error::damage(&self.dir, 0, what),
        })
    }

    /// Cuts a torn write, if there is one above the state's position, makes sure that the last write
    /// is on the disk, and ends an interrupted purge. Call it once, before anything is appended.
    pub fn settle(&mut self, applied: Option<LogId>) -> Result<(), Error> {
        let tail = self.tail.clone();
        let mut needs_mark = tail.ends_in_part;

        if let Some(torn) = &tail.torn {
            self.refuse_below(applied.map(|applied| applied.index), "state's position")?;
            tracing::warn!(
                file = %torn.path.display(),
                at = torn.at,
                "the log's last write was torn by a crash before it was acknowledged; it is cut"
            );
            self.segments.cut(torn)?;
            self.tail.torn = None;
            needs_mark |= !torn.whole_file;
        }

        // The last write may be readable and yet not on the disk.
        if let (Some(last), Some(from)) = (self.segments.last(), tail.last_write_at) {
            last.write_again(from)?;
        }

        // The cut above left a part of a write, or a crash came between a truncation and its mark.
        if needs_mark {
            self.mark_cut()?;
        }

        // A crash may have come between the mark of a purge and its end.
        self.drop_purged()?;
        self.segments.sync_dir()
    }

    /// Ends a write that lost some of its records, so that no later write is taken for its rest.
    fn mark_cut(&mut self) -> Result<(), Error> {
        let place = RecordPlace {
            write: self.next_write,
            part: 0,
            parts: 1,
        };
        let mut bytes = Vec::new();
        record::put(&mut bytes, place, &[]);
        self.next_write += 1;

        let Some(last) = self.segments.last_mut() else {
            return Ok(());
        };
        last.write(&bytes)?;
        last.unsynced().sync()
    }

    /// The position of the last entry, or of the last that was dropped.
    pub fn last(&self) -> Option<LogId> {
        self.last.max(self.dropped_later)
    }

    /// The position up to which entries were dropped.
    pub fn purged(&self) -> Option<LogId> {
        self.marks.purged.max(self.dropped_later)
    }

    /// The vote that this node gave last.
    pub fn vote(&self) -> Option<Vote> {
        self.marks.vote
    }

    /// Makes the vote one under which this node does not lead, in memory; on the disk it changes
    /// with the next vote.
    pub(crate) fn forget_leading(&mut self, node: NodeId) {
        self.marks.forget_leading(node);
    }

    /// The position known to be committed; may lag.
    pub fn committed(&self) -> Option<LogId> {
        self.marks.committed
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.segments.bytes()
    }

    /// Bytes appended since the log was opened, and those found then.
    pub fn appended_bytes(&self) -> u64 {
        self.appended_bytes
    }

    /// Keeps the vote; it survives a crash once this returns.
    pub fn save_vote(&mut self, vote: Vote) -> Result<(), Error> {
        self.marks.save_vote(vote)
    }

    /// Notes the committed position, without a sync.
    pub fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), Error> {
        self.marks.save_committed(committed)
    }

    /// Writes entries that follow the last one, in one write. They count once synced.
    pub fn append(&mut self, entries: Vec<LogEntry>) -> Result<Option<Unsynced>, Error> {
        debug_assert!(self.tail.torn.is_none(), "settle comes before append");
        let Some(first) = entries.first() else {
            return Ok(None);
        };

        self.purge_at_last()?;

        // In one write, so that the records of a torn one are recognised as the last.
        let segment = self
            .segments
            .segment_for(first.log_id.index, self.options.segment_bytes)?;
        let write = encode(self.next_write, &entries);
        segment.append(&write.bytes, &write.lens)?;
        let unsynced = segment.unsynced();

        self.next_write += 1;
        self.appended_bytes += write.bytes.len() as u64;
        for (entry, len) in entries.into_iter().zip(write.lens) {
            self.last = Some(entry.log_id);
            self.cache.push(entry, len);
        }
        Ok(Some(unsynced))
    }

    /// Entries of a range of indexes; missing ones are left out.
    pub fn read(&self, range: impl RangeBounds<u64>) -> Result<Vec<LogEntry>, Error> {
        let wanted = half_open(&range);
        let purged_end = self.purged().map_or(0, |purged| purged.index + 1);

        let from = wanted
            .start
            .max(self.segments.first_index())
            .max(purged_end);
        let end = wanted.end.min(self.segments.end());
        (from..end).map(|index| self.entry(index)).collect()
    }

    /// The first entries of a range, up to a number of bytes; at least one.
    pub fn read_some(&self, range: Range<u64>, bytes: usize) -> Result<Vec<LogEntry>, Error> {
        let mut entries = Vec::new();
        let mut taken = 0;

        for index in range {
            let Some(len) = self.entry_bytes(index) else {
                break;
            };
            // Without at least one, a follower would wait for it for ever.
            if taken > 0 && taken + len > bytes {
                break;
            }

            taken += len;
            entries.push(self.entry(index)?);
        }
        Ok(entries)
    }

    /// Bytes of the record of an entry; `None` if it is not there, or was dropped.
    fn entry_bytes(&self, index: u64) -> Option<usize> {
        if self.purged().is_some_and(|purged| index <= purged.index) {
            return None;
        }
        self.segments.entry_bytes(index)
    }

    fn entry(&self, index: u64) -> Result<LogEntry, Error> {
        match self.cache.get(index) {
            Some(entry) => Ok(entry),
            None => self.segments.entry(index),
        }
    }

    /// Drops the entry at an index and all after it.
    pub fn truncate(&mut self, from: u64) -> Result<(), Error> {
        self.purge_at_last()?;
        self.segments.truncate(from)?;
        self.cache.drop_from(from);

        // The cut may have gone through a write, whose rest must not be expected any more.
        self.mark_cut()?;

        self.last = match from.checked_sub(1) {
            Some(index) => match self.read(index..from)?.pop() {
                Some(entry) => Some(entry.log_id),
                // A snapshot took the place of the entries before.
                None => self.marks.purged,
            },
            None => None,
        };
        Ok(())
    }

    /// The same as [`Log::purge`] for readers; on the disk it is done before the next change.
    /// If the process dies before that, the next one finds the log as it was.
    pub fn purge_later(&mut self, upto: LogId) {
        self.dropped_later = self.dropped_later.max(Some(upto));
    }

    fn purge_at_last(&mut self) -> Result<(), Error> {
        match self.dropped_later.take() {
            Some(upto) => self.purge(upto),
            None => Ok(()),
        }
    }

    /// Drops entries up to a position, as whole segments.
    pub fn purge(&mut self, upto: LogId) -> Result<(), Error> {
        self.dropped_later = self.dropped_later.filter(|later| *later > upto);

        // The mark comes first: segments that are gone without it would look like damage.
        self.marks.save_purged(upto)?;
        if self.last.is_none_or(|last| last.index <= upto.index) {
            self.last = Some(upto);
        }
        self.cache.drop_upto(upto.index);
        self.drop_purged()
    }

    /// Drops segments that hold purged entries only.
    fn drop_purged(&mut self) -> Result<(), Error> {
        let end = self.marks.purged.map_or(0, |purged| purged.index + 1);
        self.segments.drop_before(end)
    }

    /// Marks entries as purged and dies before any segment goes, as a crash may have it.
    #[cfg(test)]
    pub(super) fn begin_purge(&mut self, upto: LogId) -> Result<(), Error> {
        self.marks.save_purged(upto)
    }
}

/// The last entry, unless entries beyond it were purged.
fn later(last: Option<LogId>, purged: Option<LogId>) -> Option<LogId> {
    let Some(last) = last else {
        return purged;
    };
    if purged.is_some_and(|purged| last.index < purged.index) {
        purged
    } else {
        Some(last)
    }
}

/// The records of entries that go to the disk in one write.
fn encode(write: u64, entries: &[LogEntry]) -> EncodedWrite {
    let mut bytes = Vec::with_capacity(4096);
    let mut lens = Vec::with_capacity(entries.len());

    let parts = entries.len() as u16;
    for (part, entry) in (0..).zip(entries) {
        let start = bytes.len();
        let place = RecordPlace { write, part, parts };
        record::put(&mut bytes, place, &codec::encode(entry));
        lens.push(bytes.len() - start);
    }
    EncodedWrite { bytes, lens }
}

fn half_open(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(index) => *index,
        Bound::Excluded(index) => index + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(index) => index + 1,
        Bound::Excluded(index) => *index,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}
