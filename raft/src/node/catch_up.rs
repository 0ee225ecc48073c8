//! The time between a node's start and its first answer.

use std::{sync::Weak, time::Duration};

use super::Node;
use crate::{
    consensus::{handle::Consensus, reads::Reads},
    runtime::blocking,
};

/// Between two tries to find a leader that answers.
const AGAIN: Duration = Duration::from_millis(100);

/// Waits until the node can serve, and writes down that its log holds what the cluster began with.
pub(super) async fn run(node: Weak<Node>) {
    let node = loop {
        let Some(node) = node.upgrade() else {
            return;
        };
        if node.linearize().await.is_ok() {
            break node;
        }

        let mut metrics = node.consensus.raft().server_metrics();
        // Only what changes from now on: otherwise it would try again at once, for ever.
        metrics.mark_unchanged();
        // Not kept while it waits: one that was stopped lets go of its directory at once.
        drop(node);
        if let Ok(Err(_)) = tokio::time::timeout(AGAIN, metrics.changed()).await {
            return;
        }
    };

    node.readiness.note_caught_up();
    if !node.own.current().formed {
        let write = || node.own.change(|identity| identity.formed = true);
        // A node that wrote this and does not know whether it is on the disk ends, as with its log:
        // `guarded` sees to that.
        let _ = blocking(|| node.state.guarded(write));
    }
}

/// Waits until a node can serve; false if it stops before.
pub(super) async fn ready(consensus: &Consensus, reads: &Reads) -> bool {
    let mut metrics = consensus.raft().server_metrics();
    while reads.linearize().await.is_err() {
        // A leader may be there and not answer yet: no change would tell.
        if let Ok(Err(_)) = tokio::time::timeout(AGAIN, metrics.changed()).await {
            return false;
        }
    }
    true
}
