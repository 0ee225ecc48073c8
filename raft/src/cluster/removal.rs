//! A node is taken out, for good: its work ends, its disk is dismissed, and it leaves the members.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use crate::{
    cluster::{
        change::ChangeError,
        completion::Completion,
        handover::Handover,
        member_list::{AGREE, MemberList},
        myself::Myself,
    },
    consensus::handle::Consensus,
    peers::{
        client::Peers,
        protocol::{AskStatus, BidFarewell, Retire},
    },
    types::NodeId,
};

/// How long a node that goes may take to wind up its work.
const RETIRE: Duration = Duration::from_secs(20);
/// How long a peer may take to answer otherwise.
const ANSWER: Duration = Duration::from_secs(2);
/// Between two looks at how far the removal has come.
const LOOK: Duration = Duration::from_millis(100);

/// Takes nodes out, as the leader.
pub(crate) struct Removal {
    pub(super) me: Arc<Myself>,
    pub(super) peers: Arc<Peers>,
    pub(super) consensus: Arc<Consensus>,
    pub(super) list: Arc<MemberList>,
    pub(super) completion: Arc<Completion>,
    pub(super) handover: Arc<Handover>,
}

impl Removal {
    /// Takes a node out and returns its name. A leader that is to go hands over first.
    pub(crate) async fn remove(&self, name: String) -> Result<String, ChangeError> {
        let Some((node, member)) = self.consensus.member_called(&name) else {
            return if self.is_gone(&name)? {
                Ok(name)
            } else {
                Err(ChangeError::NotFound(name))
            };
        };
        self.check_majority_without(node, &name).await?;
        if node == self.me.node {
            self.handover.hand_over_to(None).await?;
            return Err(ChangeError::HandedOver);
        }

        // What it has under lease is handed back; a node that does not answer is not waited for.
        let _ = self.peers.call_member(&member, Retire, RETIRE).await;
        self.list.dismiss(node, &member).await?;
        let left = timeout(AGREE, self.until_gone(node)).await;
        left.map_err(|_| ChangeError::Unknown)??;
        tracing::info!(node.id = node, "`{name}` is taken out of the cluster");

        let _ = self.peers.call_member(&member, BidFarewell, ANSWER).await;
        Ok(name)
    }

    /// True if a node of this name was taken out before.
    fn is_gone(&self, name: &str) -> Result<bool, ChangeError> {
        let remembered = self.list.remembered()?;
        let mut records = remembered.nodes.iter();
        Ok(records.any(|record| record.dismissed && record.name == name))
    }

    async fn until_gone(&self, node: NodeId) -> Result<(), ChangeError> {
        while self.consensus.members().contains_key(&node) {
            self.completion.step().await?;
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Checks that the voters who are left can go on without a node.
    async fn check_majority_without(&self, node: NodeId, name: &str) -> Result<(), ChangeError> {
        let mut left = self.consensus.voters();
        left.remove(&node);
        if left.is_empty() {
            return Err(ChangeError::LastVoter(name.to_owned()));
        }

        let asked = left.values().map(|peer| async {
            let is_me = peer.disk == self.me.peer.disk;
            is_me
                || self
                    .peers
                    .call_member(peer, AskStatus, ANSWER)
                    .await
                    .is_ok()
        });
        let answers = join_all(asked).await;
        let there = answers.iter().filter(|is_there| **is_there).count();
        if 2 * there > left.len() {
            return Ok(());
        }

        let missing: Vec<_> = left
            .values()
            .zip(&answers)
            .filter(|(_, is_there)| !**is_there)
            .map(|(peer, _)| format!("`{}`", peer.name))
            .collect();
        Err(ChangeError::Majority(format!(
            "without `{name}` {} would be left that vote, and only {there} of them can be reached: \
             no majority. Bring {} back, or remove it first",
            left.len(),
            missing.join(", "),
        )))
    }
}
