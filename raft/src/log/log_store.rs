//! Between openraft and the log: openraft's storage traits over one [`Log`].
//!
//! Here the work runs where it may wait for the disk, registered with the watchdog, and any fault ends
//! the process. The log itself knows nothing of openraft.

use std::{
    fmt::Debug,
    io,
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

use super::{Log, Unsynced};
use crate::{
    Fatal,
    error::Error,
    runtime::blocking,
    state::{
        onlooker::Onlooker,
        snapshots::Snapshots,
        watchdog::{Watch, Work},
    },
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
    /// The last index known to be committed.
    committed: Arc<AtomicU64>,
}

impl LogStore {
    pub(crate) fn new(
        log: Log,
        snapshots: Arc<Snapshots>,
        fatal: Fatal,
        onlooker: Option<Arc<dyn Onlooker>>,
    ) -> Self {
        let committed = log.committed().map_or(0, |committed| committed.index);
        Self {
            log: Arc::new(Mutex::new(log)),
            snapshots,
            fatal,
            onlooker,
            watch: Arc::default(),
            committed: Arc::new(AtomicU64::new(committed)),
        }
    }

    /// The same, with its work registered where the state's is.
    pub(crate) fn watched_by(self, watch: Arc<Watch>) -> Self {
        Self { watch, ..self }
    }

    pub(crate) fn committed_index(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    /// The position of the last entry.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.log.lock().last()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.log.lock().bytes()
    }

    pub(crate) fn appended_bytes(&self) -> u64 {
        self.log.lock().appended_bytes()
    }

    /// Has a node that led start without leading. To be called before raft starts: openraft would let
    /// it lead on in the same term at once. From an old copy of its disk it would give positions to
    /// entries that others know under the same term with another content, and nobody could tell the
    /// two apart.
    pub(crate) fn forget_leading(&self, node: NodeId) {
        self.log.lock().forget_leading(node);
    }

    /// Runs work on the log. A fault ends the process: what was acknowledged is on the disk, and later
    /// answers could not be trusted.
    fn work<T>(&self, work: impl FnOnce(&mut Log) -> Result<T, Error>) -> Result<T, StorageError> {
        let _working = self.watch.begin(Work::Log);
        blocking(|| work(&mut self.log.lock())).map_err(|error| self.fail(&error))
    }

    fn fail(&self, error: &Error) -> StorageError {
        (self.fatal)(&format!("log: {error}"));
        StorageIOError::write_logs(&io::Error::other(error.to_string())).into()
    }

    /// Shows the term of a vote to the onlooker, if there is one.
    fn show(&self, vote: &Vote) {
        if let Some(onlooker) = &self.onlooker {
            onlooker.voted(vote.leader_id().term);
        }
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<LogEntry>, StorageError> {
        self.work(|log| log.read(range))
    }

    /// Entries for one message to a follower: as many as fit well, at least one.
    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<LogEntry>, StorageError> {
        self.work(|log| log.read_some(start..end, APPEND_BYTES))
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
        self.show(vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        let vote = self.log.lock().vote();
        if let Some(vote) = &vote {
            self.show(vote);
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

        let Err(error) = synced else {
            callback.log_io_completed(Ok(()));
            return Ok(());
        };
        // The process ends first: nothing may be acknowledged after a sync that failed.
        let failed = self.fail(&error);
        callback.log_io_completed(Err(io::Error::other(error.to_string())));
        Err(failed)
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.work(|log| log.truncate(log_id.index))
    }

    /// Drops entries up to a position. openraft asks for it while a leader's snapshot is still being
    /// installed: a node that died meanwhile would have neither. As long as no kept snapshot reaches
    /// so far, the log waits for the next entry, which openraft has only after the snapshot.
    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let snapshots = self.snapshots.clone();
        self.work(|log| {
            let kept = snapshots.latest()?.and_then(|kept| kept.position.applied);
            if kept >= Some(log_id) {
                log.purge(log_id)
            } else {
                log.purge_later(log_id);
                Ok(())
            }
        })
    }
}
