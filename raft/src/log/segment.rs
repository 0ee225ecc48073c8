//! One segment file of the log: a header and records, and the place of each entry in it.
//!
//! A segment neither knows its neighbours nor decides when it ends: that is the work of `segments`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use notty_storage::codec;

use super::record::{self, LogRecord, RecordPlace};
use crate::{
    disk::files::{File, Files},
    error::Error,
    types::{LogEntry, LogId},
};

/// Leads every segment; the last byte is the version of the format.
const MAGIC: &[u8; 8] = b"nottylg\x01";
/// Bytes of the header: magic, first index, checksum.
const HEADER_BYTES: usize = 20;

/// A segment that checks out.
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// The index of its first entry.
    pub(super) first: u64,
    /// Length of the file in bytes.
    pub(super) bytes: u64,
    file: Arc<dyn File>,
    /// The records of its entries, in order.
    entries: Vec<EntrySpan>,
}

/// The bytes of one entry's record in a segment.
#[derive(Clone, Copy)]
struct EntrySpan {
    at: u64,
    bytes: u32,
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

/// Bytes at the end of the log that do not check out and can be a torn write.
#[derive(Clone, Debug)]
pub(super) struct Torn {
    pub(super) path: PathBuf,
    /// Their offset in the file.
    pub(super) at: u64,
    /// True if the file has nothing before them.
    pub(super) whole_file: bool,
}

/// The content of a segment file, as a start finds it.
#[derive(Default)]
pub(super) struct ScannedSegment {
    /// None if the file was created and nothing was written to it.
    pub(super) segment: Option<Segment>,
    pub(super) torn: Option<Torn>,
    pub(super) last: Option<LogId>,
    pub(super) last_place: Option<RecordPlace>,
    /// Offset of the file's last write.
    pub(super) last_write_at: Option<u64>,
}

/// Reads and checks a segment file, which follows a record of the file before it. Only the log's
/// last file may end in a torn write.
pub(super) fn scan(
    files: &dyn Files,
    path: &Path,
    before: Option<RecordPlace>,
    is_last: bool,
) -> Result<ScannedSegment, Error> {
    let file = files.open(path).map_err(Error::file(path))?;
    let bytes = file.read_all().map_err(Error::file(path))?;
    let torn_at = |at: usize, whole_file| Torn {
        path: path.to_owned(),
        at: at as u64,
        whole_file,
    };

    let Some(first) = header(&bytes) else {
        // A file is created, and its header synced, before anything is appended to it. So a crash
        // can leave less than a header only while the file holds nothing.
        if is_last && bytes.len() <= HEADER_BYTES {
            return Ok(ScannedSegment {
                torn: Some(torn_at(0, true)),
                ..ScannedSegment::default()
            });
        }
        let what = "the header of the segment does not check out";
        return Err(Error::damage(path, 0, what));
    };

    let mut records = SegmentRecords::after(before, first);
    let mut torn = None;
    let mut at = HEADER_BYTES;
    while at < bytes.len() {
        let Some(record) = record::get(&bytes[at..]) else {
            // Later files and later writes prove that these bytes were once whole and synced.
            if !is_last || !record::can_be_torn(records.last_of_all(), &bytes[at..]) {
                let what = "a record does not check out, and later writes follow it";
                return Err(Error::damage(path, at as u64, what));
            }
            torn = Some(torn_at(at, false));
            break;
        };

        let taken = records.take(at as u64, &record);
        taken.map_err(|fault| fault.of(path, at as u64))?;
        at += record.bytes();
    }

    Ok(ScannedSegment {
        segment: Some(Segment {
            path: path.to_owned(),
            first,
            bytes: at as u64,
            file,
            entries: records.entries,
        }),
        torn,
        last: records.last,
        last_place: records.last_place,
        last_write_at: records.last_write_at,
    })
}

/// The reason why a record cannot follow the ones before it.
enum RecordFault {
    /// It is damaged, or out of its place.
    Damage(&'static str),
    /// A newer version wrote it: nothing is wrong with it.
    Newer(notty_storage::Error),
}

impl RecordFault {
    /// The fault of an entry that does not decode. A checksum that matches says nothing of an entry that
    /// another version wrote.
    fn of_entry(error: notty_storage::Error) -> Self {
        if error.is_newer() {
            Self::Newer(error)
        } else {
            Self::Damage("an entry does not decode")
        }
    }

    /// The fault of a record at a place.
    fn of(self, path: &Path, at: u64) -> Error {
        match self {
            Self::Damage(what) => Error::damage(path, at, what),
            Self::Newer(error) => Error::data_dir(path, format!("an entry at byte {at}: {error}")),
        }
    }
}

/// The records of a file while it is read.
struct SegmentRecords {
    /// The last record of the files before this one.
    before: Option<RecordPlace>,
    /// The index of the file's first entry.
    first: u64,
    entries: Vec<EntrySpan>,
    last: Option<LogId>,
    last_place: Option<RecordPlace>,
    last_write_at: Option<u64>,
}

impl SegmentRecords {
    fn after(before: Option<RecordPlace>, first: u64) -> Self {
        Self {
            before,
            first,
            entries: Vec::new(),
            last: None,
            last_place: None,
            last_write_at: None,
        }
    }

    /// The last record so far, of this file or the files before it.
    fn last_of_all(&self) -> Option<RecordPlace> {
        self.last_place.or(self.before)
    }

    /// Adds a record at an offset. Fails if it cannot follow the ones before it.
    fn take(&mut self, at: u64, record: &LogRecord<'_>) -> Result<(), RecordFault> {
        let place = record.place;
        if self
            .last_of_all()
            .is_some_and(|last| place.write < last.write)
        {
            let what = "a record is older than the one before it";
            return Err(RecordFault::Damage(what));
        }

        if self.last_place.is_none_or(|last| last.write < place.write) {
            self.last_write_at = Some(at);
        }
        self.last_place = Some(place);

        // A mark that ends a cut write holds no entry.
        if record.payload.is_empty() {
            return Ok(());
        }

        let entry: LogEntry = codec::decode(record.payload).map_err(RecordFault::of_entry)?;
        if entry.log_id.index != self.first + self.entries.len() as u64 {
            let what = "an entry does not follow the one before it";
            return Err(RecordFault::Damage(what));
        }

        self.last = Some(entry.log_id);
        self.entries.push(EntrySpan {
            at,
            bytes: record.bytes() as u32,
        });
        Ok(())
    }
}

/// The first index that a segment's header names, if the header checks out.
fn header(bytes: &[u8]) -> Option<u64> {
    let header = bytes.get(..HEADER_BYTES)?;
    let crc = u32::from_be_bytes(header[16..].try_into().ok()?);
    if !header.starts_with(MAGIC) || crc32fast::hash(&header[..16]) != crc {
        return None;
    }

    let first = header[8..16].try_into().ok()?;
    Some(u64::from_be_bytes(first))
}

impl Segment {
    /// Creates an empty segment that survives a crash.
    pub(super) fn create(files: &dyn Files, dir: &Path, first: u64) -> Result<Self, Error> {
        let path = dir.join(format!("{first:020}.log"));
        let file = files.open(&path).map_err(Error::file(&path))?;

        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&first.to_be_bytes());
        header.extend_from_slice(&crc32fast::hash(&header).to_be_bytes());

        // The file may be what a crash left of an earlier try.
        file.cut(0).map_err(Error::file(&path))?;
        file.write_at(0, &header).map_err(Error::file(&path))?;
        file.sync().map_err(Error::file(&path))?;
        files.sync_dir(dir).map_err(Error::file(dir))?;

        Ok(Self {
            path,
            first,
            bytes: HEADER_BYTES as u64,
            file,
            entries: Vec::new(),
        })
    }

    /// The index after its last entry.
    pub(super) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Writes bytes at its end.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file
            .write_at(self.bytes, bytes)
            .map_err(Error::file(&self.path))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes records of entries at its end; `lens` are their lengths.
    pub(super) fn append(&mut self, records: &[u8], lens: &[usize]) -> Result<(), Error> {
        let mut at = self.bytes;
        self.write(records)?;

        for len in lens {
            self.entries.push(EntrySpan {
                at,
                bytes: *len as u32,
            });
            at += *len as u64;
        }
        Ok(())
    }

    /// Writes the bytes from an offset on once more and syncs them. A process may have died, or a
    /// sync may have failed, after the bytes came to the system's memory and before they came to
    /// the disk, and after a failed sync the system no longer counts them as unwritten.
    pub(super) fn write_again(&self, from: u64) -> Result<(), Error> {
        let mut bytes = vec![0; (self.bytes - from) as usize];
        self.file
            .read_at(from, &mut bytes)
            .map_err(Error::file(&self.path))?;
        self.file
            .write_at(from, &bytes)
            .map_err(Error::file(&self.path))?;
        self.unsynced().sync()
    }

    /// Its file, to be synced.
    pub(super) fn unsynced(&self) -> Unsynced {
        Unsynced {
            file: self.file.clone(),
            path: self.path.clone(),
        }
    }

    /// Bytes of the record of an entry; `None` if the segment has no such entry.
    pub(super) fn entry_bytes(&self, index: u64) -> Option<usize> {
        let nth = index.checked_sub(self.first)?;
        let span = self.entries.get(nth as usize)?;
        Some(span.bytes as usize)
    }

    /// Reads one of its entries.
    pub(super) fn entry(&self, index: u64) -> Result<LogEntry, Error> {
        let span = self.entries[(index - self.first) as usize];
        let mut bytes = vec![0; span.bytes as usize];
        self.file
            .read_at(span.at, &mut bytes)
            .map_err(Error::file(&self.path))?;

        // It did check out at the start, or was written since.
        let entry = record::get(&bytes).and_then(|record| codec::decode(record.payload).ok());
        entry.ok_or_else(|| Error::damage(&self.path, span.at, "a record no longer checks out"))
    }

    /// Drops the entry at an index and all after it.
    pub(super) fn truncate(&mut self, from: u64) -> Result<(), Error> {
        let keep = from.saturating_sub(self.first) as usize;
        let Some(first_dropped) = self.entries.get(keep).copied() else {
            return Ok(());
        };

        self.file
            .cut(first_dropped.at)
            .map_err(Error::file(&self.path))?;
        self.file.sync().map_err(Error::file(&self.path))?;
        self.entries.truncate(keep);
        self.bytes = first_dropped.at;
        Ok(())
    }
}
