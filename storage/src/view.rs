//! Reading handles: a [`View`] anyone may hold, and the [`Reader`] that it gives for a moment.
//!
//! One lock stands between readers and the store. An entry is worked out while others read, then goes
//! to the tree as one atomic batch while nobody does. So a reader sees whole entries only, though sled
//! has no snapshot reads. Readers hold the lock for microseconds: a page, never a scan.

use std::sync::{Arc, Weak, atomic::AtomicU64};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use crate::{
    before::Before,
    changes::{Changes, find_customer},
    error::Error,
    index::{Index, OpenMailing},
    model::{CustomerId, MailingNumber, Seq, Timestamp},
    records::{TimeSetting, WordKind, WordRecord},
    source::{Scan, Source},
    tree::{Tree, Trees},
};

/// All that the handles of one state share.
pub(crate) struct Shared {
    pub(crate) trees: Trees,
    pub(crate) index: RwLock<Index>,
    pub(crate) unflushed_bytes: AtomicU64,
    pub(crate) pins: Mutex<Vec<Weak<Before>>>,
}

/// A cheap, read-only handle on the state.
#[derive(Clone)]
pub struct View {
    shared: Arc<Shared>,
    sees_through: bool,
}

/// The state as of one entry, for as long as this lives. Never hold one across a wait.
pub struct Reader<'a> {
    // Empty only while it is dropped.
    tree: Option<Tree>,
    trees: &'a Trees,
    index: RwLockReadGuard<'a, Index>,
}

impl View {
    pub(crate) fn of(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            sees_through: false,
        }
    }

    /// The same, as if a state in memory were not damaged: for who judges in a simulation.
    pub fn past_damage(&self) -> Self {
        Self {
            sees_through: true,
            ..self.clone()
        }
    }

    /// Reads the state as of the entry applied last; entries wait while this is held.
    pub fn read(&self) -> Reader<'_> {
        let index = self.shared.index.read();
        let mut tree = self.shared.trees.take();
        tree.see_through(self.sees_through);
        Reader {
            tree: Some(tree),
            trees: &self.shared.trees,
            index,
        }
    }

    /// Has every entry from the next one on note what it replaces.
    pub(crate) fn note_from_now(&self, before: &Arc<Before>) {
        self.shared.pins.lock().push(Arc::downgrade(before));
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        // What a panic inside sled left behind is not used again.
        if let Some(tree) = self.tree.take().filter(|_| !std::thread::panicking()) {
            self.trees.give_back(tree);
        }
    }
}

impl Reader<'_> {
    /// The state with changes over it that nobody keeps: to see what a command would do.
    pub(crate) fn rehearse(&self, time: (Timestamp, TimeSetting)) -> Changes<'_> {
        Changes::new(self.tree(), &self.index, time)
    }

    fn tree(&self) -> &Tree {
        self.tree
            .as_ref()
            .expect("it is there until the reader is dropped")
    }
}

impl Scan for Reader<'_> {
    fn scan(&self, from: &[u8], take: impl FnMut(&[u8], &[u8]) -> bool) -> Result<(), Error> {
        self.tree().scan(from, take)
    }
}

impl Source for Reader<'_> {
    fn with_bytes<R>(&self, key: &[u8], read: impl FnOnce(Option<&[u8]>) -> R) -> Result<R, Error> {
        self.tree().with_bytes(key, read)
    }

    fn index(&self) -> &Index {
        &self.index
    }

    fn open_mailing(&self, number: MailingNumber) -> Option<OpenMailing> {
        self.index.mailings.open(number).cloned()
    }

    fn find_customer(&self, id: &CustomerId) -> Result<Option<Seq>, Error> {
        find_customer(self, id, [&self.index.ids])
    }

    fn word(&self, kind: WordKind, number: u32) -> Option<Arc<WordRecord>> {
        self.index.words(kind).get(number).cloned()
    }
}
