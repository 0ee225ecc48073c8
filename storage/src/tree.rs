//! The ordered keys and values under the state: the only file that names sled.
//!
//! sled keeps them on a disk; [`MemoryStates`](crate::memory::MemoryStates) keep them in memory,
//! for simulations. Both write a batch whole or not at all, and lose at a crash only what was not
//! flushed.

use std::path::Path;

use parking_lot::Mutex;

use crate::{changes::Writes, error::Error, memory::MemoryTree, store::StoreOptions};

/// Keys of one leaf of sled: small, because values reach 16 KB and a leaf is written whole.
const LEAF_FANOUT: usize = 16;

/// Handles of the tree kept for readers to come, at most: more than there are threads, because
/// sled flushes when one is dropped.
const IDLE_TREES: usize = 1_024;

/// A handle of the tree that holds the state.
pub(crate) enum Tree {
    Sled(Box<sled::Tree<LEAF_FANOUT>>),
    Memory(MemoryTree),
}

/// Handles of the tree: one of sled's serves one thread at a time, and making one is not cheap.
pub(crate) struct Trees {
    original: Mutex<Tree>,
    idle: Mutex<Vec<Tree>>,
    // Keeps the database open as long as anyone reads from it.
    _db: Option<Mutex<sled::Db<LEAF_FANOUT>>>,
}

impl Tree {
    fn handle(&self) -> Self {
        match self {
            Tree::Sled(tree) => Tree::Sled(tree.clone()),
            Tree::Memory(tree) => Tree::Memory(tree.clone()),
        }
    }

    /// Calls `read` with the bytes under a key.
    pub(crate) fn with_bytes<R>(
        &self,
        key: &[u8],
        read: impl FnOnce(Option<&[u8]>) -> R,
    ) -> Result<R, Error> {
        match self {
            Tree::Sled(tree) => {
                let found = tree.get(key).map_err(Error::sled("read"))?;
                Ok(read(found.as_deref().filter(|value| !is_cleared(value))))
            }
            Tree::Memory(tree) => Ok(tree.with_bytes(key, read)),
        }
    }

    /// Keys and values from `from` on, in order, until `take` says stop.
    pub(crate) fn scan(
        &self,
        from: &[u8],
        mut take: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error> {
        let tree = match self {
            Tree::Sled(tree) => tree,
            Tree::Memory(tree) => {
                tree.scan(from, take);
                return Ok(());
            }
        };
        for pair in tree.range(from.to_vec()..) {
            let (key, value) = pair.map_err(Error::sled("scan"))?;
            if !is_cleared(&value) && !take(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    /// Writes a batch, whole or not at all.
    pub(crate) fn write(&self, writes: &Writes, context: &'static str) -> Result<(), Error> {
        match self {
            Tree::Sled(tree) => {
                tree.apply_batch(batch(writes)).map_err(Error::sled(context))?;
                clear(tree, writes)
            }
            Tree::Memory(tree) => {
                tree.write(writes);
                Ok(())
            }
        }
    }

    /// Makes everything written before the call survive a crash.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        let flushed = match self {
            Tree::Sled(tree) => tree.flush().map(|_| ()),
            Tree::Memory(tree) => tree.flush(),
        };
        flushed.map_err(Error::sled("flush"))
    }
}

/// Whether a key counts as removed: no record is empty, for its format byte leads it.
fn is_cleared(value: &[u8]) -> bool {
    value.is_empty()
}

/// Takes keys that an applied batch cleared out of the tree. A batch of sled's cannot do that
/// well: it leaves emptied leaves behind, which cost memory and time for ever. A crash in between
/// leaves an empty value, which reads as none.
fn clear(tree: &sled::Tree<LEAF_FANOUT>, writes: &Writes) -> Result<(), Error> {
    for (key, _) in writes.iter().filter(|(_, value)| value.is_none()) {
        tree.remove(key.as_slice()).map_err(Error::sled("remove"))?;
    }
    Ok(())
}

fn batch(writes: &Writes) -> sled::Batch {
    let mut batch = sled::Batch::default();
    for (key, value) in writes {
        match value {
            Some(value) => batch.insert(key.as_slice(), value.as_slice()),
            None => batch.insert(key.as_slice(), []),
        }
    }
    batch
}

impl Trees {
    /// Opens the tree in a directory, or makes an empty one there.
    pub(crate) fn open(dir: &Path, options: &StoreOptions) -> Result<Self, Error> {
        if let Some(states) = &options.memory {
            return Ok(Self::new(Tree::Memory(states.open(dir)), None));
        }
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity_bytes(options.cache_bytes)
            .flush_every_ms(None)
            .zstd_compression_level(1);
        let db: sled::Db<LEAF_FANOUT> = config.open().map_err(Error::sled("open"))?;
        let tree = db.open_tree("state").map_err(Error::sled("open tree"))?;
        Ok(Self::new(Tree::Sled(Box::new(tree)), Some(Mutex::new(db))))
    }

    fn new(tree: Tree, db: Option<Mutex<sled::Db<LEAF_FANOUT>>>) -> Self {
        Self { original: Mutex::new(tree), idle: Mutex::default(), _db: db }
    }

    /// A handle of its own.
    pub(crate) fn handle(&self) -> Tree {
        self.original.lock().handle()
    }

    /// A handle for a while.
    pub(crate) fn take(&self) -> Tree {
        let idle = self.idle.lock().pop();
        idle.unwrap_or_else(|| self.handle())
    }

    /// The handle is free again.
    pub(crate) fn give_back(&self, tree: Tree) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_TREES {
            idle.push(tree);
        }
    }
}
