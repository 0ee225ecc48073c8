//! The whole state out of and into one checked file.
//!
//! sled has no snapshot reads. So while the state is copied, chunk by chunk in the order of keys,
//! the changes of every entry applied meanwhile are appended to the same file; a fuzzy copy
//! followed by all changes made during it is exact. One lock around the writer keeps the order:
//! a chunk is read and written under it, so a change never comes before the copy of what it
//! replaced.
//!
//! The file: magic, frames (`length`, `crc32`, payload), the last of which is the footer. A file
//! without its footer, or with anything wrong in it, is refused.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use crate::{
    changes::Writes,
    codec,
    error::Error,
    keys::{Key, MailingKey, MetaKey, NumbersKey, TotalsKey},
    model::{Counts, Timestamp},
    records::{MailingRecord, Meta, Numbers, Totals},
    source::Scan,
    store::{Store, StoreOptions, View},
};

/// Leads every snapshot; the last byte is the version of the framing.
const MAGIC: &[u8; 8] = b"nottysn\x01";
/// Bytes of one chunk, about: the longest that applying may wait for an export.
const CHUNK_BYTES: usize = 32 * 1024;
/// Bytes of one frame, at most: what a reader takes into memory at once. More becomes several.
const FRAME_BYTES: usize = 64 * 1024 * 1024;
/// Bytes that a frame spends on each key and value beside their own: their lengths, at most.
const PAIR_BYTES: usize = 20;
/// Bytes that a frame spends on what holds keys and values: format, kind and count, at most.
const HOLD_BYTES: usize = 20;
/// Bytes between two syncs while writing, so that the log's own syncs do not stall behind one
/// large one.
const SYNC_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes restored between two flushes.
const RESTORE_FLUSH_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes that an export leaves free on its disk: the log and the state go on writing there, and a
/// disk without room for them is the end of the node.
const ROOM_BYTES: u64 = 32 * 1024 * 1024;
/// The part of a small disk that is left free instead.
const ROOM_PART: u64 = 16;

/// Keys and values.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;
/// Keys and their new values; none where it was removed.
type Changed = Vec<(Vec<u8>, Option<Vec<u8>>)>;

#[derive(Serialize, Deserialize)]
enum Frame {
    /// Keys and values as they were when this part was copied.
    Copy(Pairs),
    /// What one entry changed meanwhile.
    Change(Changed),
    /// The end: where the state stood when the export ended.
    Footer { meta: Meta, frames: u64 },
}

/// What an export wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportSummary {
    /// The position that the snapshot stands at.
    pub marker: Vec<u8>,
    /// The running hash at that position.
    pub hash: u64,
    /// The size of the file.
    pub bytes: u64,
}

struct Writer {
    file: BufWriter<File>,
    path: PathBuf,
    frames: u64,
    bytes: u64,
    unsynced: u64,
    /// Why a change could not be written: then the file is worth nothing.
    lost: Option<Error>,
}

impl Writer {
    fn new(file: File, path: &Path) -> Result<Self, Error> {
        let wrap = |source| Error::File {
            path: path.to_owned(),
            source,
        };
        let mut file = BufWriter::with_capacity(256 * 1024, file);
        file.write_all(MAGIC).map_err(wrap)?;
        let bytes = MAGIC.len() as u64;
        Ok(Self {
            file,
            path: path.to_owned(),
            frames: 0,
            bytes,
            unsynced: 0,
            lost: None,
        })
    }

    /// Writes what was copied, in as many frames as it takes.
    fn copy(&mut self, pairs: Pairs) -> Result<(), Error> {
        let parts = split(pairs, FRAME_BYTES, |(key, value)| key.len() + value.len());
        parts
            .into_iter()
            .try_for_each(|part| self.frame(&Frame::Copy(part)))
    }

    /// Writes what an entry changed, in as many frames as it takes: only the file as a whole is
    /// ever read, so an entry need not be whole in one.
    fn change(&mut self, pairs: Changed) -> Result<(), Error> {
        let bytes = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| {
            key.len() + value.as_ref().map_or(0, Vec::len)
        };
        let parts = split(pairs, FRAME_BYTES, bytes);
        parts
            .into_iter()
            .try_for_each(|part| self.frame(&Frame::Change(part)))
    }

    fn frame(&mut self, frame: &Frame) -> Result<(), Error> {
        let refused = |what| Error::Snapshot {
            path: self.path.clone(),
            what,
            at: self.bytes,
        };
        let payload = encoded(frame, FRAME_BYTES).map_err(refused)?;
        let mut head = [0; 8];
        head[..4].copy_from_slice(&(payload.len() as u32).to_be_bytes());
        head[4..].copy_from_slice(&crc32fast::hash(&payload).to_be_bytes());
        let written = self
            .file
            .write_all(&head)
            .and_then(|()| self.file.write_all(&payload));
        written.map_err(|source| self.fault(source))?;
        self.frames += 1;
        self.bytes += (head.len() + payload.len()) as u64;
        self.unsynced += payload.len() as u64;
        Ok(())
    }

    /// Fails while there is still some room on the disk, so that others do not run out of it.
    fn leave_room(&self) -> Result<(), Error> {
        // A disk that does not say what room it has fails when it has none.
        let Ok(disk) = rustix::fs::fstatvfs(self.file.get_ref()) else {
            return Ok(());
        };
        let room = disk.f_bavail.saturating_mul(disk.f_frsize);
        let all = disk.f_blocks.saturating_mul(disk.f_frsize);
        let wanted = ROOM_BYTES.min(all / ROOM_PART);
        if room >= wanted {
            return Ok(());
        }
        let what = format!(
            "{room} bytes are free on its disk, and {wanted} are left to the log and the state: make \
             room there"
        );
        Err(self.fault(std::io::Error::new(std::io::ErrorKind::StorageFull, what)))
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.unsynced = 0;
        let synced = self
            .file
            .flush()
            .and_then(|()| self.file.get_ref().sync_data());
        synced.map_err(|source| self.fault(source))
    }

    fn fault(&self, source: std::io::Error) -> Error {
        Error::File {
            path: self.path.clone(),
            source,
        }
    }
}

/// A frame's payload. One that is too long is refused here: its reader would refuse the whole
/// file, perhaps when nothing else is left.
fn encoded(frame: &Frame, most: usize) -> Result<Vec<u8>, &'static str> {
    let payload = codec::encode(frame);
    if payload.len() > most {
        Err("a value is too long for a frame")
    } else {
        Ok(payload)
    }
}

/// Pairs in parts that fit a frame of `most` bytes each; one that is longer alone stays alone.
fn split<T>(pairs: Vec<T>, most: usize, bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut parts: Vec<Vec<T>> = Vec::new();
    let mut room = 0;
    for pair in pairs {
        let needed = bytes(&pair) + PAIR_BYTES;
        match parts.last_mut() {
            Some(part) if needed <= room => {
                part.push(pair);
                room -= needed;
            }
            _ => {
                parts.push(vec![pair]);
                room = most.saturating_sub(HOLD_BYTES + needed);
            }
        }
    }
    parts
}

/// Appends the changes of entries to the file of a running export.
pub(crate) struct Capture {
    writer: Arc<Mutex<Writer>>,
}

impl Capture {
    /// A fault of the file is told to whoever makes the export: applying goes on.
    pub(crate) fn append(&self, writes: &Writes) {
        let writes = writes
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let mut writer = self.writer.lock();
        if writer.lost.is_none() {
            writer.lost = writer.change(writes).err();
        }
    }
}

/// A running export.
pub struct Export {
    view: View,
    writer: Arc<Mutex<Writer>>,
    next: Vec<u8>,
}

impl Export {
    pub(crate) fn begin(view: View, file: File, path: &Path) -> Result<(Self, Capture), Error> {
        let writer = Arc::new(Mutex::new(Writer::new(file, path)?));
        let capture = Capture {
            writer: writer.clone(),
        };
        Ok((
            Self {
                view,
                writer,
                next: Vec::new(),
            },
            capture,
        ))
    }

    /// Copies one bounded chunk; false once the whole state was read. Runs beside applying.
    pub fn copy_some(&mut self) -> Result<bool, Error> {
        let mut writer = self.writer.lock();
        if let Some(lost) = writer.lost.take() {
            return Err(lost);
        }
        writer.leave_room()?;
        let chunk = self.read_chunk()?;
        let more = !chunk.is_empty();
        if let Some((last, _)) = chunk.last() {
            self.next.clone_from(last);
            self.next.push(0);
            writer.copy(chunk)?;
        }
        // At the end too: what is left for the last sync, under the lock of applying, is little.
        if more && writer.unsynced < SYNC_BYTES {
            // Whoever applies and waits goes first, before the next chunk.
            MutexGuard::unlock_fair(writer);
            return Ok(true);
        }
        // Syncing under the lock would make applying wait for the disk.
        writer.unsynced = 0;
        writer.file.flush().map_err(|source| writer.fault(source))?;
        let file = writer
            .file
            .get_ref()
            .try_clone()
            .map_err(|source| writer.fault(source))?;
        let path = writer.path.clone();
        drop(writer);
        file.sync_data()
            .map_err(|source| Error::File { path, source })?;
        Ok(more)
    }

    fn read_chunk(&self) -> Result<Pairs, Error> {
        let mut chunk = Vec::new();
        let mut bytes = 0;
        self.view.read().scan(&self.next, |key, value| {
            chunk.push((key.to_vec(), value.to_vec()));
            bytes += key.len() + value.len();
            bytes < CHUNK_BYTES
        })?;
        Ok(chunk)
    }

    pub(crate) fn end(self, meta: &Meta) -> Result<ExportSummary, Error> {
        let mut writer = self.writer.lock();
        if let Some(lost) = writer.lost.take() {
            return Err(lost);
        }
        let frames = writer.frames;
        writer.frame(&Frame::Footer {
            meta: meta.clone(),
            frames,
        })?;
        writer.sync()?;
        Ok(ExportSummary {
            marker: meta.marker.clone(),
            hash: meta.hash,
            bytes: writer.bytes,
        })
    }
}

/// Reads frames and checks them.
struct Frames {
    file: BufReader<File>,
    path: PathBuf,
    at: u64,
    frames: u64,
}

impl Frames {
    /// A snapshot in a file, from an offset to its end.
    fn open(path: &Path, from: u64) -> Result<Self, Error> {
        let wrap = |source| Error::File {
            path: path.to_owned(),
            source,
        };
        let mut file = BufReader::with_capacity(256 * 1024, File::open(path).map_err(wrap)?);
        file.seek(SeekFrom::Start(from)).map_err(wrap)?;
        let mut magic = [0; MAGIC.len()];
        let read = file.read_exact(&mut magic);
        let mut frames = Self {
            file,
            path: path.to_owned(),
            at: from,
            frames: 0,
        };
        if read.is_err() || magic != *MAGIC {
            return Err(frames.damage("not a snapshot of this version"));
        }
        frames.at += MAGIC.len() as u64;
        Ok(frames)
    }

    fn damage(&self, what: &'static str) -> Error {
        Error::Snapshot {
            path: self.path.clone(),
            what,
            at: self.at,
        }
    }

    fn next(&mut self) -> Result<Frame, Error> {
        let mut head = [0; 8];
        self.file
            .read_exact(&mut head)
            .map_err(|_| self.damage("ends without its footer"))?;
        let [a, b, c, d, e, f, g, h] = head;
        let len = u32::from_be_bytes([a, b, c, d]) as usize;
        if len > FRAME_BYTES {
            return Err(self.damage("frame too long"));
        }
        let mut payload = vec![0; len];
        self.file
            .read_exact(&mut payload)
            .map_err(|_| self.damage("frame is cut"))?;
        if crc32fast::hash(&payload) != u32::from_be_bytes([e, f, g, h]) {
            return Err(self.damage("checksum does not match"));
        }
        let frame = codec::decode(&payload).map_err(|_| self.damage("frame does not decode"))?;
        if let Frame::Footer { frames, .. } = &frame
            && *frames != self.frames
        {
            return Err(self.damage("frames are missing"));
        }
        self.at += (head.len() + len) as u64;
        self.frames += 1;
        Ok(frame)
    }

    fn expect_end(&mut self) -> Result<(), Error> {
        match self.file.read(&mut [0]) {
            Ok(0) => Ok(()),
            _ => Err(self.damage("bytes follow the footer")),
        }
    }
}

/// Builds a new state directory from a snapshot. The file is checked whole.
pub fn import_snapshot(
    path: &Path,
    into_dir: &Path,
    options: StoreOptions,
) -> Result<Store, Error> {
    import_snapshot_at(path, 0, into_dir, options)
}

/// The same from a file that has something else before the snapshot.
pub(crate) fn import_snapshot_at(
    path: &Path,
    from: u64,
    into_dir: &Path,
    options: StoreOptions,
) -> Result<Store, Error> {
    let mut frames = Frames::open(path, from)?;
    let mut store = Store::open(into_dir, options)?;
    let meta = match copy_into(&mut store, &mut frames) {
        Ok(meta) => meta,
        Err(error) => {
            store.leak();
            return Err(error);
        }
    };
    if *store.reload()? != meta {
        return Err(frames.damage("the state built from it stands elsewhere"));
    }
    Ok(store)
}

/// Takes in all frames; what the footer says.
fn copy_into(store: &mut Store, frames: &mut Frames) -> Result<Meta, Error> {
    let meta = loop {
        match frames.next()? {
            Frame::Copy(pairs) => {
                let writes = pairs
                    .into_iter()
                    .map(|(key, value)| (key, Some(value)))
                    .collect();
                store.restore(&writes)?;
            }
            Frame::Change(writes) => store.restore(&writes.into_iter().collect())?,
            Frame::Footer { meta, .. } => break meta,
        }
        // What is not flushed is held in memory.
        if store.unflushed_bytes() >= RESTORE_FLUSH_BYTES {
            store.flush()?;
        }
    };
    frames.expect_end()?;
    store.restore(&Writes::from([(
        MetaKey.bytes(),
        Some(codec::encode(&meta)),
    )]))?;
    store.flush()?;
    Ok(meta)
}

/// The marker of a snapshot, from its footer; the whole file is checked on the way.
pub fn read_snapshot_marker(path: &Path) -> Result<Vec<u8>, Error> {
    let mut frames = Frames::open(path, 0)?;
    loop {
        if let Frame::Footer { meta, .. } = frames.next()? {
            frames.expect_end()?;
            return Ok(meta.marker);
        }
    }
}

/// What a snapshot holds, in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The position that it stands at.
    pub marker: Vec<u8>,
    /// The time of the entry that it holds last.
    pub at: Timestamp,
    /// Customers that exist.
    pub customers: u64,
    /// Mailings that are there to be seen.
    pub mailings: u64,
    /// Messages ever expanded, by status.
    pub messages: Counts,
}

/// Checks a snapshot whole, from an offset in its file, and tells what it holds.
pub fn inspect_snapshot(path: &Path, from: u64) -> Result<Contents, Error> {
    let mut frames = Frames::open(path, from)?;
    let (mut contents, mut mailings) = (Contents::default(), BTreeSet::new());
    loop {
        let changed = match frames.next()? {
            Frame::Copy(pairs) => pairs
                .into_iter()
                .map(|(key, value)| (key, Some(value)))
                .collect(),
            Frame::Change(changed) => changed,
            Frame::Footer { meta, .. } => {
                frames.expect_end()?;
                contents.marker = meta.marker;
                contents.at = meta.at;
                contents.mailings = mailings.len() as u64;
                return Ok(contents);
            }
        };
        for (key, value) in changed {
            inspect(&mut contents, &mut mailings, key, value)?;
        }
    }
}

/// Takes in what stands under one key from here on in the file.
fn inspect(
    contents: &mut Contents,
    mailings: &mut BTreeSet<Vec<u8>>,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
) -> Result<(), Error> {
    match (key.first(), value) {
        (Some(&NumbersKey::TAG), Some(value)) => {
            let numbers: Numbers = codec::decode(&value)?;
            contents.customers = u64::from(numbers.customers - numbers.deleted);
        }
        (Some(&TotalsKey::TAG), Some(value)) => {
            contents.messages = codec::decode::<Totals>(&value)?.counts;
        }
        (Some(&MailingKey::TAG), Some(value))
            if codec::decode::<MailingRecord>(&value)?.deleted_at.is_none() =>
        {
            mailings.insert(key);
        }
        (Some(&MailingKey::TAG), _) => {
            mailings.remove(&key);
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> Changed {
        let pair = |n: usize| {
            let key = vec![n as u8; n % 7];
            (
                key,
                (!n.is_multiple_of(3)).then(|| vec![n as u8; n * 37 % 400]),
            )
        };
        (0..200).map(pair).collect()
    }

    #[test]
    fn a_change_too_long_for_one_frame_becomes_several_that_fit() {
        let bytes = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| {
            key.len() + value.as_ref().map_or(0, Vec::len)
        };
        let parts = split(pairs(), 1_000, bytes);
        assert!(parts.len() > 30, "{}", parts.len());
        for part in &parts {
            assert!(encoded(&Frame::Change(part.clone()), 1_000).is_ok());
        }
        assert_eq!(parts.concat(), pairs());
    }

    #[test]
    fn a_value_too_long_for_any_frame_is_not_written() {
        let long = || vec![(vec![1], vec![0; 2_000])];
        let parts = split(long(), 1_000, |(_, value)| value.len());
        assert_eq!(parts.len(), 1);
        assert!(encoded(&Frame::Copy(long()), 1_000).is_err());
    }

    #[test]
    fn what_fits_is_one_frame() {
        assert_eq!(split(vec![1, 2, 3], 10_000, |_| 100), [[1, 2, 3]]);
        assert!(split(Vec::<u8>::new(), 10_000, |_| 100).is_empty());
    }
}
