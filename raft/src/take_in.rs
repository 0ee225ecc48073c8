//! A restored node takes in the others that its cluster is to have.
//!
//! They were empty and were invited under numbers that no node has had (see [`crate::forming`]), so
//! they may become voters: first they learn everything, by snapshot, then they vote. Repeated until
//! it is done, from wherever a crash left it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use openraft::ChangeMembers;

use crate::types::{NodeId, Peer, Raft};

/// Between two tries.
const AGAIN: Duration = Duration::from_secs(1);

/// Returns once all who are expected are voters; false if raft stops before.
pub(crate) async fn until_all_are_members(
    raft: &Raft,
    me: NodeId,
    expected: &BTreeMap<NodeId, Peer>,
) -> bool {
    let mut told = String::new();
    while !are_members(raft, me, expected) {
        if let Err(why) = take_in(raft, me, expected).await
            && why != told
        {
            tracing::warn!("the nodes of the restored cluster are not all members yet: {why}");
            told = why;
        }
        let stopped = raft.server_metrics().borrow().state == openraft::ServerState::Shutdown;
        if stopped {
            return false;
        }
        if !are_members(raft, me, expected) {
            tokio::time::sleep(AGAIN).await;
        }
    }
    true
}

fn are_members(raft: &Raft, me: NodeId, expected: &BTreeMap<NodeId, Peer>) -> bool {
    let metrics = raft.server_metrics();
    let metrics = metrics.borrow();
    let members = metrics.membership_config.membership();
    let whole = members.get_joint_config().len() == 1;
    let votes = |node: &NodeId| members.voter_ids().any(|voter| voter == *node);
    whole && expected.keys().all(votes) && members.get_node(&me) == expected.get(&me)
}

async fn take_in(raft: &Raft, me: NodeId, expected: &BTreeMap<NodeId, Peer>) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mine = expected.iter().filter(|(id, _)| **id == me);
    let mine: BTreeMap<_, _> = mine.map(|(id, peer)| (*id, peer.clone())).collect();
    // Where it is reached, and by which name, its configuration says, which a restore does not know.
    let known = raft.change_membership(ChangeMembers::SetNodes(mine), true).await;
    known.map_err(|error| text(&error))?;
    for (id, peer) in expected.iter().filter(|(id, _)| **id != me) {
        let learnt = raft.add_learner(*id, peer.clone(), true).await;
        learnt.map_err(|error| format!("`{}`: {error}", peer.name))?;
    }
    let voters: BTreeSet<_> = expected.keys().copied().collect();
    let voting = raft.change_membership(voters, true).await;
    voting.map_err(|error| text(&error))?;
    if expected.len() > 1 {
        tracing::info!("the restored cluster has its {} nodes", expected.len());
    }
    Ok(())
}
