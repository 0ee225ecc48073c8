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

use crate::writes::Writes;

/// Values by key.
type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// One state: as it is read, as a crash would leave it at worst, and what lies between.
#[derive(Debug, Default)]
struct Content {
    now: Pairs,
    flushed: Pairs,
    unflushed: Vec<Writes>,
    flushes: Flushes,
    /// Keys that cannot be read or replaced any more, as those of a damaged leaf of sled's: from
    /// the first on, before the second, which is none at the end of all.
    damaged: Option<(Vec<u8>, Option<Vec<u8>>)>,
}

/// What comes of flushes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flushes {
    /// What was written is safe.
    #[default]
    Succeed,
    /// They fail, as on a disk that is full or broken.
    Fail,
    /// They do not come to an end.
    Hang,
}

/// Keys that lie in one leaf, as many as in one of sled's.
const LEAF_KEYS: usize = 16;

/// States by the path that they would have on a disk; clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryStates {
    states: Arc<Mutex<BTreeMap<PathBuf, MemoryTree>>>,
}

/// One state.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryTree {
    content: Arc<RwLock<Content>>,
    /// Whether damage is read as if it were none.
    sees_through: bool,
}

impl MemoryStates {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn open(&self, path: &Path) -> MemoryTree {
        self.states
            .lock()
            .entry(path.to_owned())
            .or_default()
            .clone()
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
            unflushed[..kept]
                .iter()
                .for_each(|writes| put(&mut flushed, writes));
            let damaged = tree.content.read().damaged.clone();
            let now = flushed.clone();
            let content = Content {
                now,
                flushed,
                damaged,
                ..Content::default()
            };
            *tree = MemoryTree::of(content);
        }
    }

    /// A copy of everything as a crash now would leave it at worst: what a copy of the disk holds.
    pub fn copy(&self) -> Self {
        let states = self.states.lock();
        let copies = states.iter().map(|(path, tree)| {
            let (flushed, damaged) = {
                let content = tree.content.read();
                (content.flushed.clone(), content.damaged.clone())
            };
            let now = flushed.clone();
            let content = Content {
                now,
                flushed,
                damaged,
                ..Content::default()
            };
            (path.clone(), MemoryTree::of(content))
        });
        Self {
            states: Arc::new(Mutex::new(copies.collect())),
        }
    }

    /// Puts a copy in place of everything.
    pub fn put_back(&self, copy: &Self) {
        *self.states.lock() = std::mem::take(&mut copy.states.lock());
    }

    /// All of them are gone.
    pub fn wipe(&self) {
        self.states.lock().clear();
    }

    /// What comes of each flush from now on.
    pub fn set_flushes(&self, flushes: Flushes) {
        self.states
            .lock()
            .values()
            .for_each(|tree| tree.content.write().flushes = flushes);
    }

    /// Nothing is damaged any more, and flushes succeed.
    pub fn mend(&self) {
        for tree in self.states.lock().values() {
            let mut content = tree.content.write();
            (content.damaged, content.flushes) = (None, Flushes::default());
        }
    }

    /// Damages a leaf of each state, at so many thousandths of its keys: from now on, for good, what
    /// lies there can neither be read nor replaced.
    pub fn damage(&self, per_mille: usize) {
        for tree in self.states.lock().values() {
            let mut content = tree.content.write();
            let first = content.now.len().saturating_sub(1) * per_mille.min(1_000) / 1_000;
            let mut keys = content.now.keys().skip(first);
            let from = keys.next().cloned();
            let to = keys.nth(LEAF_KEYS - 1).cloned();
            content.damaged = from.map(|from| (from, to));
        }
    }
}

impl Content {
    fn flush(&mut self) {
        for writes in self.unflushed.drain(..) {
            put(&mut self.flushed, &writes);
        }
    }

    /// Whether what lies under a key checks out.
    fn check(&self, key: &[u8]) -> io::Result<()> {
        let damaged = self.damaged.as_ref().is_some_and(|(from, to)| {
            key >= from.as_slice() && to.as_ref().is_none_or(|to| key < to.as_slice())
        });
        match damaged {
            true => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "damaged leaf (simulated)",
            )),
            false => Ok(()),
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
    fn of(content: Content) -> Self {
        Self {
            content: Arc::new(RwLock::new(content)),
            sees_through: false,
        }
    }

    /// Reads damage as if it were none from now on, or no more.
    pub(crate) fn see_through(&mut self, sees_through: bool) {
        self.sees_through = sees_through;
    }

    fn check(&self, content: &Content, key: &[u8]) -> io::Result<()> {
        if self.sees_through {
            Ok(())
        } else {
            content.check(key)
        }
    }

    pub(crate) fn with_bytes<R>(
        &self,
        key: &[u8],
        read: impl FnOnce(Option<&[u8]>) -> R,
    ) -> io::Result<R> {
        let content = self.content.read_recursive();
        self.check(&content, key)?;
        Ok(read(content.now.get(key).map(Vec::as_slice)))
    }

    pub(crate) fn scan(
        &self,
        from: &[u8],
        mut take: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> io::Result<()> {
        let content = self.content.read_recursive();
        for (key, value) in content.now.range(from.to_vec()..) {
            self.check(&content, key)?;
            if !take(key, value) {
                break;
            }
        }
        Ok(())
    }

    pub(crate) fn write(&self, writes: &Writes) -> io::Result<()> {
        let mut content = self.content.write();
        writes.keys().try_for_each(|key| content.check(key))?;
        put(&mut content.now, writes);
        content.unflushed.push(writes.clone());
        Ok(())
    }

    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut content = self.content.write();
        match content.flushes {
            Flushes::Succeed => {
                content.flush();
                Ok(())
            }
            Flushes::Fail => Err(io::Error::other("flush failed")),
            Flushes::Hang => Err(io::Error::other("flush does not end")),
        }
    }

    pub(crate) fn flush_hangs(&self) -> bool {
        self.content.read_recursive().flushes == Flushes::Hang
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(tree: &MemoryTree, n: u8) {
        let writes = Writes::from([(vec![0], Some(vec![n])), (vec![n], Some(vec![n]))]);
        tree.write(&writes).expect("writes");
    }

    fn keys(tree: &MemoryTree) -> Vec<u8> {
        let mut keys = Vec::new();
        let scanned = tree.scan(&[1], |key, _| {
            keys.push(key[0]);
            true
        });
        scanned.expect("scans");
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
        let first = left.with_bytes(&[0], |bytes| bytes.map(<[u8]>::to_vec));
        assert_eq!(first.expect("reads"), Some(vec![3]));
        write(&tree, 9);
        assert_eq!(
            keys(&left),
            [1, 2, 3],
            "a handle from before the crash writes no more"
        );
    }

    #[test]
    fn damage_is_found_wherever_it_is_met_and_outlives_a_crash() {
        let states = MemoryStates::new();
        let tree = states.open(Path::new("a"));
        (1..=60).for_each(|n| write(&tree, n));
        tree.flush().expect("flushes");
        states.damage(500);
        let met = |tree: &MemoryTree| -> Vec<u8> {
            (1..=60)
                .filter(|n| tree.with_bytes(&[*n], |_| ()).is_err())
                .collect()
        };
        let hit = met(&tree);
        assert_eq!(hit.len(), LEAF_KEYS, "{hit:?}");
        assert!(tree.scan(&[1], |_, _| true).is_err());
        assert!(tree.scan(&[1], |key, _| key[0] + 1 < hit[0]).is_ok());
        let over = Writes::from([(vec![hit[0]], Some(vec![1])), (vec![1], Some(vec![9]))]);
        assert!(tree.write(&over).is_err());
        let first = tree.with_bytes(&[1], |bytes| bytes.map(<[u8]>::to_vec));
        assert_eq!(
            first.expect("reads"),
            Some(vec![1]),
            "a batch is written whole or not at all"
        );
        states.crash(|unflushed| unflushed);
        assert_eq!(met(&states.open(Path::new("a"))), hit);
    }
}
