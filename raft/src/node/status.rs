//! The status of a node, for people and programs that look at it.

use std::sync::atomic::Ordering;

use super::Node;
use crate::{
    consensus::handle::{Member, roster},
    time::{doubt::ClockDoubt, lead::TimeLead},
};

/// Status of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// The name of this node.
    pub name: String,
    /// The leader's name; `None` as well where the leader is cut off.
    pub leader: Option<String>,
    /// The term of the election that counts.
    pub term: u64,
    /// Changes of the leader that it has seen since it started.
    pub leader_changes: u64,
    /// The last position in its log.
    pub last_index: u64,
    /// The position that its state reflects.
    pub applied_index: u64,
    /// The position of its last snapshot.
    pub snapshot_index: u64,
    /// The last position that its log holds no more.
    pub purged_index: u64,
    /// Bytes of its log.
    pub log_bytes: u64,
    /// Bytes appended to its log since it started.
    pub appended_bytes: u64,
    /// Microseconds spent applying since it started.
    pub apply_micros: u64,
    /// The members of the cluster.
    pub members: Vec<Member>,
    /// The reason for which this node does not believe its clock, if it does not.
    pub clock_doubt: Option<ClockDoubt>,
    /// The lead of the cluster's time over this node's clock, if it has one.
    pub time_lead: Option<TimeLead>,
}

impl NodeStatus {
    pub(super) fn of(node: &Node) -> Self {
        // A leader that is cut off, or not heard, may have a successor that this node does not know.
        // Looked up first: the metrics stay locked until the end.
        let leads = node.consensus.leader();
        let time_lead = node.time_lead();
        let watched = node.consensus.raft().metrics();
        let metrics = watched.borrow();

        let members = roster(&metrics, leads);
        let leader = members
            .iter()
            .find(|member| member.leader)
            .map(|member| member.peer.name.clone());

        Self {
            name: node.me.peer.name.clone(),
            leader,
            term: metrics.current_term,
            leader_changes: node.leader_changes.load(Ordering::Relaxed),
            last_index: metrics.last_log_index.unwrap_or(0),
            applied_index: node.state.applied_index(),
            snapshot_index: metrics.snapshot.map_or(0, |snapshot| snapshot.index),
            purged_index: metrics.purged.map_or(0, |purged| purged.index),
            log_bytes: node.log.bytes(),
            appended_bytes: node.log.appended_bytes(),
            apply_micros: node.state.apply_micros(),
            members,
            clock_doubt: node.stamp.doubt(),
            time_lead,
        }
    }
}
