//! The latest entries of the log in memory.
//!
//! openraft reads an entry back right after it was written, once to apply it and once for each
//! follower. The cache spares these reads; it holds copies only, and may lack any entry.

use std::collections::VecDeque;

use crate::types::LogEntry;

/// Consecutive entries up to the last one appended, bounded by their bytes on the disk.
pub(super) struct EntryCache {
    entries: VecDeque<CachedEntry>,
    bytes: usize,
    capacity: usize,
}

struct CachedEntry {
    entry: LogEntry,
    /// Bytes of its record.
    bytes: usize,
}

impl CachedEntry {
    fn index(&self) -> u64 {
        self.entry.log_id.index
    }
}

impl EntryCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            capacity,
        }
    }

    /// Adds the entry that follows the latest one. The newest stays, however big it is.
    pub(super) fn push(&mut self, entry: LogEntry, bytes: usize) {
        self.bytes += bytes;
        self.entries.push_back(CachedEntry { entry, bytes });

        while self.bytes > self.capacity && self.entries.len() > 1 {
            self.drop_oldest();
        }
    }

    pub(super) fn get(&self, index: u64) -> Option<LogEntry> {
        let first = self.entries.front()?.index();
        let at = index.checked_sub(first)?;
        let cached = self.entries.get(at as usize)?;
        Some(cached.entry.clone())
    }

    /// Drops the entry at an index and all after it.
    pub(super) fn drop_from(&mut self, index: u64) {
        while self
            .entries
            .back()
            .is_some_and(|newest| newest.index() >= index)
        {
            let dropped = self.entries.pop_back();
            self.bytes -= dropped.map_or(0, |dropped| dropped.bytes);
        }
    }

    /// Drops all entries up to an index, that one included.
    pub(super) fn drop_upto(&mut self, index: u64) {
        while self
            .entries
            .front()
            .is_some_and(|oldest| oldest.index() <= index)
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let dropped = self.entries.pop_front();
        self.bytes -= dropped.map_or(0, |dropped| dropped.bytes);
    }
}
