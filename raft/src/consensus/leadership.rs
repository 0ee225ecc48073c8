//! A watch on "does this node lead, and in which term", for work that must stop when it ends.

use tokio::sync::watch;

use crate::types::{NodeId, Raft};

/// A term in which this node leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// The term.
    pub term: u64,
}

/// Follows the consensus until it stops.
pub(crate) async fn follow(raft: Raft, node: NodeId, leads: watch::Sender<Option<Leadership>>) {
    let mut metrics = raft.server_metrics();
    loop {
        let now = {
            let metrics = metrics.borrow_and_update();
            let leader = metrics.state.is_leader() && metrics.current_leader == Some(node);
            leader.then(|| Leadership {
                term: metrics.vote.leader_id().term,
            })
        };
        leads.send_if_modified(|before| std::mem::replace(before, now) != now);
        if metrics.changed().await.is_err() {
            leads.send_replace(None);
            return;
        }
    }
}
