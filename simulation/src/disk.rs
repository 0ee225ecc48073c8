//! A disk that keeps what was synced, and of the rest, at a power loss, a random part.
//!
//! The log's files lie on it. A write that was not synced may be on the disk after a power loss,
//! or not, or in some of its sectors; a name that was not synced may be there or not, the later ones
//! only if the earlier ones are. A process that is killed loses nothing. Faults are armed ahead: the
//! n-th operation from now fails, or takes the power away.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use notty_raft::disk::files::{File, Files};
use parking_lot::Mutex;
use rand::{Rng, rngs::StdRng};

/// What reaches the disk whole or not at all.
const SECTOR: usize = 512;

/// What happens to the operations of a disk from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// Writes fail: it is full.
    Writes,
    /// Syncs fail.
    Syncs,
    /// The power is gone at this operation, in the middle of it.
    Power,
}

#[derive(Clone, Debug)]
enum Change {
    Put(u64, Vec<u8>),
    Cut(u64),
}

#[derive(Clone, Debug, Default)]
struct Body {
    now: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Change>,
}

type Shared = Arc<Mutex<Body>>;

#[derive(Clone)]
enum Naming {
    Give(PathBuf, Shared),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Default)]
struct Inner {
    names: BTreeMap<PathBuf, Shared>,
    synced_names: BTreeMap<PathBuf, Shared>,
    unsynced_names: Vec<Naming>,
    armed: Option<(u64, DiskFault)>,
    struck: Option<DiskFault>,
}

/// Told when an armed fault strikes.
pub type OnFault = Arc<dyn Fn(DiskFault) + Send + Sync>;

/// A disk; clones share it.
#[derive(Clone)]
pub struct SimDisk {
    inner: Arc<Mutex<Inner>>,
    on_fault: OnFault,
}

impl SimDisk {
    /// An empty one; `on_fault` is told when an armed fault strikes.
    pub fn new(on_fault: OnFault) -> Self {
        Self {
            inner: Arc::default(),
            on_fault,
        }
    }

    /// From the n-th operation on, a fault strikes.
    pub fn arm(&self, operations: u64, fault: DiskFault) {
        self.inner.lock().armed = Some((operations, fault));
    }

    /// No fault is armed, and none strikes any more.
    pub fn mend(&self) {
        let mut inner = self.inner.lock();
        (inner.armed, inner.struck) = (None, None);
    }

    /// Everything on it is gone.
    pub fn wipe(&self) {
        *self.inner.lock() = Inner::default();
    }

    /// What a power loss leaves.
    pub fn lose_power(&self, rng: &mut StdRng) {
        let mut inner = self.inner.lock();
        let kept = rng.random_range(0..=inner.unsynced_names.len());
        let namings: Vec<_> = inner.unsynced_names.drain(..).take(kept).collect();
        let mut names = std::mem::take(&mut inner.synced_names);
        namings
            .into_iter()
            .for_each(|naming| apply(&mut names, naming));
        for body in names.values_mut() {
            // A copy: whoever holds the file still must not change it any more.
            let left = settle(&body.lock(), rng);
            *body = Arc::new(Mutex::new(left));
        }
        (inner.synced_names, inner.names) = (names.clone(), names);
        (inner.armed, inner.struck) = (None, None);
    }

    /// What the death of the process leaves: everything that was written.
    pub fn lose_process(&self) {
        let mut inner = self.inner.lock();
        (inner.armed, inner.struck) = (None, None);
    }

    /// A copy of what is synced now.
    pub fn copy(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let inner = self.inner.lock();
        let synced = inner.synced_names.iter();
        synced
            .map(|(path, body)| (path.clone(), body.lock().synced.clone()))
            .collect()
    }

    /// Puts a copy in place of everything.
    pub fn restore(&self, copy: &BTreeMap<PathBuf, Vec<u8>>) {
        let body = |bytes: &Vec<u8>| Body {
            now: bytes.clone(),
            synced: bytes.clone(),
            unsynced: Vec::new(),
        };
        let names = copy
            .iter()
            .map(|(path, bytes)| (path.clone(), Arc::new(Mutex::new(body(bytes)))));
        let names: BTreeMap<_, _> = names.collect();
        *self.inner.lock() = Inner {
            synced_names: names.clone(),
            names,
            ..Inner::default()
        };
    }

    /// Counts an operation and strikes if it is its turn. The first half of a write may come
    /// through.
    fn operation(&self, is_sync: bool) -> io::Result<()> {
        let mut inner = self.inner.lock();
        if let Some((left, fault)) = &mut inner.armed {
            *left = left.saturating_sub(1);
            if *left == 0 {
                let fault = *fault;
                inner.armed = None;
                inner.struck = Some(fault);
                drop(inner);
                if fault == DiskFault::Power {
                    (self.on_fault)(fault);
                }
                return self.operation(is_sync);
            }
        }
        let fails = match inner.struck {
            None => false,
            Some(DiskFault::Writes) => !is_sync,
            Some(DiskFault::Syncs) => is_sync,
            Some(DiskFault::Power) => true,
        };
        let struck = inner.struck;
        drop(inner);
        match struck.filter(|_| fails) {
            Some(fault) => {
                (self.on_fault)(fault);
                Err(io::Error::other(match fault {
                    DiskFault::Writes => "no space left on device (simulated)",
                    DiskFault::Syncs => "input/output error (simulated)",
                    DiskFault::Power => "the power is gone (simulated)",
                }))
            }
            None => Ok(()),
        }
    }
}

fn apply(names: &mut BTreeMap<PathBuf, Shared>, naming: Naming) {
    match naming {
        Naming::Give(path, body) => {
            names.insert(path, body);
        }
        Naming::Rename(from, to) => {
            if let Some(body) = names.remove(&from) {
                names.insert(to, body);
            }
        }
        Naming::Remove(path) => {
            names.remove(&path);
        }
    }
}

/// What is left of a file: each change that was not synced may be there, or some of its sectors.
fn settle(body: &Body, rng: &mut StdRng) -> Body {
    let mut bytes = body.synced.clone();
    for change in &body.unsynced {
        match (change, rng.random_range(0..4)) {
            (_, 0) => {}
            (Change::Cut(len), _) => bytes.truncate(*len as usize),
            (Change::Put(at, put), how) => {
                let mut at = *at as usize;
                for sector in put.chunks(SECTOR) {
                    if how != 1 || rng.random_bool(0.5) {
                        write(&mut bytes, at, sector);
                    }
                    at += sector.len();
                }
            }
        }
    }
    Body {
        now: bytes.clone(),
        synced: bytes,
        unsynced: Vec::new(),
    }
}

fn write(bytes: &mut Vec<u8>, at: usize, put: &[u8]) {
    let end = at + put.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[at..end].copy_from_slice(put);
}

impl Files for SimDisk {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let inner = self.inner.lock();
        let inside = inner.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut inner = self.inner.lock();
        let known = inner.names.get(path).cloned();
        let body = known.unwrap_or_else(|| {
            let body = Shared::default();
            inner.names.insert(path.to_owned(), body.clone());
            inner
                .unsynced_names
                .push(Naming::Give(path.to_owned(), body.clone()));
            body
        });
        Ok(Arc::new(SimFile {
            body,
            disk: self.clone(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operation(false)?;
        let naming = Naming::Rename(from.to_owned(), to.to_owned());
        let mut inner = self.inner.lock();
        apply(&mut inner.names, naming.clone());
        inner.unsynced_names.push(naming);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operation(false)?;
        let mut inner = self.inner.lock();
        apply(&mut inner.names, Naming::Remove(path.to_owned()));
        inner.unsynced_names.push(Naming::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        self.operation(true)?;
        let mut inner = self.inner.lock();
        inner.unsynced_names.clear();
        inner.synced_names = inner.names.clone();
        Ok(())
    }
}

struct SimFile {
    body: Shared,
    disk: SimDisk,
}

impl File for SimFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.body.lock().now.len() as u64)
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let body = self.body.lock();
        let range = offset as usize..offset as usize + bytes.len();
        bytes.copy_from_slice(body.now.get(range).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let allowed = self.disk.operation(false);
        // A write that fails may have come through in part.
        let part = if allowed.is_ok() {
            bytes
        } else {
            &bytes[..bytes.len() / 2]
        };
        let mut body = self.body.lock();
        write(&mut body.now, offset as usize, part);
        body.unsynced.push(Change::Put(offset, part.to_vec()));
        allowed
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.disk.operation(false)?;
        let mut body = self.body.lock();
        body.now.truncate(len as usize);
        body.unsynced.push(Change::Cut(len));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.operation(true)?;
        let mut body = self.body.lock();
        body.unsynced.clear();
        body.synced = body.now.clone();
        Ok(())
    }
}
