//! A watch on the leadership of this node and its term, for work that must stop when it ends.

use openraft::metrics::RaftServerMetrics;
use tokio::sync::watch;

use crate::types::{NodeId, Peer, Raft};

/// A term in which this node leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// The term of the election that this node won.
    pub term: u64,
}

/// Follows the consensus until it stops.
pub(crate) async fn follow(raft: Raft, node: NodeId, leads: watch::Sender<Option<Leadership>>) {
    let mut metrics = raft.server_metrics();
    loop {
        let now = leadership(&metrics.borrow_and_update(), node);
        leads.send_if_modified(|before| std::mem::replace(before, now) != now);

        // Work of a leader must not go on where raft has ended.
        if metrics.changed().await.is_err() {
            leads.send_replace(None);
            return;
        }
    }
}

/// The term in which a node leads.
fn leadership(metrics: &RaftServerMetrics<NodeId, Peer>, node: NodeId) -> Option<Leadership> {
    let leads = metrics.state.is_leader() && metrics.current_leader == Some(node);
    leads.then(|| Leadership {
        term: metrics.vote.leader_id().term,
    })
}
