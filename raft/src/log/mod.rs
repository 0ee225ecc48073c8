//! The log on the disk: segment files, and the marks beside them.
//!
//! | file | holds |
//! |---|---|
//! | `{first index}.log` | a header, then records (see [`record`]): one entry each, in order |
//! | `vote` | the vote, replaced as a whole |
//! | `purged` | the position up to which entries were dropped, replaced as a whole |
//! | `committed` | two slots, written in turn and never synced: the position known committed |
//!
//! What was appended counts once it was synced, not before. At start, bytes that do not check out
//! are cut only if they can be the last write, which nobody was told about, and lie above the
//! committed mark and the state's position; any other damage refuses to start and says where.

pub(crate) mod log_store;
pub(crate) mod marks;
pub(crate) mod record;
mod segment;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    ops::{Range, RangeBounds},
    path::{Path, PathBuf},
    sync::Arc,
};

use notty_storage::codec;

use self::{
    marks::Marks,
    record::Place,
    segment::{Segment, Torn},
};
use crate::{
    disk::files::{File, Files},
    error::Error,
    types::{LogEntry, LogId, NodeId, Vote},
};

/// Bytes after which a segment is closed and the next one begun.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of the latest entries kept in memory: what is applied, and what followers are sent, was
/// nearly always just written.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Entries kept behind a snapshot, for followers that are only a little behind.
const ENTRIES_KEPT: u64 = 1_000;
/// Bytes since the last snapshot from which a new one is worth it, unless told otherwise.
const COMPACT_BYTES: u64 = 64 * 1024 * 1024;

/// How a log is kept.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// Bytes after which a segment is closed and the next one begun.
    pub segment_bytes: u64,
    /// Bytes of the latest entries kept in memory.
    pub cache_bytes: usize,
    /// Entries kept behind a snapshot, for followers that are only a little behind.
    pub kept_entries: u64,
    /// Bytes since the last snapshot from which a new one is written and the log before it dropped;
    /// half of the snapshot, if that is more.
    pub compact_bytes: u64,
}

impl LogOptions {
    /// The usual ones, but for how much log calls for a snapshot; a segment is no longer than that,
    /// because it goes as a whole.
    pub fn compacting(compact_bytes: u64) -> Self {
        let segment_bytes = SEGMENT_BYTES.min(compact_bytes);
        Self {
            segment_bytes,
            compact_bytes,
            ..Self::default()
        }
    }
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            cache_bytes: CACHE_BYTES,
            kept_entries: ENTRIES_KEPT,
            compact_bytes: COMPACT_BYTES,
        }
    }
}

/// The log.
pub struct Log {
    files: Arc<dyn Files>,
    dir: PathBuf,
    options: LogOptions,
    marks: Marks,
    segments: VecDeque<Segment>,
    torn: Option<Torn>,
    ends_in_part: bool,
    /// Where the last write begins in the last segment, as it was found.
    last_write_at: Option<u64>,
    last: Option<LogId>,
    /// Up to where entries are dropped before the next one comes.
    dropped_later: Option<LogId>,
    next_write: u64,
    cache: VecDeque<(LogEntry, usize)>,
    cached_bytes: usize,
    appended_bytes: u64,
}

/// A file whose last write must be synced before it counts.
#[must_use = "an append counts once it is synced"]
pub struct Unsynced {
    file: Arc<dyn File>,
    path: PathBuf,
}

impl Unsynced {
    /// Makes the write survive a crash.
    pub fn sync(self) -> Result<(), Error> {
        self.file.sync().map_err(Error::file(&self.path))
    }
}

impl Log {
    /// Opens the log in a directory and checks all of it. What may be a torn write is kept aside
    /// until [`Log::settle`].
    pub fn open(files: Arc<dyn Files>, dir: &Path, options: LogOptions) -> Result<Self, Error> {
        files.create_dir(dir).map_err(Error::file(dir))?;
        let marks = Marks::open(files.clone(), dir)?;
        let mut log = Self {
            files,
            dir: dir.to_owned(),
            options,
            marks,
            segments: VecDeque::new(),
            torn: None,
            ends_in_part: false,
            last_write_at: None,
            last: None,
            dropped_later: None,
            next_write: 1,
            cache: VecDeque::new(),
            cached_bytes: 0,
            appended_bytes: 0,
        };
        log.read_segments()?;
        log.check_marks()?;
        Ok(log)
    }

    fn read_segments(&mut self) -> Result<(), Error> {
        let names = self.files.list(&self.dir).map_err(Error::file(&self.dir))?;
        let names: Vec<_> = names
            .into_iter()
            .filter(|name| name.ends_with(".log"))
            .collect();
        let mut last_place: Option<Place> = None;
        for (n, name) in names.iter().enumerate() {
            let path = self.dir.join(name);
            let is_last = n + 1 == names.len();
            let read = segment::read(&*self.files, &path, last_place, is_last)?;
            last_place = read.last_place.or(last_place);
            if let Some(segment) = read.segment {
                self.join(segment, read.last)?;
                self.last_write_at = read.last_write_at;
            }
            self.torn = read.torn;
        }
        self.next_write = last_place.map_or(1, |place| place.write + 1);
        self.ends_in_part = last_place.is_some_and(|place| !place.is_last());
        Ok(())
    }

    /// Takes in a segment that follows the ones read before without a gap.
    fn join(&mut self, segment: Segment, last: Option<LogId>) -> Result<(), Error> {
        let wanted = match self.segments.back() {
            Some(before) => before.end()..=before.end(),
            None => 0..=self.marks.purged.map_or(0, |purged| purged.index + 1),
        };
        if !wanted.contains(&segment.first) {
            let what = format!(
                "entries from {} to {} are missing",
                wanted.end(),
                segment.first
            );
            return Err(Error::Damage {
                path: segment.path,
                at: 0,
                what,
            });
        }
        self.appended_bytes += segment.bytes;
        self.last = last.or(self.last);
        self.segments.push_back(segment);
        Ok(())
    }

    /// Entries that a mark says were there must be there.
    fn check_marks(&mut self) -> Result<(), Error> {
        if self
            .last
            .is_none_or(|last| Some(last.index) < self.marks.purged.map(|p| p.index))
        {
            self.last = self.marks.purged;
        }
        if self.marks.vote.is_none() && self.last.is_some_and(|last| last.index > 0) {
            let path = self.dir.join("vote");
            return Err(Error::Damage {
                path,
                at: 0,
                what: "the vote is missing".into(),
            });
        }
        self.refuse_below(
            self.marks.committed.map(|committed| committed.index),
            "committed mark",
        )
    }

    fn refuse_below(&self, index: Option<u64>, whose: &str) -> Result<(), Error> {
        let Some(index) = index.filter(|index| self.last.is_none_or(|last| last.index < *index))
        else {
            return Ok(());
        };
        let end = self.segments.back();
        let path = self.torn.as_ref().map(|torn| torn.path.clone());
        let path = path.or_else(|| end.map(|segment| segment.path.clone()));
        let at = self
            .torn
            .as_ref()
            .map_or(end.map_or(0, |end| end.bytes), |torn| torn.at);
        let what = format!("the log ends below the {whose}, entry {index}: it was damaged");
        Err(Error::Damage {
            path: path.unwrap_or_else(|| self.dir.clone()),
            at,
            what,
        })
    }

    /// Cuts a torn write, if there is one above the state's position, makes sure that the last write
    /// is on the disk, and ends a purge that was interrupted. Call it once, before anything is appended.
    pub fn settle(&mut self, applied: Option<LogId>) -> Result<(), Error> {
        let mut ends_in_part = self.ends_in_part;
        if let Some(torn) = self.torn.clone() {
            self.refuse_below(applied.map(|applied| applied.index), "state's position")?;
            tracing::warn!(file = %torn.path.display(), at = torn.at,
                "the log's last write was torn by a crash before it was acknowledged; it is cut");
            self.cut(&torn)?;
            self.torn = None;
            ends_in_part |= !torn.whole_file;
        }
        if let (Some(tail), Some(from)) = (self.segments.back(), self.last_write_at) {
            tail.write_again(from)?;
        }
        // Otherwise a crash came between a truncation and its mark.
        if ends_in_part {
            self.mark_cut()?;
        }
        // A crash came between the mark of a purge and its end.
        self.drop_purged()?;
        self.files
            .sync_dir(&self.dir)
            .map_err(Error::file(&self.dir))
    }

    fn cut(&self, torn: &Torn) -> Result<(), Error> {
        if torn.whole_file {
            return self
                .files
                .remove(&torn.path)
                .map_err(Error::file(&torn.path));
        }
        let file = self
            .files
            .open(&torn.path)
            .map_err(Error::file(&torn.path))?;
        file.cut(torn.at).map_err(Error::file(&torn.path))?;
        file.sync().map_err(Error::file(&torn.path))
    }

    /// Ends a write that lost a part of its records, so that what follows can be told from it.
    fn mark_cut(&mut self) -> Result<(), Error> {
        let mut bytes = Vec::new();
        let place = Place {
            write: self.next_write,
            part: 0,
            parts: 1,
        };
        record::put(&mut bytes, place, &[]);
        self.next_write += 1;
        let Some(segment) = self.segments.back_mut() else {
            return Ok(());
        };
        segment.write(&bytes)?;
        segment.unsynced().sync()
    }

    /// The position of the last entry, or of the last that was dropped.
    pub fn last(&self) -> Option<LogId> {
        self.last.max(self.dropped_later)
    }

    /// The position up to which entries were dropped.
    pub fn purged(&self) -> Option<LogId> {
        self.marks.purged.max(self.dropped_later)
    }

    /// The vote.
    pub fn vote(&self) -> Option<Vote> {
        self.marks.vote
    }

    /// Takes it that this node does not lead by its vote any more; the disk says so with the next.
    pub(crate) fn forget_leading(&mut self, node: NodeId) {
        self.marks.forget_leading(node);
    }

    /// The position known to be committed; may lag.
    pub fn committed(&self) -> Option<LogId> {
        self.marks.committed
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Bytes appended since the log was opened, and those found then.
    pub fn appended_bytes(&self) -> u64 {
        self.appended_bytes
    }

    /// Keeps the vote; it survives a crash once this returns.
    pub fn save_vote(&mut self, vote: Vote) -> Result<(), Error> {
        self.marks.save_vote(vote)
    }

    /// Notes what is committed, without a sync.
    pub fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), Error> {
        self.marks.save_committed(committed)
    }

    /// Writes entries that follow the last one, in one write. They count once synced.
    pub fn append(&mut self, entries: Vec<LogEntry>) -> Result<Option<Unsynced>, Error> {
        debug_assert!(self.torn.is_none(), "settle comes before append");
        let Some(first) = entries.first() else {
            return Ok(None);
        };
        self.purge_at_last()?;
        if self
            .segments
            .back()
            .is_none_or(|tail| tail.bytes >= self.options.segment_bytes)
        {
            let segment = Segment::create(&*self.files, &self.dir, first.log_id.index)?;
            self.segments.push_back(segment);
        }
        let tail = self
            .segments
            .back_mut()
            .expect("a segment was just made sure of");
        let (mut bytes, mut lens) = (Vec::with_capacity(4096), Vec::with_capacity(entries.len()));
        let parts = entries.len() as u16;
        for (part, entry) in (0..).zip(&entries) {
            let start = bytes.len();
            let place = Place {
                write: self.next_write,
                part,
                parts,
            };
            record::put(&mut bytes, place, &codec::encode(entry));
            lens.push(bytes.len() - start);
        }
        tail.append(&bytes, &lens)?;
        self.next_write += 1;
        self.appended_bytes += bytes.len() as u64;
        let unsynced = tail.unsynced();
        for (entry, len) in entries.into_iter().zip(lens) {
            self.last = Some(entry.log_id);
            self.cache_entry(entry, len);
        }
        Ok(Some(unsynced))
    }

    fn cache_entry(&mut self, entry: LogEntry, len: usize) {
        self.cached_bytes += len;
        self.cache.push_back((entry, len));
        while self.cached_bytes > self.options.cache_bytes && self.cache.len() > 1 {
            let (_, len) = self.cache.pop_front().expect("there is more than one");
            self.cached_bytes -= len;
        }
    }

    /// Entries of a range of indexes; those that are not there are left out.
    pub fn read(&self, range: impl RangeBounds<u64>) -> Result<Vec<LogEntry>, Error> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let purged_end = self.purged().map_or(0, |purged| purged.index + 1);
        let first_kept = self
            .segments
            .front()
            .map_or(0, |segment| segment.first)
            .max(purged_end);
        let end_kept = self.segments.back().map_or(0, Segment::end);
        let from = match range.start_bound() {
            Included(index) => *index,
            Excluded(index) => index + 1,
            Unbounded => 0,
        };
        let end = match range.end_bound() {
            Included(index) => index + 1,
            Excluded(index) => *index,
            Unbounded => u64::MAX,
        };
        (from.max(first_kept)..end.min(end_kept))
            .map(|index| self.entry(index))
            .collect()
    }

    /// The first entries of a range, until they have so many bytes; at least one.
    pub fn read_some(&self, range: Range<u64>, bytes: usize) -> Result<Vec<LogEntry>, Error> {
        let mut entries = Vec::new();
        let mut taken = 0;
        for index in range {
            let Some(len) = self.entry_bytes(index) else {
                break;
            };
            if taken > 0 && taken + len > bytes {
                break;
            }
            taken += len;
            entries.push(self.entry(index)?);
        }
        Ok(entries)
    }

    /// Bytes of the record of an entry; none if it is not there.
    fn entry_bytes(&self, index: u64) -> Option<usize> {
        let at = self
            .segments
            .partition_point(|segment| segment.end() <= index);
        let segment = self.segments.get(at)?;
        if self.purged().is_some_and(|purged| index <= purged.index) {
            return None;
        }
        segment.entry_bytes(index)
    }

    fn entry(&self, index: u64) -> Result<LogEntry, Error> {
        let cached_from = self
            .cache
            .front()
            .map_or(u64::MAX, |(entry, _)| entry.log_id.index);
        if index >= cached_from
            && let Some((entry, _)) = self.cache.get((index - cached_from) as usize)
        {
            return Ok(entry.clone());
        }
        let at = self
            .segments
            .partition_point(|segment| segment.end() <= index);
        self.segments[at].entry(index)
    }

    /// Drops the entry at an index and all after it.
    pub fn truncate(&mut self, from: u64) -> Result<(), Error> {
        self.purge_at_last()?;
        while let Some(tail) = self.segments.back()
            && tail.first >= from
            && self.segments.len() > 1
        {
            self.files
                .remove(&tail.path)
                .map_err(Error::file(&tail.path))?;
            self.segments.pop_back();
        }
        self.files
            .sync_dir(&self.dir)
            .map_err(Error::file(&self.dir))?;
        if let Some(tail) = self.segments.back_mut() {
            tail.truncate(from)?;
        }
        while self
            .cache
            .back()
            .is_some_and(|(entry, _)| entry.log_id.index >= from)
        {
            let (_, len) = self.cache.pop_back().expect("it was just looked at");
            self.cached_bytes -= len;
        }
        self.mark_cut()?;
        self.last = match from.checked_sub(1) {
            Some(index) => match self.read(index..from)?.pop() {
                Some(entry) => Some(entry.log_id),
                None => self.marks.purged,
            },
            None => None,
        };
        Ok(())
    }

    /// The same as [`Log::purge`] for whoever reads; on the disk it is done before the next change.
    /// A process that dies before has the log as it was.
    pub fn purge_later(&mut self, upto: LogId) {
        self.dropped_later = self.dropped_later.max(Some(upto));
    }

    fn purge_at_last(&mut self) -> Result<(), Error> {
        self.dropped_later
            .take()
            .map_or(Ok(()), |upto| self.purge(upto))
    }

    /// Drops entries up to a position, as whole segments.
    pub fn purge(&mut self, upto: LogId) -> Result<(), Error> {
        self.dropped_later = self.dropped_later.filter(|later| *later > upto);
        self.marks.save_purged(upto)?;
        if self.last.is_none_or(|last| last.index <= upto.index) {
            self.last = Some(upto);
        }
        while self
            .cache
            .front()
            .is_some_and(|(entry, _)| entry.log_id.index <= upto.index)
        {
            let (_, len) = self.cache.pop_front().expect("it was just looked at");
            self.cached_bytes -= len;
        }
        self.drop_purged()
    }

    /// Drops segments that hold purged entries only. The last one stays while what follows would go
    /// into it.
    fn drop_purged(&mut self) -> Result<(), Error> {
        let end = self.marks.purged.map_or(0, |purged| purged.index + 1);
        let mut dropped = false;
        while let Some(segment) = self.segments.front()
            && segment.end() <= end
            && (self.segments.len() > 1 || segment.end() < end)
        {
            self.files
                .remove(&segment.path)
                .map_err(Error::file(&segment.path))?;
            self.segments.pop_front();
            dropped = true;
        }
        match dropped {
            true => self
                .files
                .sync_dir(&self.dir)
                .map_err(Error::file(&self.dir)),
            false => Ok(()),
        }
    }
}
