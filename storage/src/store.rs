//! The state on its disk.
//!
//! A [`Store`] belongs to the state machine alone: it applies entries. Everyone else holds a
//! [`View`]. Between them stands one lock: an entry is worked out while others read, then goes
//! to sled as one atomic batch while nobody does. So a reader sees whole entries only, though sled
//! has no snapshot reads. Readers hold the lock for microseconds: a page, never a scan.
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

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use xxhash_rust::xxh3::Xxh3;

use crate::{
    apply,
    changes::{Changes, Layer, Writes, find_customer},
    codec,
    command::{Entry, Outcome},
    error::Error,
    index::{Index, MailingChange, OpenMailing, Words},
    keys::{
        ClientReplyKey, CustomerHashesKey, Key, MailingKey, MetaKey, NumbersKey, ProgressKey,
        StagesKey, WordKey,
    },
    limits::{CLIENT_KEYS, CUSTOMERS_PER_BLOCK, STAGES_PER_BLOCK},
    memory::MemoryStates,
    model::{CustomerId, MailingNumber, Seq, Timestamp},
    pin::{Before, Pin},
    records::{Meta, Numbers, Stage, Stages, TimeSetting, WordKind, WordRecord},
    rules,
    snapshot::{Capture, Export, ExportSummary},
    source::{Scan, Source},
    tree::{Tree, Trees},
};

/// How a state is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Bytes of memory for cached leaves, at most.
    pub cache_bytes: usize,
    /// Bytes applied and not flushed after which the state is flushed: what a start after a crash
    /// applies again.
    pub flush_bytes: u64,
    /// Where the state is kept instead of on a disk, for simulations.
    pub memory: Option<MemoryStates>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 128 * 1024 * 1024,
            flush_bytes: 32 * 1024 * 1024,
            memory: None,
        }
    }
}

pub(crate) struct Shared {
    trees: Trees,
    index: RwLock<Index>,
    unflushed_bytes: AtomicU64,
    pins: Mutex<Vec<Weak<Before>>>,
}

/// The state, and the only way to change it: apply an entry.
pub struct Store {
    shared: Arc<Shared>,
    tree: Tree,
    meta: Meta,
    path: PathBuf,
    capture: Option<Capture>,
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
        Ok(Self {
            shared,
            tree,
            meta,
            path: dir.to_owned(),
            capture: None,
        })
    }

    /// Applies an entry as one atomic batch together with its marker, and answers each command.
    pub fn apply(&mut self, entry: &Entry, marker: &[u8]) -> Result<Vec<Outcome>, Error> {
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

impl View {
    fn of(shared: Arc<Shared>) -> Self {
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

    /// Holds on to the state as it is now, and asks it a first question.
    pub fn pin<R>(&self, question: impl FnOnce(&Reader<'_>) -> R) -> (Pin, R) {
        let reader = self.read();
        let before = Arc::new(Before::default());
        // No entry comes between this and what is read now: the reader is held.
        self.shared.pins.lock().push(Arc::downgrade(&before));
        let pin = Pin::new(self.clone(), before, &reader);
        (pin, question(&reader))
    }
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

/// Bytes of keys and values.
fn bytes(writes: &Writes) -> u64 {
    let value = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
    writes
        .iter()
        .map(|(key, written)| (key.len() + value(written)) as u64)
        .sum()
}

/// The next running hash: over the one before and all that is written, in the order of keys.
fn chain(before: u64, writes: &Writes) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&before.to_be_bytes());
    for (key, value) in writes {
        hash.update(&(key.len() as u32).to_be_bytes());
        hash.update(key);
        let len = value.as_ref().map_or(u32::MAX, |value| value.len() as u32);
        hash.update(&len.to_be_bytes());
        hash.update(value.as_deref().unwrap_or_default());
    }
    hash.digest()
}

/// Reads what memory holds of the state from its records.
fn build_index(reader: &Reader<'_>) -> Result<Index, Error> {
    let mut index = Index::default();
    let numbers: Numbers = reader.get_or_default(&NumbersKey)?;
    for block in 0..numbers.customers.div_ceil(CUSTOMERS_PER_BLOCK) {
        let hashes = reader.need(&CustomerHashesKey(block), "hashes of a block of customers")?;
        for (hash, seq) in hashes.into_iter().zip(block * CUSTOMERS_PER_BLOCK..) {
            index.ids.insert(hash, seq);
        }
    }
    for kind in WordKind::ALL {
        index_words(reader, kind, &mut index.words[kind as usize])?;
    }
    index_mailings(reader, &mut index)?;
    for n in numbers.client_keys_from..numbers.client_keys {
        let slot = (n % CLIENT_KEYS) as u32;
        let kept = reader.need(&ClientReplyKey(slot), "a kept reply to a client")?;
        index.client_keys.insert(kept.key, slot);
    }
    Ok(index)
}

/// Reads a dictionary. Its numbers have gaps where words were forgotten.
fn index_words(reader: &Reader<'_>, kind: WordKind, words: &mut Words) -> Result<(), Error> {
    let mut fault = None;
    let prefix = [WordKey::TAG, kind as u8];
    reader.scan(&prefix, |key, value| {
        let Some(number) = key.strip_prefix(&prefix).and_then(|key| key.first_chunk()) else {
            return false;
        };
        match codec::decode(value) {
            Ok(word) => words.insert(u32::from_be_bytes(*number), word),
            Err(error) => fault = Some(error),
        }
        fault.is_none()
    })?;
    fault.map_or(Ok(()), Err)
}

/// Reads the mailings that work is left for. Their numbers lie far apart after a restore, so the
/// records of their stages are looked for, not counted through.
fn index_mailings(reader: &Reader<'_>, index: &mut Index) -> Result<(), Error> {
    let mut numbers = Vec::new();
    let mut fault = None;
    reader.scan(&[StagesKey::TAG], |key, value| {
        let Some(block) = key
            .strip_prefix(&[StagesKey::TAG])
            .and_then(|key| key.first_chunk())
        else {
            return false;
        };
        let first = u32::from_be_bytes(*block) * STAGES_PER_BLOCK;
        match codec::decode::<Stages>(value) {
            Ok(block) => numbers.extend(block.stages.into_iter().zip(first..)),
            Err(error) => fault = Some(error),
        }
        fault.is_none()
    })?;
    fault.map_or(Ok(()), Err)?;

    for (stage, number) in numbers
        .into_iter()
        .filter(|(stage, _)| *stage != Stage::Done)
    {
        let number = MailingNumber(number);
        let record = reader.need(&MailingKey(number), "a mailing that has a stage")?;
        let since = record.kept_since();
        let progress = reader.need(&ProgressKey(number), "progress of a mailing")?;
        let (record, progress) = (Some(Arc::new(record)), Some(Arc::new(progress)));
        let change = MailingChange {
            record,
            progress,
            stage: Some((stage, since)),
        };
        index.mailings.apply(number, change);
    }
    Ok(())
}
