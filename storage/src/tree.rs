//! The ordered keys and values under the state: the only file that names sled.
//!
//! sled keeps them on a disk; [`MemoryStates`](crate::memory::MemoryStates) keep them in memory,
//! for simulations. Both write a batch whole or not at all, and lose at a crash only what was not
//! flushed.
//!
//! What sled does by itself is kept from it here. A handle that is dropped would flush, its error
//! would be lost, and after a flush that failed the next one would wait for ever. So handles flush
//! only where they are told to, one at a time; after one that failed nothing is flushed any more,
//! and the database is never closed. A panic inside sled is an error like any other.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use parking_lot::Mutex;

use crate::{error::Error, memory::MemoryTree, options::StoreOptions, sled_files, writes::Writes};

/// Keys of one leaf of sled: small, because values reach 16 KB and a leaf is written whole.
const LEAF_FANOUT: usize = 16;

/// Handles of the tree kept for readers to come, at most: more than there are threads.
const IDLE_TREES: usize = 1_024;

/// How often sled flushes by itself, in milliseconds: never. Without any number here, each handle
/// flushes when it is dropped, those inside of sled's iterators too.
const FLUSH_NEVER_MS: usize = usize::MAX;

/// A handle of the tree that holds the state.
pub(crate) enum Tree {
    Sled(SledTree),
    Memory(MemoryTree),
}

/// A handle of sled's. It goes before its database does, so that it is never the last.
pub(crate) struct SledTree {
    tree: Box<sled::Tree<LEAF_FANOUT>>,
    home: Arc<Home>,
}

/// A database of sled's, open as long as anyone has a handle.
struct Home {
    // Empty only while it is dropped.
    db: Option<Mutex<sled::Db<LEAF_FANOUT>>>,
    /// Held by the one flush at a time; with what it said, if one has failed.
    flushing: Mutex<Option<(io::ErrorKind, String)>>,
}

/// Handles of the tree: one of sled's serves one thread at a time, and making one is not cheap.
pub(crate) struct Trees {
    original: Mutex<Tree>,
    idle: Mutex<Vec<Tree>>,
}

impl Tree {
    fn handle(&self) -> Self {
        match self {
            Tree::Sled(SledTree { tree, home }) => Tree::Sled(SledTree {
                tree: tree.clone(),
                home: home.clone(),
            }),
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
            Tree::Sled(SledTree { tree, .. }) => {
                let found = caught(|| tree.get(key)).map_err(Error::sled("read"))?;
                Ok(read(found.as_deref().filter(|value| !is_cleared(value))))
            }
            Tree::Memory(tree) => tree.with_bytes(key, read).map_err(Error::sled("read")),
        }
    }

    /// Keys and values from `from` on, in order, until `take` says stop.
    pub(crate) fn scan(
        &self,
        from: &[u8],
        take: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error> {
        let scanned = match self {
            Tree::Sled(tree) => tree.scan(from, take),
            Tree::Memory(tree) => tree.scan(from, take),
        };
        scanned.map_err(Error::sled("scan"))
    }

    /// Reads damage as if it were none, or not: only in memory, where it is none.
    pub(crate) fn see_through(&mut self, sees_through: bool) {
        if let Tree::Memory(tree) = self {
            tree.see_through(sees_through);
        }
    }

    /// Writes a batch, whole or not at all.
    pub(crate) fn write(&self, writes: &Writes, context: &'static str) -> Result<(), Error> {
        match self {
            Tree::Sled(SledTree { tree, .. }) => {
                // Unlike a read, a batch of sled's does not ask whether something failed before.
                let applied = caught(|| {
                    tree.check_error()?;
                    tree.apply_batch(batch(writes))
                });
                applied.map_err(Error::sled(context))?;
                clear(tree, writes)
            }
            Tree::Memory(tree) => tree.write(writes).map_err(Error::sled(context)),
        }
    }

    /// Makes everything written before the call survive a crash. Once this has failed, it fails at
    /// once.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        let flushed = match self {
            Tree::Sled(SledTree { tree, home }) => home.flush(tree),
            Tree::Memory(tree) => tree.flush(),
        };
        flushed.map_err(Error::sled("flush"))
    }

    /// Whether a flush would not come to its end: only in a simulation, which cannot wait for it.
    pub(crate) fn flush_hangs(&self) -> bool {
        match self {
            Tree::Sled(_) => false,
            Tree::Memory(tree) => tree.flush_hangs(),
        }
    }
}

impl SledTree {
    /// sled's iterator holds a handle of its own, whose end flushes nothing
    /// ([`FLUSH_NEVER_MS`]); what failed on the way without an answer is asked for afterwards.
    fn scan(&self, from: &[u8], mut take: impl FnMut(&[u8], &[u8]) -> bool) -> io::Result<()> {
        let mut pairs = self.tree.range(from.to_vec()..);
        while let Some((key, value)) = caught(|| pairs.next().transpose())? {
            if !is_cleared(&value) && !take(&key, &value) {
                break;
            }
        }
        self.tree.check_error()
    }
}

impl Home {
    fn flush(&self, tree: &sled::Tree<LEAF_FANOUT>) -> io::Result<()> {
        let mut failed = self.flushing.lock();
        if let Some((kind, what)) = &*failed {
            return Err(io::Error::new(
                *kind,
                format!("an earlier flush failed: {what}"),
            ));
        }
        let flushed = caught(|| tree.flush().map(drop));
        if let Err(error) = &flushed {
            *failed = Some((error.kind(), error.to_string()));
        }
        flushed
    }
}

impl Drop for Home {
    /// Closes the database, if there is nothing that closing could still lose: sled flushes once
    /// more then, and would wait for ever for a flush that failed. Otherwise its memory stays
    /// taken.
    fn drop(&mut self) {
        let Some(db) = self.db.take().map(Mutex::into_inner) else {
            return;
        };
        let closes =
            !std::thread::panicking() && db.check_error().is_ok() && self.flush(&db).is_ok();
        if !closes {
            tracing::warn!("the state is not closed: its disk has failed, or it is damaged");
            std::mem::forget(db);
        }
    }
}

/// Runs a call of sled's; a panic inside it says as much of the data as an error does.
fn caught<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "panic inside the store of the state",
        ))
    })
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
        caught(|| tree.remove(key.as_slice())).map_err(Error::sled("remove"))?;
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
            return Ok(Self::new(Tree::Memory(states.open(dir))));
        }
        sled_files::check(dir).map_err(Error::sled("open"))?;
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity_bytes(options.cache_bytes)
            .flush_every_ms(Some(FLUSH_NEVER_MS))
            .zstd_compression_level(1);
        let db: sled::Db<LEAF_FANOUT> = caught(|| config.open()).map_err(Error::sled("open"))?;
        // The tree without a name: with named ones, sled reads their names when it opens, and hangs
        // where those are damaged.
        let tree = Box::new(sled::Tree::clone(&db));
        let home = Arc::new(Home {
            db: Some(Mutex::new(db)),
            flushing: Mutex::default(),
        });
        Ok(Self::new(Tree::Sled(SledTree { tree, home })))
    }

    fn new(tree: Tree) -> Self {
        Self {
            original: Mutex::new(tree),
            idle: Mutex::default(),
        }
    }

    /// A handle of its own.
    pub(crate) fn handle(&self) -> Tree {
        self.original.lock().handle()
    }

    /// See [`Tree::flush_hangs`].
    pub(crate) fn flush_hangs(&self) -> bool {
        self.original.lock().flush_hangs()
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
