//! The state of this node, shared by the state machine, its snapshot builder and the node.
//!
//! Readers get views of it. Work on it is guarded: a fault of the state ends the process, because what
//! is wrong for one reader is wrong for all, and does not mend itself. The larger pieces of work stand
//! in files below: `apply`, `install` and `exports`. The calls of openraft arrive in `state_machine`.

mod apply;
mod exports;
mod install;

use std::{
    fmt::Display,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use notty_storage::{Flusher, Store, StoreOptions, View};
use openraft::StorageIOError;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::{
    onlooker::Onlooker,
    position::Position,
    snapshots::Snapshots,
    state_dir::StateDir,
    watchdog::{Watch, Work, Working},
};
use crate::{
    Fatal,
    error::Error,
    types::{Snapshot, StorageError},
};

/// Called with the time that a round of applying took.
pub(crate) type ApplyObserver = Box<dyn Fn(Duration) + Send + Sync>;

/// The surroundings of a node's state.
pub(crate) struct StateParts {
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) state_dir: StateDir,
    pub(crate) options: StoreOptions,
    pub(crate) fatal: Fatal,
    pub(crate) onlooker: Option<Arc<dyn Onlooker>>,
    pub(crate) watch: Arc<Watch>,
}

/// The state of this node, as far as it has applied the log.
pub(crate) struct NodeState {
    parts: StateParts,
    store: Mutex<Store>,
    view: RwLock<View>,
    applied: watch::Sender<Position>,
    /// One export at a time: they share what captures changes. And none while the state is replaced:
    /// it would end with another state than it began with.
    exporting: Mutex<()>,
    /// Bytes of the last snapshot.
    snapshot_bytes: AtomicU64,
    /// A snapshot that was written before openraft asked for it.
    prepared: Mutex<Option<Snapshot>>,
    /// Nanoseconds spent applying entries.
    apply_nanos: AtomicU64,
    observer: OnceLock<ApplyObserver>,
}

impl NodeState {
    pub(crate) fn new(store: Store, parts: StateParts) -> Result<Arc<Self>, Error> {
        let position = Position::from_marker(store.marker().as_deref())?;
        let snapshot_bytes = parts.snapshots.latest()?.map_or(0, |kept| kept.bytes);

        Ok(Arc::new(Self {
            parts,
            view: RwLock::new(store.view()),
            store: Mutex::new(store),
            applied: watch::Sender::new(position),
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

    /// Waits for an export to end.
    #[cfg(test)]
    pub(crate) fn wait_exported(&self) {
        drop(self.exporting.lock());
    }

    pub(crate) fn view(&self) -> View {
        self.view.read().clone()
    }

    pub(crate) fn applied(&self) -> watch::Receiver<Position> {
        self.applied.subscribe()
    }

    /// The log position that the state reflects.
    pub(crate) fn applied_index(&self) -> u64 {
        self.applied.borrow().index().unwrap_or(0)
    }

    /// Waits until the state reflects a position; false if it does not in time.
    pub(crate) async fn wait_applied(&self, index: u64, at_most: Duration) -> bool {
        let mut applied = self.applied();
        let reached = applied.wait_for(|position| position.index() >= Some(index));
        matches!(tokio::time::timeout(at_most, reached).await, Ok(Ok(_)))
    }

    /// The running hash of the state.
    pub(crate) fn hash(&self) -> u64 {
        self.store.lock().hash()
    }

    pub(crate) fn snapshots(&self) -> &Arc<Snapshots> {
        &self.parts.snapshots
    }

    /// The register of this node's work on its disk.
    pub(crate) fn watch(&self) -> &Arc<Watch> {
        &self.parts.watch
    }

    /// Bytes of the last snapshot.
    pub(crate) fn snapshot_bytes(&self) -> u64 {
        self.snapshot_bytes.load(Ordering::Relaxed)
    }

    /// Time spent applying entries since the start.
    pub(crate) fn apply_micros(&self) -> u64 {
        self.apply_nanos.load(Ordering::Relaxed) / 1_000
    }

    /// Has each round of applying reported to an observer; only the first one is kept.
    pub(crate) fn observe_applying(&self, observer: ApplyObserver) {
        let _ = self.observer.set(observer);
    }

    /// Registers work on the disk until the returned value is dropped.
    pub(super) fn begin(&self, work: Work) -> Working {
        self.parts.watch.begin(work)
    }

    /// Flushes the state. A flush that fails ends the process at once: sled would wait for it for ever
    /// when it is closed.
    pub(crate) fn flush(&self) -> Result<(), StorageError> {
        let flusher = self.store.lock().flusher();
        self.guarded(|| self.flush_by(&flusher))
    }

    pub(super) fn flush_by(&self, flusher: &Flusher) -> Result<(), Error> {
        let _working = self.begin(Work::Flush);
        Ok(flusher.flush()?)
    }

    /// A flusher, once enough was applied since the last flush.
    pub(super) fn due_flusher(&self) -> Option<Flusher> {
        let store = self.store.lock();
        let is_due = store.unflushed_bytes() >= self.parts.options.flush_bytes;
        is_due.then(|| store.flusher())
    }

    /// Flushes the state for the last time, and notes that it is closed.
    pub(crate) fn close(&self) -> Result<(), StorageError> {
        self.flush()?;
        self.guarded(|| self.parts.state_dir.mark_closed())
    }

    /// Has the next start rebuild the state.
    pub(crate) fn mark_suspect(&self, why: &str) {
        self.parts.state_dir.mark_suspect(why);
    }

    /// Passes on an answer of the state; a fault in it ends the process.
    pub(crate) fn checked<T>(
        &self,
        answer: Result<T, notty_storage::Error>,
    ) -> Result<T, notty_storage::Error> {
        if let Err(error) = &answer {
            self.end(error, error.is_damage());
        }
        answer
    }

    /// Runs work on the state. Any fault ends the process; a panic or damage also marks the state
    /// suspect.
    pub(crate) fn guarded<T>(
        &self,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, StorageError> {
        let fault = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => self.end(&error, error.is_damaged_state()),
            // sled panics on a leaf that does not decode.
            Err(_) => self.end(&"panic inside the state", true),
        };
        Err(StorageIOError::write_state_machine(&std::io::Error::other(fault)).into())
    }

    /// Ends the process, and returns the line that says why. A damaged state is marked suspect first.
    fn end(&self, error: &dyn Display, is_damaged: bool) -> String {
        let mut line = error.to_string();
        if is_damaged {
            self.mark_suspect(&line);
            line.push_str("; the next start rebuilds the state from snapshot and log");
        }
        (self.parts.fatal)(&line);
        line
    }
}
