//! Reads that reflect everything acknowledged before them.
//!
//! The leader confirms with a majority that it still leads, and names a position. A state that
//! reflects this position, on any node, reflects all that was acknowledged before the question.

use std::{sync::Arc, time::Duration};

use notty_storage::Timestamp;

use crate::{
    consensus::handle::{Consensus, OtherLeader},
    outcome::ProposeError,
    peers::protocol::{AskReadPoint, ReadPoint},
    state::node_state::NodeState,
    time::stamp::Stamp,
};

/// Time limit of the leader for naming the position that a read must reflect.
const READ_INDEX: Duration = Duration::from_secs(2);
/// The same where only readiness is asked for.
const READY_ANSWER: Duration = Duration::from_millis(500);
/// Time limit of the state here for reaching the leader's position.
const REACH: Duration = Duration::from_secs(10);

/// Finds the position that a read must reflect, and waits for it.
pub(crate) struct Reads {
    consensus: Arc<Consensus>,
    state: Arc<NodeState>,
    stamp: Stamp,
}

impl Reads {
    pub(crate) fn new(consensus: Arc<Consensus>, state: Arc<NodeState>, stamp: Stamp) -> Self {
        Self {
            consensus,
            state,
            stamp,
        }
    }

    /// Waits until the state here reflects all that was acknowledged before the call.
    pub(crate) async fn linearize(&self) -> Result<(), ProposeError> {
        match self.consensus.leader_elsewhere() {
            None => self.linearize_here().await,
            Some(leader) => self.linearize_by(&leader).await.map(drop),
        }
    }

    /// The same, and the leader's wall clock when it was asked.
    pub(crate) async fn linearize_with_clock(&self) -> Result<Timestamp, ProposeError> {
        match self.consensus.leader_elsewhere() {
            None => {
                self.linearize_here().await?;
                Ok(self.agreed_wall().await)
            }
            Some(leader) => self.linearize_by(&leader).await,
        }
    }

    /// As the leader: its wall clock, as long as it agrees with those of most voters; the beginning of
    /// time while it does not.
    pub(crate) async fn agreed_wall(&self) -> Timestamp {
        self.stamp.now().await
    }

    /// As the leader: the point that it names to others.
    pub(crate) async fn read_point(&self) -> Result<ReadPoint, ProposeError> {
        let read = self.consensus.read_index().await;
        let wall = self.agreed_wall().await;
        read.map(|index| ReadPoint { index, wall })
    }

    /// The point that another leader names; `None` where it does not answer, which is no sign of
    /// lagging.
    pub(crate) async fn point_of_leader(&self) -> Option<ReadPoint> {
        let leader = self.consensus.leader_elsewhere()?;
        let asking = self
            .consensus
            .call_leader(&leader, AskReadPoint, READY_ANSWER);
        asking.await.ok()?.ok()
    }

    async fn linearize_here(&self) -> Result<(), ProposeError> {
        let index = self.consensus.read_index().await?;
        self.reach(index).await
    }

    async fn linearize_by(&self, leader: &OtherLeader) -> Result<Timestamp, ProposeError> {
        let asking = self.consensus.call_leader(leader, AskReadPoint, READ_INDEX);
        let answer = asking.await.map_err(|_| ProposeError::NoLeader)?;
        let point = answer?;
        self.reach(point.index).await?;
        Ok(point.wall)
    }

    async fn reach(&self, index: u64) -> Result<(), ProposeError> {
        if self.state.wait_applied(index, REACH).await {
            Ok(())
        } else {
            Err(ProposeError::NoLeader)
        }
    }
}
