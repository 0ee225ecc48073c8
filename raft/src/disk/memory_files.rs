//! Files in memory that lose, at a crash, what was not synced: for tests of the log.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::disk::files::{File, Files};

/// Bytes of one file: as programs see them, and as a crash would leave them.
#[derive(Clone, Debug, Default)]
struct MemoryBytes {
    now: Vec<u8>,
    synced: Vec<u8>,
}

type SharedBytes = Arc<Mutex<MemoryBytes>>;

#[derive(Debug, Default)]
struct MemoryDisk {
    /// Files by path, as programs see them.
    names: BTreeMap<PathBuf, SharedBytes>,
    /// Files by path, as a crash would leave them: names not yet synced are lost.
    synced_names: BTreeMap<PathBuf, SharedBytes>,
    fail_syncs: bool,
}

/// Files in memory. [`MemoryFiles::crash`] takes away what was not synced.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    disk: Arc<Mutex<MemoryDisk>>,
}

impl MemoryFiles {
    /// Makes an empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Crashes. Names and bytes that were synced stay, and of the bytes written to a file since its last
    /// sync as many as `keep` returns, given their number.
    pub fn crash(&self, mut keep: impl FnMut(usize) -> usize) {
        let mut disk = self.disk.lock();
        disk.names = disk.synced_names.clone();
        for content in disk.names.values() {
            let mut content = content.lock();
            let appended = content.now.len().saturating_sub(content.synced.len());
            let kept = content.synced.len() + keep(appended).min(appended);

            // Bytes that were overwritten in place come back as they were.
            let was_appended_to = content.now.starts_with(&content.synced);
            let after = if was_appended_to {
                content.now[..kept].to_vec()
            } else {
                content.synced.clone()
            };
            *content = MemoryBytes {
                synced: after.clone(),
                now: after,
            };
        }
    }

    /// From now on each sync fails, as on a disk that is full or broken.
    pub fn fail_syncs(&self, fail: bool) {
        self.disk.lock().fail_syncs = fail;
    }

    /// The bytes of a file as programs see them.
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        self.disk
            .lock()
            .names
            .get(path)
            .map(|content| content.lock().now.clone())
    }

    /// Puts bytes in place of a file's, synced: damage, or what an older version wrote.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        // Names and bytes are synced: a crash must not take them away again.
        let content = MemoryBytes {
            synced: bytes.clone(),
            now: bytes,
        };
        let content = Arc::new(Mutex::new(content));

        let mut disk = self.disk.lock();
        disk.names.insert(path.to_owned(), content.clone());
        disk.synced_names.insert(path.to_owned(), content);
    }
}

impl Files for MemoryFiles {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let disk = self.disk.lock();
        let inside = disk.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let content = self
            .disk
            .lock()
            .names
            .entry(path.to_owned())
            .or_default()
            .clone();
        Ok(Arc::new(MemoryFile {
            content,
            disk: self.disk.clone(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let content = disk.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        disk.names.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.lock().names.remove(path);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        if disk.fail_syncs {
            return Err(io::Error::other("sync failed"));
        }

        // Names that are gone do not come back after a crash either.
        disk.synced_names
            .retain(|path, _| path.parent() != Some(dir));
        let inside: Vec<_> = disk
            .names
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir))
            .map(|(path, file)| (path.clone(), file.clone()))
            .collect();
        disk.synced_names.extend(inside);
        Ok(())
    }
}

struct MemoryFile {
    content: SharedBytes,
    disk: Arc<Mutex<MemoryDisk>>,
}

impl File for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.content.lock().now.len() as u64)
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let content = self.content.lock();
        let range = offset as usize..offset as usize + bytes.len();
        bytes.copy_from_slice(content.now.get(range).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut content = self.content.lock();
        let end = offset as usize + bytes.len();
        if content.now.len() < end {
            content.now.resize(end, 0);
        }
        content.now[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.content.lock().now.truncate(len as usize);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.disk.lock().fail_syncs {
            return Err(io::Error::other("sync failed"));
        }
        let mut content = self.content.lock();
        content.synced = content.now.clone();
        Ok(())
    }
}
