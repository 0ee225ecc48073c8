//! The list of standalone postmen, as the whole cluster knows it: what a node tells its leader, and
//! what it learns from there.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use notty_raft::ProposeError;
use notty_storage::codec;

use super::{calls::Call, node::NodeDesk, presence::PostmanSight};

/// Time between two messages to the leader about postmen that call this node.
const TELL: Duration = Duration::from_secs(2);
/// Longest time for the leader's answer.
const ANSWER: Duration = Duration::from_secs(1);

/// The leader's answer: all that it knows of.
pub(super) type Roll = Result<Vec<PostmanSight>, ProposeError>;

impl NodeDesk {
    /// Notes the gateway that this node's own postman sends to, so that others can be compared with it.
    pub fn send_to(&self, gateway: u64) {
        self.presence.send_to(gateway);
    }

    /// True if a gateway is the one that this node sends to; `None` if this node does not send.
    pub fn is_own_gateway(&self, gateway: u64) -> Option<bool> {
        self.presence.is_own(gateway)
    }

    /// The standalone postmen that called within the last hour, as far as the leader knows; without a
    /// leader, as far as this node knows.
    pub async fn postmen(&self) -> Vec<PostmanSight> {
        if !self.node.leads_now() {
            self.ask_roll().await;
        }
        self.presence.all()
    }

    /// Tells the leader who calls here, and learns of all others.
    async fn ask_roll(&self) {
        let call = codec::encode(&Call::Postmen(self.presence.own()));
        let asking = tokio::time::timeout(ANSWER, self.node.ask_leader(call));
        let Ok(Ok(answer)) = asking.await else {
            return;
        };
        // A leader of another version answers something else.
        if let Ok(Ok(sights)) = codec::decode::<Roll>(&answer) {
            self.presence.merge(sights);
        }
    }

    /// Answers another node, as the leader.
    pub(super) fn answer_roll(&self, sights: Vec<PostmanSight>) -> Roll {
        self.presence.merge(sights);
        Ok(self.presence.all())
    }
}

/// Tells the leader of the postmen that call here, for as long as the desk lives.
pub async fn follow(desk: Weak<NodeDesk>) {
    loop {
        tokio::time::sleep(TELL).await;
        let Some(desk) = desk.upgrade() else {
            return;
        };
        if !desk.node.leads_now() && has_callers(&desk) {
            desk.ask_roll().await;
        }
    }
}

fn has_callers(desk: &Arc<NodeDesk>) -> bool {
    let recent = |sight: &PostmanSight| sight.ago_ms < 2 * TELL.as_millis() as u64;
    desk.presence.own().iter().any(recent)
}
