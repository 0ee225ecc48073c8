//! One segment file of the log: a header and records, and where each entry lies in it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use notty_storage::codec;

use super::{
    Unsynced,
    record::{self, HEAD_BYTES, Place},
};
use crate::{
    disk::files::{File, Files},
    error::Error,
    types::{LogEntry, LogId},
};

/// Leads every segment; the last byte is the version of the format.
const MAGIC: &[u8; 8] = b"nottylg\x01";
/// Magic, first index, checksum.
const HEADER_BYTES: usize = 20;

/// A segment that checks out.
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    /// The index of its first entry.
    pub(crate) first: u64,
    /// Its length.
    pub(crate) bytes: u64,
    file: Arc<dyn File>,
    /// Where each entry's record begins, and how long it is.
    entries: Vec<(u64, u32)>,
}

/// Bytes at the end of the log that do not check out and can be a torn write.
#[derive(Clone, Debug)]
pub(crate) struct Torn {
    pub(crate) path: PathBuf,
    /// Where they begin.
    pub(crate) at: u64,
    /// Whether the file has nothing before them.
    pub(crate) whole_file: bool,
}

/// What was found in a file.
#[derive(Default)]
pub(crate) struct Read {
    pub(crate) segment: Option<Segment>,
    pub(crate) torn: Option<Torn>,
    pub(crate) last: Option<LogId>,
    pub(crate) last_place: Option<Place>,
    /// Where the last write begins.
    pub(crate) last_write_at: Option<u64>,
}

/// Reads and checks a segment file. Only the log's last file may end in a torn write.
pub(crate) fn read(
    files: &dyn Files,
    path: &Path,
    before: Option<Place>,
    is_last: bool,
) -> Result<Read, Error> {
    let file = files.open(path).map_err(Error::file(path))?;
    let bytes = file.read_all().map_err(Error::file(path))?;
    let damage = |at: usize, what: &str| {
        Err(Error::Damage {
            path: path.to_owned(),
            at: at as u64,
            what: what.to_owned(),
        })
    };
    let Some(first) = header(&bytes) else {
        // A file is made, its header synced, before anything is appended to it.
        if is_last && bytes.len() <= HEADER_BYTES {
            let torn = Torn {
                path: path.to_owned(),
                at: 0,
                whole_file: true,
            };
            return Ok(Read {
                torn: Some(torn),
                ..Read::default()
            });
        }
        return damage(0, "the header of the segment does not check out");
    };
    let mut read = Read::default();
    let mut entries = Vec::new();
    let mut at = HEADER_BYTES;
    while at < bytes.len() {
        let Some(record) = record::get(&bytes[at..]) else {
            let last = read.last_place.or(before);
            if !is_last || !record::can_be_torn(last, &bytes[at..]) {
                return damage(
                    at,
                    "a record does not check out, and later writes follow it",
                );
            }
            read.torn = Some(Torn {
                path: path.to_owned(),
                at: at as u64,
                whole_file: false,
            });
            break;
        };
        if read
            .last_place
            .or(before)
            .is_some_and(|last| record.place.write < last.write)
        {
            return damage(at, "a record is older than the one before it");
        }
        if read
            .last_place
            .is_none_or(|last| last.write < record.place.write)
        {
            read.last_write_at = Some(at as u64);
        }
        read.last_place = Some(record.place);
        let len = HEAD_BYTES + record.payload.len();
        if !record.payload.is_empty() {
            let Ok(entry) = codec::decode::<LogEntry>(record.payload) else {
                return damage(at, "an entry does not decode");
            };
            if entry.log_id.index != first + entries.len() as u64 {
                return damage(at, "an entry does not follow the one before it");
            }
            read.last = Some(entry.log_id);
            entries.push((at as u64, len as u32));
        }
        at += len;
    }
    let path = path.to_owned();
    read.segment = Some(Segment {
        path,
        first,
        bytes: at as u64,
        file,
        entries,
    });
    Ok(read)
}

fn header(bytes: &[u8]) -> Option<u64> {
    let header = bytes.get(..HEADER_BYTES)?;
    let crc = u32::from_be_bytes(header[16..].try_into().ok()?);
    let valid = header.starts_with(MAGIC) && crc32fast::hash(&header[..16]) == crc;
    valid
        .then(|| header[8..16].try_into().ok().map(u64::from_be_bytes))
        .flatten()
}

impl Segment {
    /// Makes an empty one that survives a crash.
    pub(crate) fn create(files: &dyn Files, dir: &Path, first: u64) -> Result<Self, Error> {
        let path = dir.join(format!("{first:020}.log"));
        let file = files.open(&path).map_err(Error::file(&path))?;
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&first.to_be_bytes());
        header.extend_from_slice(&crc32fast::hash(&header).to_be_bytes());
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
    pub(crate) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Writes bytes at its end.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file
            .write_at(self.bytes, bytes)
            .map_err(Error::file(&self.path))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes records of entries, whose lengths are given, at its end.
    pub(crate) fn append(&mut self, bytes: &[u8], lens: &[usize]) -> Result<(), Error> {
        let mut at = self.bytes;
        self.write(bytes)?;
        for len in lens {
            self.entries.push((at, *len as u32));
            at += *len as u64;
        }
        Ok(())
    }

    /// Writes what stands from an offset on once more and syncs it: a process may have died, or a
    /// sync may have failed, after the bytes came to the system's memory and before they came to
    /// the disk, and after a sync that failed the system no longer counts them as unwritten.
    pub(crate) fn write_again(&self, from: u64) -> Result<(), Error> {
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
    pub(crate) fn unsynced(&self) -> Unsynced {
        Unsynced {
            file: self.file.clone(),
            path: self.path.clone(),
        }
    }

    /// Bytes of the record of one of its entries; none if it has no such entry.
    pub(crate) fn entry_bytes(&self, index: u64) -> Option<usize> {
        let place = self.entries.get(index.checked_sub(self.first)? as usize);
        place.map(|(_, len)| *len as usize)
    }

    /// One of its entries.
    pub(crate) fn entry(&self, index: u64) -> Result<LogEntry, Error> {
        let (at, len) = self.entries[(index - self.first) as usize];
        let mut bytes = vec![0; len as usize];
        self.file
            .read_at(at, &mut bytes)
            .map_err(Error::file(&self.path))?;
        let entry = record::get(&bytes).and_then(|record| codec::decode(record.payload).ok());
        let what = "a record no longer checks out".to_owned();
        entry.ok_or(Error::Damage {
            path: self.path.clone(),
            at,
            what,
        })
    }

    /// Drops the entry at an index and all after it.
    pub(crate) fn truncate(&mut self, from: u64) -> Result<(), Error> {
        let keep = from.saturating_sub(self.first) as usize;
        let Some((at, _)) = self.entries.get(keep).copied() else {
            return Ok(());
        };
        self.file.cut(at).map_err(Error::file(&self.path))?;
        self.file.sync().map_err(Error::file(&self.path))?;
        self.entries.truncate(keep);
        self.bytes = at;
        Ok(())
    }
}
