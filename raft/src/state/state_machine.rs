//! Between openraft and the state: openraft's traits for a state machine and its snapshots.
//!
//! The work itself is that of [`NodeState`]. Here it runs where it may wait for the disk, registered
//! with the watchdog, and flushes begin beside it.

use std::{sync::Arc, thread::JoinHandle};

use notty_storage::Outcome;
use openraft::{OptionalSend, RaftSnapshotBuilder, storage::RaftStateMachine};

use super::{
    node_state::NodeState,
    watchdog::{Work, Working},
};
use crate::{
    runtime::{blocking, has_threads},
    types::{
        LogEntry, LogId, Membership, Snapshot, SnapshotFile, SnapshotMeta, StorageError, TypeConfig,
    },
};

/// The state machine that openraft drives.
pub(crate) struct StateMachine {
    state: Arc<NodeState>,
    flush: Option<JoinHandle<()>>,
    /// A flush that will never end, in a simulation.
    hung: Option<Working>,
}

impl StateMachine {
    pub(crate) fn new(state: Arc<NodeState>) -> Self {
        Self {
            state,
            flush: None,
            hung: None,
        }
    }

    /// Flushes beside applying once enough was applied; one flush at a time.
    fn flush_if_due(&mut self) {
        let running = self.flush.as_ref();
        if running.is_some_and(|running| !running.is_finished()) {
            return;
        }
        let Some(flusher) = self.state.due_flusher() else {
            return;
        };

        let state = self.state.clone();
        if flusher.hangs() {
            // As a thread that flushes and does not come back.
            self.hung.get_or_insert_with(|| state.begin(Work::Flush));
            return;
        }

        // A fault needs no care here: `guarded` ends the process.
        let flush = move || drop(state.guarded(|| state.flush_by(&flusher)));
        if !has_threads() {
            return flush();
        }
        self.flush = std::thread::Builder::new()
            .name("notty-flush".into())
            .spawn(flush)
            .ok();
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, Membership), StorageError> {
        let position = self.state.applied().borrow().clone();
        Ok((position.applied, position.membership))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Vec<Outcome>>, StorageError>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<_> = entries.into_iter().collect();
        let state = self.state.clone();
        let apply = || {
            let _working = state.begin(Work::Apply);
            state.apply(entries)
        };

        let outcomes = blocking(|| state.guarded(apply))?;
        self.flush_if_due();
        Ok(outcomes)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder {
            state: self.state.clone(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotFile>, StorageError> {
        Ok(Box::new(self.state.snapshots().receiving()))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<SnapshotFile>,
    ) -> Result<(), StorageError> {
        let state = self.state.clone();
        blocking(|| state.guarded(|| state.install(meta, &snapshot)))
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        let state = self.state.clone();
        let latest = blocking(|| state.guarded(|| state.snapshots().latest()))?;
        Ok(latest.map(|kept| state.snapshots().present(&kept)))
    }
}

/// Builds one snapshot while applying goes on.
pub(crate) struct SnapshotBuilder {
    state: Arc<NodeState>,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError> {
        let state = self.state.clone();
        blocking(|| state.guarded(|| state.current_or_new_snapshot()))
    }
}
