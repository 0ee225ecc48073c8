//! The row of segment files that holds the entries of the log, without a gap.
//!
//! It creates, cuts and removes files. The decisions about which entries may go, and the marks that
//! must be on the disk first, belong to [`Log`](super::Log).

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::segment::{Segment, Torn};
use crate::{disk::files::Files, error::Error, types::LogEntry};

/// The segments of a log, the oldest first.
pub(super) struct SegmentRow {
    files: Arc<dyn Files>,
    dir: PathBuf,
    row: VecDeque<Segment>,
}

impl SegmentRow {
    /// A row without any segment, in a directory.
    pub(super) fn new(files: Arc<dyn Files>, dir: &Path) -> Self {
        Self {
            files,
            dir: dir.to_owned(),
            row: VecDeque::new(),
        }
    }

    /// Adds a segment that was found on the disk and follows the others.
    pub(super) fn push(&mut self, segment: Segment) {
        self.row.push_back(segment);
    }

    /// The segment that new entries go to.
    pub(super) fn last(&self) -> Option<&Segment> {
        self.row.back()
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut Segment> {
        self.row.back_mut()
    }

    /// The index of the first entry on the disk.
    pub(super) fn first_index(&self) -> u64 {
        self.row.front().map_or(0, |segment| segment.first)
    }

    /// The index after the last entry on the disk.
    pub(super) fn end(&self) -> u64 {
        self.row.back().map_or(0, Segment::end)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.row.iter().map(|segment| segment.bytes).sum()
    }

    /// Bytes of the record of an entry; `None` if it is not on the disk.
    pub(super) fn entry_bytes(&self, index: u64) -> Option<usize> {
        self.row.get(self.position(index))?.entry_bytes(index)
    }

    /// Reads an entry that is on the disk.
    pub(super) fn entry(&self, index: u64) -> Result<LogEntry, Error> {
        self.row[self.position(index)].entry(index)
    }

    fn position(&self, index: u64) -> usize {
        self.row.partition_point(|segment| segment.end() <= index)
    }

    /// The segment for an entry that is appended: a new one if the last one has reached its length.
    pub(super) fn segment_for(
        &mut self,
        index: u64,
        segment_bytes: u64,
    ) -> Result<&mut Segment, Error> {
        let current = self.row.back();
        if current.is_none_or(|current| current.bytes >= segment_bytes) {
            let created = Segment::create(&*self.files, &self.dir, index)?;
            self.row.push_back(created);
        }

        let last = self.row.back_mut();
        Ok(last.expect("a segment was just created if there was none"))
    }

    /// Drops the entry at an index and all after it. The first segment stays, if only as a file.
    pub(super) fn truncate(&mut self, from: u64) -> Result<(), Error> {
        while let Some(last) = self.row.back()
            && last.first >= from
            && self.row.len() > 1
        {
            self.remove(last)?;
            self.row.pop_back();
        }
        // Removed segments must not come back beside what is appended next.
        self.sync_dir()?;

        match self.row.back_mut() {
            Some(last) => last.truncate(from),
            None => Ok(()),
        }
    }

    /// Removes segments whose entries all lie before an index. The last one stays while the entry
    /// at that index would go into it.
    pub(super) fn drop_before(&mut self, index: u64) -> Result<(), Error> {
        let mut dropped = false;
        while let Some(first) = self.row.front()
            && first.end() <= index
            && (self.row.len() > 1 || first.end() < index)
        {
            self.remove(first)?;
            self.row.pop_front();
            dropped = true;
        }

        if dropped { self.sync_dir() } else { Ok(()) }
    }

    /// Cuts a torn write off its file.
    pub(super) fn cut(&self, torn: &Torn) -> Result<(), Error> {
        let path = &torn.path;
        if torn.whole_file {
            return self.files.remove(path).map_err(Error::file(path));
        }

        let file = self.files.open(path).map_err(Error::file(path))?;
        file.cut(torn.at).map_err(Error::file(path))?;
        file.sync().map_err(Error::file(path))
    }

    /// Makes the names of the files survive a crash.
    pub(super) fn sync_dir(&self) -> Result<(), Error> {
        self.files
            .sync_dir(&self.dir)
            .map_err(Error::file(&self.dir))
    }

    fn remove(&self, segment: &Segment) -> Result<(), Error> {
        self.files
            .remove(&segment.path)
            .map_err(Error::file(&segment.path))
    }
}
