//! Sizes that decide how a log is cut into files, cached and compacted.
//!
//! They stand apart from [`Log`](super::Log) because the configuration and the simulation set them
//! and need nothing else of the log.

/// Bytes after which a segment is closed and the next one begun.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of the latest entries kept in memory: an entry that is applied, or sent to a follower, was
/// nearly always just written.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// Entries kept behind a snapshot, for followers that are only a little behind.
const ENTRIES_KEPT: u64 = 1_000;
/// Bytes since the last snapshot from which a new one is worth it, unless configured otherwise.
const COMPACT_BYTES: u64 = 64 * 1024 * 1024;

/// Sizes of a log.
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
    /// The defaults, with a snapshot after so many bytes of log. A segment is no longer than that,
    /// because it is dropped as a whole.
    pub fn compacting(compact_bytes: u64) -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES.min(compact_bytes),
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
