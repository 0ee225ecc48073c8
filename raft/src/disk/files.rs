//! The files that the log is kept in, as a seam: the real ones, and ones in memory that lose
//! what was not synced.
//!
//! The log writes through [`Files`] alone, so that a test or a simulation can take away, at a
//! crash, any part of what was not yet synced, and can fail a sync. Nothing here knows what is in
//! a file.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

/// Where files are kept. Paths are whole paths; directories must exist before files in them.
pub trait Files: Send + Sync + 'static {
    /// Makes a directory and those above it.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Names of the files in a directory, in order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Opens a file to read and write, making an empty one if it is missing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Gives a file another name, in place of what has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; one that is missing is no error.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory survive a crash.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// One open file.
pub trait File: Send + Sync {
    /// Its length in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Reads as many bytes as `bytes` has, from an offset on.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;
    /// Writes all bytes at an offset.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts it to a length.
    fn cut(&self, len: u64) -> io::Result<()>;
    /// Makes its bytes and length survive a crash (`fdatasync`).
    fn sync(&self) -> io::Result<()>;

    /// The whole of it.
    fn read_all(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.size()? as usize];
        self.read_at(0, &mut bytes)?;
        Ok(bytes)
    }
}

/// Writes a small file so that after a crash it holds either the old or the new bytes.
pub fn replace(files: &dyn Files, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("new");
    files.remove(&aside)?;
    let file = files.open(&aside)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    files.rename(&aside, path)?;
    files.sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// The files of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFiles;

impl Files for RealFiles {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        Ok(Arc::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }
}

impl File for fs::File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(bytes, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// What one file in memory holds now, and what it would hold after a crash.
#[derive(Clone, Debug, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
}

type Shared = Arc<Mutex<Content>>;

#[derive(Debug, Default)]
struct Disk {
    /// Files by path, as programs see them.
    names: BTreeMap<PathBuf, Shared>,
    /// Files by path, as a crash would leave them: names not yet synced are lost.
    synced_names: BTreeMap<PathBuf, Shared>,
    fail_syncs: bool,
}

/// Files in memory. [`MemoryFiles::crash`] takes away what was not synced.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    disk: Arc<Mutex<Disk>>,
}

impl MemoryFiles {
    /// Empty ones.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a crash leaves: names and bytes that were synced, and of the bytes written to a file
    /// since its last sync as many as `keep` says, given how many there are.
    pub fn crash(&self, mut keep: impl FnMut(usize) -> usize) {
        let mut disk = self.disk.lock();
        disk.names = disk.synced_names.clone();
        for content in disk.names.values() {
            let mut content = content.lock();
            let appended = content.now.len().saturating_sub(content.synced.len());
            let kept = content.synced.len() + keep(appended).min(appended);
            let prefix_same = content.now.starts_with(&content.synced);
            let after = match prefix_same {
                true => content.now[..kept].to_vec(),
                false => content.synced.clone(),
            };
            *content = Content {
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
        let content = Content {
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
    content: Shared,
    disk: Arc<Mutex<Disk>>,
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
