//! The state on its disk.
//!
//! A [`Store`] belongs to the state machine alone: it applies entries, each as one atomic batch.
//! Everyone else holds a [`View`].
//!
//! sled is kept replaceable: what it holds can be rebuilt from the last snapshot and the log.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::{Mutex, RwLock};

use crate::{
    apply,
    changes::{Changes, Layer},
    codec,
    command::{Action, Entry, Outcome},
    error::Error,
    export::{Capture, Export, ExportSummary},
    index::Index,
    keys::{ClusterLevelKey, Key, MetaKey},
    level::needed_level,
    loading::build_index,
    options::StoreOptions,
    records::{Meta, WordKind},
    rules,
    source::Source,
    tree::{Tree, Trees},
    view::{Shared, View},
    writes::{Writes, bytes, chain},
};

/// The state, and the only way to change it: apply an entry.
pub struct Store {
    shared: Arc<Shared>,
    tree: Tree,
    meta: Meta,
    /// The level that this node understands.
    level: u32,
    path: PathBuf,
    capture: Option<Capture>,
}

/// Makes what was applied survive a crash; may run beside applying.
#[derive(Clone)]
pub struct Flusher {
    shared: Arc<Shared>,
}

impl Store {
    /// Opens the state in a directory, or makes an empty one there.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Self, Error> {
        let trees = Trees::open(dir, &options)?;
        let tree = trees.handle();
        let (index, unflushed_bytes) = (RwLock::new(Index::default()), AtomicU64::new(0));
        let shared = Arc::new(Shared {
            trees,
            index,
            unflushed_bytes,
            pins: Mutex::default(),
        });
        let index = build_index(&View::of(shared.clone()).read())?;
        *shared.index.write() = index;
        let meta = View::of(shared.clone()).read().get_or_default(&MetaKey)?;
        check_state(&View::of(shared.clone()), options.level)?;
        Ok(Self {
            shared,
            tree,
            meta,
            level: options.level,
            path: dir.to_owned(),
            capture: None,
        })
    }

    /// Applies an entry as one atomic batch together with its marker, and answers each command.
    pub fn apply(&mut self, entry: &Entry, marker: &[u8]) -> Result<Vec<Outcome>, Error> {
        check_entry(entry, self.level)?;
        let at = rules::time_of_entry(entry.at.max(self.meta.at));
        let (outcomes, time, layer) = {
            let index = self.shared.index.read();
            let mut changes = Changes::new(&self.tree, &index, (at, self.meta.set));
            let outcomes = apply::entry(&mut changes, &entry.commands)?;
            (outcomes, changes.time(), changes.into_layer()?)
        };
        (self.meta.at, self.meta.set) = time;
        self.commit(layer, marker)?;
        Ok(outcomes)
    }

    /// Changes the state outside of any entry, at the time of the last one: what a restore does.
    pub(crate) fn change<T>(
        &mut self,
        marker: &[u8],
        change: impl FnOnce(&mut Changes<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (result, time, layer) = {
            let index = self.shared.index.read();
            let mut changes = Changes::new(&self.tree, &index, (self.meta.at, self.meta.set));
            (change(&mut changes)?, changes.time(), changes.into_layer()?)
        };
        (self.meta.at, self.meta.set) = time;
        self.commit(layer, marker)?;
        Ok(result)
    }

    /// Moves the marker alone, for entries that hold no commands.
    pub fn mark(&mut self, marker: &[u8]) -> Result<(), Error> {
        self.commit(Layer::default(), marker)
    }

    fn commit(&mut self, mut layer: Layer, marker: &[u8]) -> Result<(), Error> {
        self.meta.hash = chain(self.meta.hash, &layer.writes);
        self.meta.marker = marker.to_vec();
        layer
            .writes
            .insert(MetaKey.bytes(), Some(codec::encode(&self.meta)));
        let bytes = bytes(&layer.writes);
        {
            let mut index = self.shared.index.write();
            self.note_before(&layer.writes)?;
            self.tree.write(&layer.writes, "write")?;
            self.note_words(&index, &layer.freed_words);
            let Layer {
                ids,
                phones,
                words,
                freed_words,
                client_keys,
                freed_keys,
                mailings,
                ..
            } = &mut layer;
            for (number, change) in std::mem::take(mailings) {
                index.mailings.apply(number, change);
            }
            index.ids.absorb(ids);
            index.phones.absorb(phones);
            for (kind, number) in freed_words.drain(..) {
                index.words[kind as usize].remove(number);
            }
            for (known, new) in index.words.iter_mut().zip(words) {
                new.take()
                    .into_iter()
                    .for_each(|(number, word)| known.insert(number, word));
            }
            for (key, slot) in freed_keys.drain(..) {
                if index.client_keys.get(&key) == Some(&slot) {
                    index.client_keys.remove(&key);
                }
            }
            index.client_keys.extend(client_keys.drain(..));
        }
        self.shared
            .unflushed_bytes
            .fetch_add(bytes, Ordering::Relaxed);
        if let Some(capture) = &self.capture {
            capture.append(&layer.writes);
        }
        Ok(())
    }

    /// Notes for pins what is about to be replaced.
    fn note_before(&self, writes: &Writes) -> Result<(), Error> {
        let mut pins = self.shared.pins.lock();
        pins.retain(|pin| pin.strong_count() > 0);
        for pin in pins.iter().filter_map(Weak::upgrade) {
            for key in writes.keys().filter(|key| pin.lacks(key)) {
                self.tree.with_bytes(key, |value| pin.note(key, value))?;
            }
        }
        Ok(())
    }

    /// Notes for pins what is about to be forgotten.
    fn note_words(&self, index: &Index, freed: &[(WordKind, u32)]) {
        let pins = self.shared.pins.lock();
        for pin in pins.iter().filter_map(Weak::upgrade) {
            for (kind, number) in freed {
                if let Some(word) = index.words(*kind).get(*number) {
                    pin.note_word(*kind, *number, word);
                }
            }
        }
    }

    /// The marker of the last entry, none while the state is empty.
    pub fn marker(&self) -> Option<Vec<u8>> {
        (!self.meta.marker.is_empty()).then(|| self.meta.marker.clone())
    }

    /// The running hash of the state: the same on every node at the same position.
    pub fn hash(&self) -> u64 {
        self.meta.hash
    }

    /// Makes everything applied so far survive a crash.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.flusher().flush()
    }

    /// Lets go of it without closing it, after a fault of the disk: sled flushes when it is closed,
    /// and waits for ever for a flush that failed. Its memory stays taken.
    pub fn leak(self) {
        std::mem::forget(self);
    }

    /// A handle that flushes beside applying.
    pub fn flusher(&self) -> Flusher {
        Flusher {
            shared: self.shared.clone(),
        }
    }

    /// Bytes written since the last flush began.
    pub fn unflushed_bytes(&self) -> u64 {
        self.shared.unflushed_bytes.load(Ordering::Relaxed)
    }

    /// A read-only handle.
    pub fn view(&self) -> View {
        View::of(self.shared.clone())
    }

    /// Where the state lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins to write the state to a file: from now on, changes are captured.
    pub fn begin_export(&mut self, path: &Path) -> Result<Export, Error> {
        let wrap = |source| Error::File {
            path: path.to_owned(),
            source,
        };
        self.begin_export_into(File::create(path).map_err(wrap)?, path)
    }

    /// The same with a file that is open already; its path is only spoken of.
    pub fn begin_export_into(&mut self, file: File, path: &Path) -> Result<Export, Error> {
        let (export, capture) = Export::begin(self.view(), file, path)?;
        self.capture = Some(capture);
        Ok(export)
    }

    /// Completes the file, between two entries: it then holds the state as of now. Fails if an entry
    /// could not be noted in it.
    pub fn end_export(&mut self, export: Export) -> Result<ExportSummary, Error> {
        self.capture = None;
        export.end(&self.meta)
    }

    /// Stops capturing after an export that failed.
    pub fn abandon_export(&mut self) {
        self.capture = None;
    }

    /// Reads anew what memory holds of the records, after [`Store::restore`].
    pub(crate) fn reload(&mut self) -> Result<&Meta, Error> {
        let view = self.view();
        let mut index = build_index(&view.read())?;
        if !rules::kept_replies_come_with_snapshots() {
            index.client_keys.clear();
        }
        check_state(&view, self.level)?;
        *self.shared.index.write() = index;
        self.meta = view.read().get_or_default(&MetaKey)?;
        Ok(&self.meta)
    }

    pub(crate) fn restore(&mut self, writes: &Writes) -> Result<(), Error> {
        self.tree.write(writes, "restore")?;
        self.shared
            .unflushed_bytes
            .fetch_add(bytes(writes), Ordering::Relaxed);
        Ok(())
    }
}

/// Refuses a state whose cluster has agreed on a higher level.
fn check_state(view: &View, known: u32) -> Result<(), Error> {
    let agreed = view.read().get_or_default(&ClusterLevelKey)?;
    check_level("the state", agreed.level(), known, &agreed.version)
}

/// Refuses an entry with a command of a higher level: another node would apply it otherwise.
fn check_entry(entry: &Entry, known: u32) -> Result<(), Error> {
    let levels = entry.commands.iter().map(|command| match &command.action {
        Action::RaiseLevel(raise) => raise.to,
        action => needed_level(action),
    });
    let needed = levels.max().unwrap_or_default();
    check_level("an entry of the log", needed, known, "a newer version")
}

fn check_level(what: &'static str, needed: u32, known: u32, by: &str) -> Result<(), Error> {
    if needed <= known {
        return Ok(());
    }
    Err(Error::Level {
        what,
        needed,
        known,
        by: by.to_owned(),
    })
}

impl Flusher {
    /// Makes everything applied before the call survive a crash.
    pub fn flush(&self) -> Result<(), Error> {
        self.shared.unflushed_bytes.store(0, Ordering::Relaxed);
        let tree = self.shared.trees.take();
        let flushed = tree.flush();
        self.shared.trees.give_back(tree);
        flushed
    }

    /// Whether a flush would not come to its end: only in a simulation, which cannot wait for it.
    pub fn hangs(&self) -> bool {
        self.shared.trees.flush_hangs()
    }
}
