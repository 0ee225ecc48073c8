//! The whole state out into one checked file.
//!
//! sled has no snapshot reads. So while the state is copied, chunk by chunk in the order of keys,
//! the changes of every entry applied meanwhile are appended to the same file; a fuzzy copy
//! followed by all changes made during it is exact. One lock around the writer keeps the order:
//! a chunk is read and written under it, so a change never comes before the copy of what it
//! replaced.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::{Mutex, MutexGuard};

use crate::{
    error::Error,
    frames::{Changed, FRAME_BYTES, Frame, MAGIC, Pairs, encoded, split},
    records::Meta,
    source::Scan,
    view::View,
    writes::Writes,
};

/// Bytes of one chunk, about: the longest that applying may wait for an export.
const CHUNK_BYTES: usize = 32 * 1024;
/// Bytes between two syncs while writing, so that the log's own syncs do not stall behind one
/// large one.
const SYNC_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes that an export leaves free on its disk: the log and the state go on writing there, and a
/// disk without room for them is the end of the node.
const ROOM_BYTES: u64 = 32 * 1024 * 1024;
/// The part of a small disk that is left free instead.
const ROOM_PART: u64 = 16;

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
