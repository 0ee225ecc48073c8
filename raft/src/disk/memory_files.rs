//! Files in memory that lose, at a crash, what was not synced: the disk of the log's tests.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use super::files::{File, Files};

/// The bytes of one file in memory: now, and after a crash.
#[derive(Clone, Debug, Default)]
struct FileContent {
    now: Vec<u8>,
    synced: Vec<u8>,
}

type SharedContent = Arc<Mutex<FileContent>>;

#[derive(Debug, Default)]
struct MemoryDisk {
    /// Files by path, as programs see them.
    names: BTreeMap<PathBuf, SharedContent>,
    /// Files by path, as a crash would leave them: names not yet synced are lost.
    synced_names: BTreeMap<PathBuf, SharedContent>,
    fail_syncs: bool,
}

/// Files in memory. [`MemoryFiles::crash`] takes away what was not synced.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryFiles {
    disk: Arc<Mutex<MemoryDisk>>,
}

impl MemoryFiles {
    /// A disk without any file.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Keeps what a crash leaves: names and bytes that were synced, and of the bytes written to a
    /// file since its last sync as many as `keep` returns for their number.
    pub(crate) fn crash(&self, mut keep: impl FnMut(usize) -> usize) {
        let mut disk = self.disk.lock();
        disk.names = disk.synced_names.clone();
        for content in disk.names.values() {
            let mut content = content.lock();
            let appended = content.now.len().saturating_sub(content.synced.len());
            let kept = content.synced.len() + keep(appended).min(appended);
            let only_grew = content.now.starts_with(&content.synced);
            let after = if only_grew {
                content.now[..kept].to_vec()
            } else {
                content.synced.clone()
            };
            *content = FileContent {
                synced: after.clone(),
                now: after,
            };
        }
    }

    /// From now on each sync fails, as on a disk that is full or broken.
    pub(crate) fn fail_syncs(&self, fail: bool) {
        self.disk.lock().fail_syncs = fail;
    }

    /// The bytes of a file as programs see them.
    pub(crate) fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        self.disk
            .lock()
            .names
            .get(path)
            .map(|content| content.lock().now.clone())
    }

    /// Puts bytes in place of a file's, synced: damage, or what an older version wrote.
    pub(crate) fn put(&self, path: &Path, bytes: Vec<u8>) {
        let content = FileContent {
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
        disk.synced_names
            .retain(|path, _| path.parent() != Some(dir));
        let inside = disk
            .names
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir));
        let inside: Vec<_> = inside
            .map(|(path, file)| (path.clone(), file.clone()))
            .collect();
        disk.synced_names.extend(inside);
        Ok(())
    }
}

struct MemoryFile {
    content: SharedContent,
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
