//! A restored node takes in the others that its cluster is to have.
//!
//! A restored directory is a cluster of one: it leads and serves at once. Where its configuration
//! expects more, it waits until all of them are there, each with an empty directory, and gives them
//! numbers as any node that is taken in gets one ([`crate::cluster::changes`]). First they learn everything, by snapshot; then
//! they vote. A crash at any moment leaves a cluster that goes on with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
    time::Duration,
};

use openraft::ChangeMembers;
use tokio::time::timeout;

use crate::{
    cluster::forming::identify,
    node::Node,
    peers::{
        client::Peers,
        protocol::{Invitation, Request, Response},
    },
    runtime::blocking,
    types::{NodeId, Peer, Raft},
};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Between two looks at what a node has learnt.
const LEVEL: Duration = Duration::from_millis(50);
/// How long a peer may take to answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How long one look waits for a node to have learnt everything, and for the members to agree: other
/// changes wait meanwhile. What was begun goes on until the next.
const STEP: Duration = Duration::from_secs(5);

type Members = BTreeMap<NodeId, Peer>;

/// A node that is there.
struct Found {
    peer: Peer,
    /// The number that it was taken in with, if it was.
    number: Option<NodeId>,
}

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
        let Some(node) = node.upgrade() else {
            return;
        };
        let turn = node.changing.lock().await;
        let stepped = take_in.step(&node).await;
        drop(turn);
        match stepped {
            Ok(()) => break,
            Err(why) if why != told => {
                tracing::info!(
                    "this restored node is not one of {} yet: {why}",
                    take_in.count
                );
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
    pub(crate) async fn step(&self, node: &Node) -> Result<(), String> {
        let (leader, whole) = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow();
            let config = metrics
                .membership_config
                .membership()
                .get_joint_config()
                .len();
            (metrics.current_leader, config == 1)
        };
        if whole && self.are_members(&self.members()) {
            return Ok(());
        }
        if leader != Some(self.me) {
            return Err("it does not lead".to_owned());
        }
        self.introduce().await?;
        let there = self.who_is_there().await?;
        let members = self.number(there, node).await?;
        self.invite(&members).await?;
        let voting = self.members();
        let learning = members.iter().filter(|(id, _)| !voting.contains_key(id));
        for (id, peer) in learning {
            self.teach(*id, peer, node).await?;
        }
        let voters: BTreeSet<_> = members.keys().copied().collect();
        self.agree_on(ChangeMembers::ReplaceAllVoters(voters)).await
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
        self.agree_on(ChangeMembers::SetNodes(mine)).await
    }

    /// Has a node learn everything. openraft itself would also wait for one that is dead, or not at
    /// all where there is little to learn; a node that is dead must not vote.
    async fn teach(&self, id: NodeId, peer: &Peer, node: &Node) -> Result<(), String> {
        let learning = timeout(STEP, self.raft.add_learner(id, peer.clone(), false)).await;
        learning
            .map_err(|_| format!("`{}` is not taken in yet", peer.name))?
            .map_err(|error| format!("`{}`: {error}", peer.name))?;
        let level = async {
            while !node.level_learners().contains(&id) {
                tokio::time::sleep(LEVEL).await;
            }
        };
        let learnt = timeout(STEP, level).await;
        learnt.map_err(|_| format!("`{}` has not learnt everything yet", peer.name))
    }

    async fn agree_on(&self, changes: ChangeMembers<NodeId, Peer>) -> Result<(), String> {
        match timeout(STEP, self.raft.change_membership(changes, true)).await {
            Ok(agreed) => agreed.map(drop).map_err(|error| error.to_string()),
            Err(_) => Err("the members have not agreed on it yet".to_owned()),
        }
    }

    /// Those who are to be taken in, by their numbers, and this node.
    async fn number(&self, there: Vec<Found>, node: &Node) -> Result<Members, String> {
        let mut members = BTreeMap::from([(self.me, self.mine.clone())]);
        for Found { peer, number } in there {
            let number = match number {
                Some(number) => number,
                None => node
                    .admit(&peer)
                    .await
                    .map_err(|e| format!("`{}`: {e}", peer.name))?,
            };
            members.insert(number, peer);
        }
        Ok(members)
    }

    /// All who are expected but this node, if all of them are there and may be taken in.
    async fn who_is_there(&self) -> Result<Vec<Found>, String> {
        let known: Members = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow();
            let nodes = metrics.membership_config.membership().nodes();
            nodes.map(|(id, peer)| (*id, peer.clone())).collect()
        };
        let mut there = Vec::new();
        let mut others: Vec<_> = self.expected.iter().collect();
        others.retain(|peer| peer.name != self.mine.name);
        others.sort_by_key(|peer| &peer.name);
        for peer in others {
            let standing = identify(&self.peers, &peer.peer).await.map_err(|error| {
                format!(
                    "{} of {} nodes are there: {error}",
                    there.len() + 1,
                    self.count
                )
            })?;
            let name = &peer.name;
            if standing.name != *name {
                return Err(format!(
                    "{} is `{}`, not `{name}`",
                    peer.peer, standing.name
                ));
            }
            if standing
                .cluster
                .is_some_and(|cluster| cluster != self.cluster)
            {
                return Err(format!(
                    "`{name}` belongs to another cluster: this node takes in empty directories only; \
                     stop that one, and empty its data directory"
                ));
            }
            let found = Peer {
                disk: standing.disk,
                ..peer.clone()
            };
            let number = match known.iter().find(|(_, known)| known.name == *name) {
                Some((_, known)) if known.disk != found.disk => {
                    return Err(format!(
                        "`{name}` came back with another disk than it was taken in with: it must not \
                         vote under its number again"
                    ));
                }
                Some((number, _)) => Some(*number),
                None => None,
            };
            there.push(Found {
                peer: found,
                number,
            });
        }
        if there.len() + 1 < self.count {
            return Err(format!(
                "{} of {} nodes are configured",
                there.len() + 1,
                self.count
            ));
        }
        Ok(there)
    }

    /// Tells the others who they are; whoever was told already is told the same.
    async fn invite(&self, members: &Members) -> Result<(), String> {
        for (number, peer) in members.iter().filter(|(number, _)| **number != self.me) {
            let (cluster, members) = (self.cluster.clone(), members.clone());
            let invitation = Request::Form(Invitation {
                cluster,
                node: *number,
                members,
            });
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
