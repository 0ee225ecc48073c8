//! A restored node takes in the others that its cluster is to have.
//!
//! A restored directory is a cluster of one: it leads and serves at once. Where its configuration
//! expects more, it waits until all of them are there, each with an empty directory, and gives them
//! numbers that no member of this cluster has had. First they learn everything, by snapshot; then
//! they vote. A crash at any moment leaves a cluster that goes on with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
    time::Duration,
};

use openraft::ChangeMembers;

use crate::{
    forming::identify,
    log_store::blocking,
    node::Node,
    peers::{
        client::Peers,
        protocol::{Invitation, Request, Response},
    },
    types::{NodeId, Peer, Raft},
};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// How long a peer may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

type Members = BTreeMap<NodeId, Peer>;

/// Whom a restored node takes in.
pub(crate) struct TakeIn {
    pub(crate) raft: Raft,
    pub(crate) peers: Arc<Peers>,
    /// Its number.
    pub(crate) me: NodeId,
    /// The node itself, as it is configured.
    pub(crate) mine: Peer,
    pub(crate) cluster: String,
    /// All nodes that are configured; none: it stays by itself.
    pub(crate) expected: Vec<Peer>,
    /// How many form the cluster.
    pub(crate) count: usize,
}

/// Runs until all are members, or the node is gone; then the directory is one like any other.
pub(crate) async fn run(take_in: TakeIn, node: Weak<Node>) {
    let mut told = String::new();
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if node.strong_count() == 0 {
            return;
        }
        match take_in.step().await {
            Ok(()) => break,
            Err(why) if why != told => {
                tracing::info!("this restored node is not one of {} yet: {why}", take_in.count);
                told = why;
            }
            Err(_) => {}
        }
    }
    let Some(node) = node.upgrade() else {
        return;
    };
    match blocking(|| node.data_dir.settle_restored()) {
        Ok(()) if take_in.count > 1 => {
            tracing::info!("the restored cluster has its {} nodes", take_in.count);
        }
        Ok(()) => {}
        Err(error) => tracing::error!(%error, "what marks the directory as restored stays"),
    }
}

impl TakeIn {
    /// Goes on from wherever it stands; why not, if it is not done then.
    async fn step(&self) -> Result<(), String> {
        let (leader, whole) = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow();
            let config = metrics.membership_config.membership().get_joint_config().len();
            (metrics.current_leader, config == 1)
        };
        if whole && self.are_members(&self.members()) {
            return Ok(());
        }
        if leader != Some(self.me) {
            return Err("it does not lead".to_owned());
        }
        self.introduce().await?;
        let members = self.who_is_there().await?;
        self.invite(&members).await?;
        for (id, peer) in members.iter().filter(|(id, _)| **id != self.me) {
            let learnt = self.raft.add_learner(*id, peer.clone(), true).await;
            learnt.map_err(|error| format!("`{}`: {error}", peer.name))?;
        }
        let voters: BTreeSet<_> = members.keys().copied().collect();
        let voting = self.raft.change_membership(voters, true).await;
        voting.map(drop).map_err(|error| error.to_string())
    }

    /// Those who vote.
    fn members(&self) -> Members {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        let voters: Vec<_> = membership.voter_ids().collect();
        let nodes = membership.nodes().filter(|(id, _)| voters.contains(id));
        nodes.map(|(id, peer)| (*id, peer.clone())).collect()
    }

    fn are_members(&self, members: &Members) -> bool {
        let named = |name: &str| members.values().any(|peer| peer.name == name);
        members.get(&self.me) == Some(&self.mine)
            && self.expected.iter().all(|peer| named(&peer.name))
            && members.len() >= self.count
    }

    /// Where it is reached and what it is called, its configuration says, which a restore does not
    /// know.
    async fn introduce(&self) -> Result<(), String> {
        if self.members().get(&self.me) == Some(&self.mine) {
            return Ok(());
        }
        let mine = BTreeMap::from([(self.me, self.mine.clone())]);
        let known = self.raft.change_membership(ChangeMembers::SetNodes(mine), true).await;
        known.map(drop).map_err(|error| error.to_string())
    }

    /// All who are expected, by their numbers, if all of them are there and may be taken in.
    async fn who_is_there(&self) -> Result<Members, String> {
        let known: Members = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow();
            let nodes = metrics.membership_config.membership().nodes();
            nodes.map(|(id, peer)| (*id, peer.clone())).collect()
        };
        let mut there = BTreeMap::from([(self.me, self.mine.clone())]);
        let mut next = known.keys().max().map_or(1, |last| last + 1);
        let mut others: Vec<_> = self.expected.iter().collect();
        others.retain(|peer| peer.name != self.mine.name);
        others.sort_by_key(|peer| &peer.name);
        for peer in others {
            let standing = identify(&self.peers, &peer.peer).await.map_err(|error| {
                format!("{} of {} nodes are there: {error}", there.len(), self.count)
            })?;
            let name = &peer.name;
            if standing.name != *name {
                return Err(format!("{} is `{}`, not `{name}`", peer.peer, standing.name));
            }
            if standing.cluster.is_some_and(|cluster| cluster != self.cluster) {
                return Err(format!(
                    "`{name}` belongs to another cluster: this node takes in empty directories only; \
                     stop that one, and empty its data directory"
                ));
            }
            let found = Peer { disk: standing.disk, ..peer.clone() };
            let number = match known.iter().find(|(_, known)| known.name == *name) {
                Some((_, known)) if known.disk != found.disk => {
                    return Err(format!(
                        "`{name}` came back with another disk than it was taken in with: it must not \
                         vote under its number again"
                    ));
                }
                Some((number, _)) => *number,
                None => {
                    next += 1;
                    next - 1
                }
            };
            there.insert(number, found);
        }
        if there.len() < self.count {
            return Err(format!("{} of {} nodes are configured", there.len(), self.count));
        }
        Ok(there)
    }

    /// Tells the others who they are; whoever was told already is told the same.
    async fn invite(&self, members: &Members) -> Result<(), String> {
        for (number, peer) in members.iter().filter(|(number, _)| **number != self.me) {
            let (cluster, members) = (self.cluster.clone(), members.clone());
            let invitation = Request::Form(Invitation { cluster, node: *number, members });
            match self.peers.call(&peer.peer, &invitation, ANSWER).await {
                Ok(Response::Welcome) => {}
                Ok(Response::Refused(why)) => return Err(format!("`{}`: {why}", peer.name)),
                Ok(_) => return Err(format!("`{}` did not say whether it comes", peer.name)),
                Err(error) => return Err(format!("`{}`: {error}", peer.name)),
            }
        }
        Ok(())
    }
}
