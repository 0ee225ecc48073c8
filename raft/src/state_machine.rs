//! Between openraft and the state: entries in, outcomes out, snapshots built and loaded.
//!
//! Nothing here looks into a command. The state's marker carries the position and the members, so
//! that they move in the same atomic batch as what an entry changed.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use notty_storage::{
    Export, ExportSummary, Flusher, Outcome, Store, StoreOptions, View, import_snapshot, rules,
};
use openraft::{
    EntryPayload, OptionalSend, RaftSnapshotBuilder, StorageIOError, storage::RaftStateMachine,
};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::{
    Fatal,
    error::Error,
    files::{Files, RealFiles, replace},
    log_store::{blocking, has_threads},
    onlooker::{AppliedEntry, Onlooker},
    snapshots::{Kept, Position, Snapshots},
    types::{
        LogEntry, LogId, Membership, Snapshot, SnapshotFile, SnapshotMeta, StorageError, TypeConfig,
    },
    watchdog::{Watch, Work, Working},
};

/// The reason why a state cannot be used as it lies on the disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// The process before ended without closing it. sled does not always survive that: a record that
    /// another has taken the place of makes it read for ever, or may go unnoticed.
    #[error("the process before ended without closing it")]
    NotClosed,
    /// It does not check out.
    #[error("{0}")]
    Damaged(String),
}

/// The directory of the state: generations of sled's files, and which one counts.
#[derive(Clone, Debug)]
pub(crate) struct StateDir {
    dir: PathBuf,
}

impl StateDir {
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(dir).map_err(Error::file(dir))?;
        let this = Self {
            dir: dir.to_owned(),
        };
        for name in RealFiles.list(dir).map_err(Error::file(dir))? {
            // Left by a crash while it was being built, or already replaced.
            if name.starts_with("state-") && this.current()? != this.dir.join(&name) {
                this.remove(&this.dir.join(name))?;
            }
        }
        Ok(this)
    }

    /// Where the state that counts lies.
    pub(crate) fn current(&self) -> Result<PathBuf, Error> {
        let path = self.dir.join("CURRENT");
        match std::fs::read_to_string(&path) {
            Ok(name) => Ok(self.dir.join(name.trim())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(self.dir.join("state-0"))
            }
            Err(source) => Err(Error::File { path, source }),
        }
    }

    /// A new, empty place.
    pub(crate) fn fresh(&self) -> PathBuf {
        self.dir
            .join(format!("state-{}", uuid::Uuid::new_v4().simple()))
    }

    /// Makes a place the one that counts.
    pub(crate) fn switch_to(&self, place: &Path) -> Result<(), Error> {
        let name = place
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let path = self.dir.join("CURRENT");
        RealFiles
            .sync_dir(&self.dir)
            .map_err(Error::file(&self.dir))?;
        replace(&RealFiles, &path, name.as_bytes()).map_err(Error::file(&path))
    }

    /// Makes a new state the one that counts. A present one that was damaged is set aside, for
    /// someone to look at; the one before it is dropped. The mark of suspicion goes last: until then
    /// a crash has the state rebuilt once more.
    pub(crate) fn replace_by(&self, place: &Path, why: &Unusable) -> Result<(), Error> {
        let (old, aside) = (self.current()?, self.dir.join("set-aside"));
        self.switch_to(place)?;
        if old.exists() && old != place {
            match why {
                Unusable::NotClosed => self.remove(&old)?,
                Unusable::Damaged(_) => {
                    self.remove(&aside)?;
                    std::fs::rename(&old, &aside).map_err(Error::file(&old))?;
                }
            }
        }
        let suspect = self.dir.join("SUSPECT");
        RealFiles.remove(&suspect).map_err(Error::file(&suspect))?;
        RealFiles
            .sync_dir(&self.dir)
            .map_err(Error::file(&self.dir))
    }

    fn remove(&self, place: &Path) -> Result<(), Error> {
        match std::fs::remove_dir_all(place) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(Error::file(place)),
        }
    }

    /// Notes that the state is closed: nothing writes to it any more, and all of it is on the disk.
    pub(crate) fn mark_closed(&self) -> Result<(), Error> {
        let path = self.closed();
        replace(&RealFiles, &path, b"").map_err(Error::file(&path))
    }

    /// True if the process before closed the state, or there is none. It counts as open from now on.
    pub(crate) fn take_closed(&self) -> Result<bool, Error> {
        let path = self.closed();
        let was_closed = path.exists() || !self.current()?.exists();
        RealFiles.remove(&path).map_err(Error::file(&path))?;
        RealFiles
            .sync_dir(&self.dir)
            .map_err(Error::file(&self.dir))?;
        Ok(was_closed)
    }

    fn closed(&self) -> PathBuf {
        self.dir.join("CLOSED")
    }

    /// Why the state was marked suspect, if it was.
    pub(crate) fn suspicion(&self) -> Option<String> {
        let path = self.dir.join("SUSPECT");
        // A mark that cannot be read is one.
        path.exists().then(|| {
            std::fs::read_to_string(path)
                .unwrap_or_default()
                .trim()
                .to_owned()
        })
    }

    /// Marks the state: the next start rebuilds it.
    pub(crate) fn mark_suspect(&self, why: &str) {
        if !rules::damage_is_marked() {
            return;
        }
        let path = self.dir.join("SUSPECT");
        if let Err(error) = replace(&RealFiles, &path, format!("{why}\n").as_bytes()) {
            tracing::error!(file = %path.display(), %error, "the state could not be marked suspect");
        }
    }
}

/// What is shared between the state machine, its snapshot builder and the node.
pub(crate) struct Shared {
    store: Mutex<Store>,
    view: RwLock<View>,
    applied: watch::Sender<Position>,
    pub(crate) snapshots: Arc<Snapshots>,
    state_dir: StateDir,
    options: StoreOptions,
    fatal: Fatal,
    onlooker: Option<Arc<dyn Onlooker>>,
    pub(crate) watch: Arc<Watch>,
    /// One export at a time: they share what captures changes. And none while the state is replaced:
    /// it would end with another state than it began with.
    pub(crate) exporting: Mutex<()>,
    /// Bytes of the last snapshot.
    pub(crate) snapshot_bytes: AtomicU64,
    /// A snapshot written ahead of openraft's asking for it.
    prepared: Mutex<Option<Snapshot>>,
    /// Nanoseconds spent applying.
    pub(crate) apply_nanos: AtomicU64,
    /// Is told how long each round of applying took.
    pub(crate) observer: OnceLock<Observer>,
}

/// Is told how long something took.
pub(crate) type Observer = Box<dyn Fn(Duration) + Send + Sync>;

/// The state machine that openraft drives.
pub(crate) struct StateMachine {
    shared: Arc<Shared>,
    flusher: Option<std::thread::JoinHandle<()>>,
    /// A flush that will never end, in a simulation.
    hung: Option<Working>,
}

impl Shared {
    pub(crate) fn new(
        store: Store,
        snapshots: Arc<Snapshots>,
        state_dir: StateDir,
        options: StoreOptions,
        fatal: Fatal,
        onlooker: Option<Arc<dyn Onlooker>>,
        watch: Arc<Watch>,
    ) -> Result<Arc<Self>, Error> {
        let position = Position::from_marker(store.marker().as_deref())?;
        let snapshot_bytes = snapshots.latest()?.map_or(0, |kept| kept.bytes);
        Ok(Arc::new(Self {
            view: RwLock::new(store.view()),
            store: Mutex::new(store),
            applied: watch::Sender::new(position),
            snapshots,
            state_dir,
            options,
            fatal,
            onlooker,
            watch,
            exporting: Mutex::new(()),
            snapshot_bytes: AtomicU64::new(snapshot_bytes),
            prepared: Mutex::default(),
            apply_nanos: AtomicU64::new(0),
            observer: OnceLock::new(),
        }))
    }

    /// Keeps entries from being applied.
    #[cfg(test)]
    pub(crate) fn hold_applying(&self) -> parking_lot::MutexGuard<'_, Store> {
        self.store.lock()
    }

    pub(crate) fn view(&self) -> View {
        self.view.read().clone()
    }

    pub(crate) fn applied(&self) -> watch::Receiver<Position> {
        self.applied.subscribe()
    }

    pub(crate) fn hash(&self) -> u64 {
        self.store.lock().hash()
    }

    /// Flushes the state. A flush that fails is the end at once: sled would wait for it for ever
    /// when it is closed.
    pub(crate) fn flush(&self) -> Result<(), StorageError> {
        let flusher = self.store.lock().flusher();
        self.guarded(|| self.flush_by(&flusher))
    }

    fn flush_by(&self, flusher: &Flusher) -> Result<(), Error> {
        let _working = self.watch.begin(Work::Flush);
        Ok(flusher.flush()?)
    }

    /// Flushes the state for the last time, and notes that it is closed.
    pub(crate) fn close(&self) -> Result<(), StorageError> {
        self.flush()?;
        self.guarded(|| self.state_dir.mark_closed())
    }

    pub(crate) fn mark_suspect(&self, why: &str) {
        self.state_dir.mark_suspect(why);
    }

    /// Passes on what the state answered, here or above; a fault of it is the end: what is wrong with
    /// the state for one reader is wrong for all, and does not mend itself.
    pub(crate) fn checked<T>(
        &self,
        answer: Result<T, notty_storage::Error>,
    ) -> Result<T, notty_storage::Error> {
        if let Err(error) = &answer {
            self.end(error, error.is_damage());
        }
        answer
    }

    /// Ends the process; first, where the state is damaged, it is marked suspect.
    fn end(&self, error: &dyn std::fmt::Display, is_damaged: bool) -> String {
        let mut line = error.to_string();
        if is_damaged {
            self.state_dir.mark_suspect(&line);
            line.push_str("; the next start rebuilds the state from snapshot and log");
        }
        (self.fatal)(&line);
        line
    }

    /// Runs work on the state; a panic or damage inside it marks the state suspect, any fault is
    /// the end.
    pub(crate) fn guarded<T>(
        &self,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, StorageError> {
        let error = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => self.end(&error, error.is_damaged_state()),
            Err(_) => self.end(&"panic inside the state", true),
        };
        Err(StorageIOError::write_state_machine(&std::io::Error::other(error)).into())
    }

    pub(crate) fn apply(&self, entries: Vec<LogEntry>) -> Result<Vec<Vec<Outcome>>, Error> {
        let began = Instant::now();
        let mut store = self.store.lock();
        let mut position = self.applied.borrow().clone();
        let mut outcomes = Vec::with_capacity(entries.len());
        for entry in entries {
            position.applied = Some(entry.log_id);
            if let EntryPayload::Membership(members) = &entry.payload {
                position.membership = Membership::new(position.applied, members.clone());
            }
            let answered = match &entry.payload {
                EntryPayload::Normal(entry) => store.apply(entry, &position.marker())?,
                EntryPayload::Blank | EntryPayload::Membership(_) => {
                    store.mark(&position.marker())?;
                    Vec::new()
                }
            };
            self.show(&entry, &answered, &store);
            outcomes.push(answered);
        }
        drop(store);
        self.applied.send_replace(position);
        let took = began.elapsed();
        self.apply_nanos
            .fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        if let Some(observer) = self.observer.get() {
            observer(took);
        }
        Ok(outcomes)
    }

    /// Shows an entry that was applied to whoever looks on.
    fn show(&self, entry: &LogEntry, outcomes: &[Outcome], store: &Store) {
        let Some(onlooker) = &self.onlooker else {
            return;
        };
        let held = match &entry.payload {
            EntryPayload::Normal(entry) => Some(&**entry),
            _ => None,
        };
        let (index, hash, view) = (entry.log_id.index, store.hash(), store.view());
        onlooker.applied(&AppliedEntry {
            index,
            entry: held,
            outcomes,
            hash,
            view,
        });
    }

    pub(crate) fn install(&self, meta: &SnapshotMeta, file: &SnapshotFile) -> Result<(), Error> {
        let _exporting = self.exporting.lock();
        let _working = self.watch.begin(Work::Install);
        let (place, began) = (self.state_dir.fresh(), Instant::now());
        let built = import_snapshot(&file.path, &place, self.options.clone())?;
        let position = Position::from_marker(built.marker().as_deref())?;
        let hash = built.hash();
        let bytes = std::fs::metadata(&file.path)
            .map_err(Error::file(&file.path))?
            .len();
        let latest = self.snapshots.latest()?;
        if latest.is_none_or(|kept| kept.position.applied < position.applied) {
            let (name, position) = (meta.snapshot_id.clone(), position.clone());
            self.snapshots.keep_from(
                &file.path,
                Kept {
                    name,
                    position,
                    hash,
                    bytes,
                },
            )?;
        }
        self.state_dir.switch_to(&place)?;
        if let Some(onlooker) = &self.onlooker {
            onlooker.installed(position.index().unwrap_or(0), hash, &built.view());
        }
        let mut store = self.store.lock();
        *self.view.write() = built.view();
        let before = std::mem::replace(&mut *store, built);
        drop(store);
        let old = before.path().to_owned();
        // Closed where a flush fails, it would wait for ever.
        if let Err(error) = before.flusher().flush() {
            before.leak();
            return Err(error.into());
        }
        drop(before);
        let (ms, index) = (began.elapsed().as_millis() as u64, position.index());
        tracing::info!(bytes, index, ms, "snapshot installed");
        self.applied.send_replace(position);
        self.state_dir.remove(&old)
    }

    /// Writes a snapshot ahead of openraft's asking for it; false if it could not be written, which
    /// harms nobody: the log just goes on, from the last one.
    pub(crate) fn prepare_snapshot(&self) -> Result<bool, StorageError> {
        blocking(|| {
            self.guarded(|| match self.build_snapshot() {
                Ok(snapshot) => {
                    *self.prepared.lock() = Some(snapshot);
                    Ok(true)
                }
                Err(error) if self.snapshots.is_fault(&error) => {
                    tracing::error!(%error, "no snapshot could be written; tried again later");
                    Ok(false)
                }
                Err(error) => Err(error),
            })
        })
    }

    /// The snapshot written ahead, if it still is the last.
    fn take_prepared(&self) -> Result<Option<Snapshot>, Error> {
        let Some(prepared) = self.prepared.lock().take() else {
            return Ok(None);
        };
        let latest = self
            .snapshots
            .latest()?
            .map(|kept| self.snapshots.present(&kept));
        Ok(latest.filter(|latest| latest.meta == prepared.meta))
    }

    pub(crate) fn build_snapshot(&self) -> Result<Snapshot, Error> {
        let name = uuid::Uuid::new_v4().simple().to_string();
        let aside = self.snapshots.aside(&name);
        let built = self.write_snapshot(&name, &aside);
        if built.is_err() {
            // What is half written would take the room that is needed to go on.
            let _ = RealFiles.remove(&aside);
        }
        built
    }

    fn write_snapshot(&self, name: &str, aside: &Path) -> Result<Snapshot, Error> {
        // To its end: kept after a newer one was installed, it would take the place of that.
        let _exporting = self.exporting.lock();
        let export = self.store.lock().begin_export(aside)?;
        let summary = self.run_export(export)?;
        let flusher = self.store.lock().flusher();
        self.flush_by(&flusher)?;
        let position = Position::from_marker(Some(&summary.marker))?;
        self.snapshot_bytes.store(summary.bytes, Ordering::Relaxed);
        let kept = self
            .snapshots
            .keep(name, position, summary.hash, summary.bytes)?;
        tracing::info!(
            bytes = summary.bytes,
            index = kept.position.index(),
            "snapshot written"
        );
        Ok(self.snapshots.present(&kept))
    }
}

impl Shared {
    /// Copies the state while applying goes on, and ends between two entries.
    fn run_export(&self, mut export: Export) -> Result<ExportSummary, Error> {
        let copied = loop {
            match export.copy_some() {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let mut store = self.store.lock();
        if let Err(error) = copied {
            store.abandon_export();
            return Err(error.into());
        }
        Ok(store.end_export(export)?)
    }

    /// A copy of the state as it is, in a file that has no name: whoever breaks off, nothing is left
    /// behind. A disk without room for it is no fault of the node.
    pub(crate) fn copy_aside(&self) -> Result<(std::fs::File, ExportSummary), Error> {
        let _exporting = self.exporting.lock();
        let path = self
            .snapshots
            .aside(&uuid::Uuid::new_v4().simple().to_string());
        let mut options = std::fs::OpenOptions::new();
        let opened = options.read(true).write(true).create_new(true).open(&path);
        let file = opened.map_err(Error::file(&path))?;
        RealFiles.remove(&path).map_err(Error::file(&path))?;
        let written = file.try_clone().map_err(Error::file(&path))?;
        let export = self.store.lock().begin_export_into(written, &path)?;
        let summary = self.run_export(export).inspect_err(|error| {
            // Without room for it only the copy has failed.
            if !self.snapshots.is_fault(error) {
                self.end(error, error.is_damaged_state());
            }
        })?;
        Ok((file, summary))
    }
}

impl StateMachine {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            flusher: None,
            hung: None,
        }
    }

    /// Flushes beside applying once enough was applied; one flush at a time.
    fn flush_if_due(&mut self) {
        let (due, flusher) = {
            let store = self.shared.store.lock();
            (
                store.unflushed_bytes() >= self.shared.options.flush_bytes,
                store.flusher(),
            )
        };
        if !due
            || self
                .flusher
                .as_ref()
                .is_some_and(|running| !running.is_finished())
        {
            return;
        }
        let shared = self.shared.clone();
        if flusher.hangs() {
            // As a thread that flushes and does not come back.
            self.hung
                .get_or_insert_with(|| shared.watch.begin(Work::Flush));
            return;
        }
        // What is wrong is told by `guarded`, which ends the process.
        let flush = move || drop(shared.guarded(|| shared.flush_by(&flusher)));
        if !has_threads() {
            return flush();
        }
        self.flusher = std::thread::Builder::new()
            .name("notty-flush".into())
            .spawn(flush)
            .ok();
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError> {
        let position = self.shared.applied.borrow().clone();
        Ok((position.applied, position.membership))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Vec<Outcome>>, StorageError>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<_> = entries.into_iter().collect();
        let shared = self.shared.clone();
        let apply = || {
            let _working = shared.watch.begin(Work::Apply);
            shared.apply(entries)
        };
        let outcomes = blocking(|| shared.guarded(apply))?;
        self.flush_if_due();
        Ok(outcomes)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder {
            shared: self.shared.clone(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotFile>, StorageError> {
        Ok(Box::new(self.shared.snapshots.receiving()))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<SnapshotFile>,
    ) -> Result<(), StorageError> {
        let shared = self.shared.clone();
        blocking(|| shared.guarded(|| shared.install(meta, &snapshot)))
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        let shared = self.shared.clone();
        let latest = blocking(|| shared.guarded(|| shared.snapshots.latest()))?;
        Ok(latest.map(|kept| shared.snapshots.present(&kept)))
    }
}

/// Builds one snapshot while applying goes on.
pub(crate) struct SnapshotBuilder {
    shared: Arc<Shared>,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError> {
        let shared = self.shared.clone();
        let build = || match shared.take_prepared()? {
            Some(prepared) => Ok(prepared),
            None => shared.build_snapshot(),
        };
        blocking(|| shared.guarded(build))
    }
}
