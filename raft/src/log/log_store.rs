//! Between openraft and the log: the same log behind openraft's storage traits.

use std::{
    fmt::Debug,
    ops::RangeBounds,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use notty_storage::rules;
use openraft::{
    LogState, OptionalSend, RaftLogReader, StorageIOError,
    storage::{LogFlushed, RaftLogStorage},
};
use parking_lot::Mutex;

use crate::{
    Fatal,
    error::Error,
    log::{Log, Unsynced},
    runtime::blocking,
    state::onlooker::Onlooker,
    state::snapshots::Snapshots,
    state::watchdog::{Watch, Work},
    types::{LogEntry, LogId, NodeId, StorageError, TypeConfig, Vote},
};

/// Bytes of entries sent to a follower at once, about.
const APPEND_BYTES: usize = 1024 * 1024;

/// The log as openraft sees it; clones share it.
#[derive(Clone)]
pub(crate) struct LogStore {
    log: Arc<Mutex<Log>>,
    snapshots: Arc<Snapshots>,
    fatal: Fatal,
    onlooker: Option<Arc<dyn Onlooker>>,
    watch: Arc<Watch>,
    /// The last position known to be committed.
    committed: Arc<AtomicU64>,
}

impl LogStore {
    pub(crate) fn new(
        log: Log,
        snapshots: Arc<Snapshots>,
        fatal: Fatal,
        onlooker: Option<Arc<dyn Onlooker>>,
    ) -> Self {
        let committed = AtomicU64::new(log.committed().map_or(0, |committed| committed.index));
        let (watch, committed) = (Arc::default(), Arc::new(committed));
        Self {
            log: Arc::new(Mutex::new(log)),
            snapshots,
            fatal,
            onlooker,
            watch,
            committed,
        }
    }

    /// The same, with its work put down where others' is.
    pub(crate) fn watched_by(self, watch: Arc<Watch>) -> Self {
        Self { watch, ..self }
    }

    pub(crate) fn committed_index(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.log.lock().bytes()
    }

    pub(crate) fn appended_bytes(&self) -> u64 {
        self.log.lock().appended_bytes()
    }

    /// A fault of the log is the end of the process: what was acknowledged is on the disk.
    fn work<T>(&self, work: impl FnOnce(&mut Log) -> Result<T, Error>) -> Result<T, StorageError> {
        let _working = self.watch.begin(Work::Log);
        blocking(|| work(&mut self.log.lock())).map_err(|error| self.fail(&error))
    }

    fn fail(&self, error: &Error) -> StorageError {
        (self.fatal)(&format!("log: {error}"));
        StorageIOError::write_logs(&std::io::Error::other(error.to_string())).into()
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<LogEntry>, StorageError> {
        self.work(|log| log.read(range))
    }

    /// As many as go well into one message, at least one.
    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<LogEntry>, StorageError> {
        self.work(|log| log.read_some(start..end, APPEND_BYTES))
    }
}

impl LogStore {
    /// To be called before raft starts. openraft would have a node that led before lead on in the
    /// same term at once. From an old copy of its disk it would so give positions to entries that
    /// others know under the same term with another content, and nobody could tell them apart.
    pub(crate) fn forget_leading(&self, node: NodeId) {
        self.log.lock().forget_leading(node);
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let log = self.log.lock();
        Ok(LogState {
            last_purged_log_id: log.purged(),
            last_log_id: log.last(),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        self.work(|log| log.save_vote(*vote))?;
        if let Some(onlooker) = &self.onlooker {
            onlooker.voted(vote.leader_id().term);
        }
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        let vote = self.log.lock().vote();
        if let (Some(onlooker), Some(vote)) = (&self.onlooker, vote) {
            onlooker.voted(vote.leader_id().term);
        }
        Ok(vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        self.work(|log| log.save_committed(committed))?;
        let index = committed.map_or(0, |committed| committed.index);
        self.committed.fetch_max(index, Ordering::Relaxed);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        Ok(self.log.lock().committed())
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<TypeConfig>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<_> = entries.into_iter().collect();
        let _working = self.watch.begin(Work::Log);
        // The sync happens outside the lock: reading, and so applying, goes on meanwhile.
        let synced = blocking(|| {
            let unsynced = self.log.lock().append(entries)?;
            let unsynced = unsynced.filter(|_| rules::appends_are_synced());
            unsynced.map_or(Ok(()), Unsynced::sync)
        });
        match synced {
            Ok(()) => callback.log_io_completed(Ok(())),
            Err(error) => {
                let failed = self.fail(&error);
                callback.log_io_completed(Err(std::io::Error::other(error.to_string())));
                return Err(failed);
            }
        }
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.work(|log| log.truncate(log_id.index))
    }

    /// openraft has the log dropped beside a leader's snapshot being installed, which takes longer:
    /// a node that died meanwhile would have neither. As long as no snapshot that is kept reaches so
    /// far, it waits for the next entry, which openraft has only after the snapshot.
    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let snapshots = self.snapshots.clone();
        self.work(|log| {
            let kept = snapshots.latest()?.and_then(|kept| kept.position.applied);
            match kept >= Some(log_id) {
                true => log.purge(log_id),
                false => {
                    log.purge_later(log_id);
                    Ok(())
                }
            }
        })
    }
}
