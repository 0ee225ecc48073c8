//! The count of changes of the leader that a node has seen, for people who watch a cluster.
//!
//! The node looks several times a second. An election takes longer than that, so hardly any change is
//! missed, and nothing is added to the path of an entry.

use std::{
    sync::{
        Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::sleep;

use super::Node;
use crate::types::NodeId;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// The leaders that a node has seen.
#[derive(Debug, Default)]
pub(crate) struct LeaderCount {
    changes: AtomicU64,
    /// The last leader, with its term.
    last: Mutex<Option<(u64, NodeId)>>,
}

impl LeaderCount {
    /// Changes since the first leader that was seen.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Relaxed)
    }

    /// Takes in the leader of a term, if there is one. The same node in a later term is a change too:
    /// there was an election.
    fn note(&self, term: u64, leader: Option<NodeId>) {
        let Some(leader) = leader else {
            return;
        };
        let mut last = self.last.lock();
        let before = last.replace((term, leader));
        if before.is_some_and(|before| before != (term, leader)) {
            self.changes.fetch_add(1, Relaxed);
        }
    }
}

/// Counts for as long as the node lives.
pub(super) async fn follow(node: Weak<Node>) {
    while let Some(node) = node.upgrade() {
        let watched = node.consensus.raft().metrics();
        let (term, leader) = {
            let metrics = watched.borrow();
            (metrics.current_term, metrics.current_leader)
        };
        node.leaders.note(term, leader);

        // The node must be able to end meanwhile.
        drop(node);
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_leader_is_no_change_and_each_further_election_is_one() {
        let count = LeaderCount::default();
        for (term, leader, changes) in [
            (0, None, 0),
            (1, Some(1), 0),
            (1, Some(1), 0),
            (2, None, 0),
            (2, Some(2), 1),
            (3, Some(1), 2),
            (4, Some(1), 3),
        ] {
            count.note(term, leader);
            assert_eq!(count.changes(), changes, "term {term}");
        }
    }
}
