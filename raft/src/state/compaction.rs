//! Compaction: a snapshot whenever the log since the last one is long enough, so that the log does
//! not grow for ever.
//!
//! The snapshot is written before openraft is told: to openraft a snapshot that cannot be written is
//! the end of the node, where a disk that is full for a while needs no more than another try.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{log::log_store::LogStore, state::state_machine::Shared, types::Raft};

/// How long after a snapshot that could not be written the next is tried.
const COMPACT_AGAIN: Duration = Duration::from_secs(30);
/// How often it is looked at whether to compact.
const COMPACT_CHECK: Duration = Duration::from_secs(1);

/// Has a snapshot written whenever the log since the last one is long enough.
pub(crate) async fn run(raft: Raft, log: LogStore, shared: Arc<Shared>, compact_bytes: u64) {
    let mut metrics = raft.data_metrics();
    // What was found at the start counts too: a node that is restarted often compacts all the same.
    let (mut at, mut snapshot) = (0, metrics.borrow().snapshot);
    loop {
        tokio::time::sleep(COMPACT_CHECK).await;
        if metrics.has_changed().is_err() {
            return;
        }
        let latest = metrics.borrow_and_update().snapshot;
        let appended = log.appended_bytes();
        if latest != snapshot {
            (snapshot, at) = (latest, appended);
        }
        let due = compact_bytes.max(shared.snapshot_bytes.load(Ordering::Relaxed) / 2);
        if appended - at >= due {
            at = appended;
            match shared.prepare_snapshot() {
                Ok(true) if raft.trigger().snapshot().await.is_err() => return,
                Ok(true) => {}
                Ok(false) => {
                    tokio::time::sleep(COMPACT_AGAIN).await;
                    at = appended.saturating_sub(due);
                }
                Err(_) => return,
            }
        }
    }
}
