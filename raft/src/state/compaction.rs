//! Compaction: a snapshot whenever the log since the last one is long enough, so that the log does
//! not grow for ever.
//!
//! The snapshot is written before openraft asks for it: to openraft a snapshot that cannot be written
//! is the end of the node, although a disk that is full for a while needs no more than another try.

use std::{sync::Arc, time::Duration};

use crate::{log::log_store::LogStore, state::node_state::NodeState, types::Raft};

/// Pause after a snapshot that could not be written.
const COMPACT_AGAIN: Duration = Duration::from_secs(30);
/// Time between two checks of the log's length.
const COMPACT_CHECK: Duration = Duration::from_secs(1);

/// Writes a snapshot whenever the log since the last one is long enough, until the node stops.
pub(crate) async fn run(raft: Raft, log: LogStore, shared: Arc<NodeState>, compact_bytes: u64) {
    let mut metrics = raft.data_metrics();
    let mut snapshot = metrics.borrow().snapshot;
    // Bytes appended at the last snapshot. The log found at the start counts as appended after it: a
    // node that is restarted often compacts all the same.
    let mut at = 0;

    loop {
        tokio::time::sleep(COMPACT_CHECK).await;
        if metrics.has_changed().is_err() {
            return;
        }

        let appended = log.appended_bytes();
        let latest = metrics.borrow_and_update().snapshot;
        if latest != snapshot {
            snapshot = latest;
            at = appended;
        }

        // A big snapshot takes long to write: it is worth it only after as much log.
        let due = compact_bytes.max(shared.snapshot_bytes() / 2);
        if appended - at < due {
            continue;
        }

        at = appended;
        match shared.prepare_snapshot() {
            Ok(true) => {
                if raft.trigger().snapshot().await.is_err() {
                    return;
                }
            }
            // The disk may be full for a while.
            Ok(false) => {
                tokio::time::sleep(COMPACT_AGAIN).await;
                at = appended.saturating_sub(due);
            }
            Err(_) => return,
        }
    }
}
