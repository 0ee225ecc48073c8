//! States in memory: the same batches as on a disk, and crashes that take what was not flushed.
//!
//! For simulations: many nodes in one process, one thread, no disk. Like sled's, a batch is written
//! whole or not at all, and what was written since the last flush may be lost, the latest first.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::{Mutex, RwLock};

use crate::changes::Writes;

/// Values by key.
type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// One state: as it is read, as a crash would leave it at worst, and what lies between.
#[derive(Debug, Default)]
struct Content {
    now: Pairs,
    flushed: Pairs,
    unflushed: Vec<Writes>,
    flushes_fail: bool,
}

/// States by the path that they would have on a disk; clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryStates {
    states: Arc<Mutex<BTreeMap<PathBuf, MemoryTree>>>,
}

/// One state.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryTree {
    content: Arc<RwLock<Content>>,
}

impl MemoryStates {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn open(&self, path: &Path) -> MemoryTree {
        self.states.lock().entry(path.to_owned()).or_default().clone()
    }

    /// What a crash leaves: of the batches of each state that were not flushed, as many as `keep`
    /// says, given how many there are. Whoever has one open keeps a copy that counts no more.
    pub fn crash(&self, mut keep: impl FnMut(usize) -> usize) {
        for tree in self.states.lock().values_mut() {
            let (mut flushed, unflushed) = {
                let left = tree.content.read();
                (left.flushed.clone(), left.unflushed.clone())
            };
            let kept = keep(unflushed.len()).min(unflushed.len());
            unflushed[..kept].iter().for_each(|writes| put(&mut flushed, writes));
            let content = Content { now: flushed.clone(), flushed, ..Content::default() };
            *tree = MemoryTree { content: Arc::new(RwLock::new(content)) };
        }
    }

    /// A copy of everything as a crash now would leave it at worst: what a copy of the disk holds.
    pub fn copy(&self) -> Self {
        let states = self.states.lock();
        let copies = states.iter().map(|(path, tree)| {
            let flushed = tree.content.read().flushed.clone();
            let content = Content { now: flushed.clone(), flushed, ..Content::default() };
            (path.clone(), MemoryTree { content: Arc::new(RwLock::new(content)) })
        });
        Self { states: Arc::new(Mutex::new(copies.collect())) }
    }

    /// Puts a copy in place of everything.
    pub fn put_back(&self, copy: &Self) {
        *self.states.lock() = std::mem::take(&mut copy.states.lock());
    }

    /// All of them are gone.
    pub fn wipe(&self) {
        self.states.lock().clear();
    }

    /// From now on each flush fails, as on a disk that is full or broken.
    pub fn fail_flushes(&self, fail: bool) {
        self.states.lock().values().for_each(|tree| tree.content.write().flushes_fail = fail);
    }
}

impl Content {
    fn flush(&mut self) {
        for writes in self.unflushed.drain(..) {
            put(&mut self.flushed, &writes);
        }
    }
}

fn put(pairs: &mut Pairs, writes: &Writes) {
    for (key, value) in writes {
        match value {
            Some(value) => pairs.insert(key.clone(), value.clone()),
            None => pairs.remove(key),
        };
    }
}

impl MemoryTree {
    pub(crate) fn with_bytes<R>(&self, key: &[u8], read: impl FnOnce(Option<&[u8]>) -> R) -> R {
        read(self.content.read_recursive().now.get(key).map(Vec::as_slice))
    }

    pub(crate) fn scan(&self, from: &[u8], mut take: impl FnMut(&[u8], &[u8]) -> bool) {
        let content = self.content.read_recursive();
        let mut pairs = content.now.range(from.to_vec()..);
        while pairs.next().is_some_and(|(key, value)| take(key, value)) {}
    }

    pub(crate) fn write(&self, writes: &Writes) {
        let mut content = self.content.write();
        put(&mut content.now, writes);
        content.unflushed.push(writes.clone());
    }

    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut content = self.content.write();
        if content.flushes_fail {
            return Err(io::Error::other("flush failed"));
        }
        content.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(tree: &MemoryTree, n: u8) {
        tree.write(&Writes::from([(vec![0], Some(vec![n])), (vec![n], Some(vec![n]))]));
    }

    fn keys(tree: &MemoryTree) -> Vec<u8> {
        let mut keys = Vec::new();
        tree.scan(&[1], |key, _| {
            keys.push(key[0]);
            true
        });
        keys
    }

    #[test]
    fn a_crash_takes_the_latest_unflushed_batches_whole() {
        let states = MemoryStates::new();
        let tree = states.open(Path::new("a"));
        (1..=2).for_each(|n| write(&tree, n));
        tree.flush().expect("flushes");
        (3..=5).for_each(|n| write(&tree, n));
        states.crash(|unflushed| unflushed - 2);
        let left = states.open(Path::new("a"));
        assert_eq!(keys(&left), [1, 2, 3]);
        assert_eq!(left.with_bytes(&[0], |bytes| bytes.map(<[u8]>::to_vec)), Some(vec![3]));
        write(&tree, 9);
        assert_eq!(keys(&left), [1, 2, 3], "a handle from before the crash writes no more");
    }
}
