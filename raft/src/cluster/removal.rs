//! A node is taken out, for good: its work ends, its disk is dismissed, and it leaves the members.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use crate::{
    cluster::{
        change::ChangeError, completion::Completion, member_list::AGREE, workbench::Workbench,
    },
    peers::protocol::{AskStatus, BidFarewell, Retire},
    types::{NodeId, Peer},
};

/// Time limit of a node that goes for winding up its work.
const RETIRE: Duration = Duration::from_secs(20);
/// Time limit of a peer for any other answer.
const ANSWER: Duration = Duration::from_secs(2);
/// Between two looks at how far the removal has come.
const LOOK: Duration = Duration::from_millis(100);

/// Takes nodes out, as the leader.
pub(crate) struct Removal {
    pub(super) workbench: Workbench,
    pub(super) completion: Arc<Completion>,
}

impl Removal {
    /// Takes a node out and returns its name. A leader that is to go hands over first.
    pub(crate) async fn remove(&self, name: String) -> Result<String, ChangeError> {
        let Some((node, member)) = self.workbench.consensus.member_called(&name) else {
            return self.already_removed(name);
        };
        self.check_majority_without(node, &name).await?;
        if node == self.workbench.me.node {
            self.workbench.handover.hand_over_to(None).await?;
            return Err(ChangeError::HandedOver);
        }

        // What it has under lease is handed back; a node that does not answer is not waited for.
        let peers = &self.workbench.peers;
        let _ = peers.call_member(&member, Retire, RETIRE).await;
        self.workbench.list.dismiss(node, &member).await?;
        let left = timeout(AGREE, self.until_gone(node)).await;
        left.map_err(|_| ChangeError::Unknown)??;
        tracing::info!(node.id = node, "`{name}` is removed from the cluster");

        let _ = peers.call_member(&member, BidFarewell, ANSWER).await;
        Ok(name)
    }

    /// The answer where no member has the name: it may be a repeat.
    fn already_removed(&self, name: String) -> Result<String, ChangeError> {
        let remembered = self.workbench.list.remembered()?;
        let mut removed = remembered.nodes.iter().filter(|record| record.dismissed);
        if removed.any(|record| record.name == name) {
            Ok(name)
        } else {
            Err(ChangeError::NotFound(name))
        }
    }

    async fn until_gone(&self, node: NodeId) -> Result<(), ChangeError> {
        while self.workbench.consensus.members().contains_key(&node) {
            self.completion.step().await?;
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Checks that the voters who are left can go on without a node.
    async fn check_majority_without(&self, node: NodeId, name: &str) -> Result<(), ChangeError> {
        let mut left = self.workbench.consensus.voters();
        left.remove(&node);
        if left.is_empty() {
            return Err(ChangeError::LastVoter(name.to_owned()));
        }

        let asked = left.values().map(|peer| self.answers(peer));
        let answers = join_all(asked).await;

        // More than half of those who would be left must be there now: the others may never come back.
        let there = answers.iter().filter(|is_there| **is_there).count();
        if 2 * there > left.len() {
            return Ok(());
        }

        let answers = left.values().zip(answers);
        let missing = answers.filter(|(_, is_there)| !is_there);
        Err(no_majority(name, left.len(), missing.map(|(peer, _)| peer)))
    }

    /// True if a voter can be reached; this node itself can.
    async fn answers(&self, voter: &Peer) -> bool {
        if voter.disk == self.workbench.me.peer.disk {
            return true;
        }
        let asking = self.workbench.peers.call_member(voter, AskStatus, ANSWER);
        asking.await.is_ok()
    }
}

/// The reason why a node may not go: too few of those who would be left can be reached.
fn no_majority<'p>(
    name: &str,
    left: usize,
    missing: impl Iterator<Item = &'p Peer>,
) -> ChangeError {
    let missing: Vec<_> = missing.map(|peer| format!("`{}`", peer.name)).collect();
    let there = left - missing.len();
    ChangeError::Majority(format!(
        "without `{name}` {left} would be left that vote, and only {there} of them can be reached: no \
         majority. Bring {} back, or remove it first",
        missing.join(", "),
    ))
}
