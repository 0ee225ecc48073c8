//! Compaction: a snapshot whenever the log since the last one is long enough, so that the log does
//! not grow for ever.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{log_store::LogStore, state_machine::Shared, types::Raft};

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
            if raft.trigger().snapshot().await.is_err() {
                return;
            }
        }
    }
}
