//! Changes of the cluster: a node added, removed, moved, or made the leader.
//!
//! Any node can be asked; the leader does it. What is wanted is first put into the state (a number
//! given to a disk, a disk let go), then made so, and what a leader that died left half done the
//! next one completes ([`crate::upkeep`]). So every change can be asked for again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};
use notty_storage::{
    command::{AdmitNode, DismissNode},
    query,
    records::Nodes,
};
use openraft::{
    ChangeMembers,
    error::{ChangeMembershipError, ClientWriteError, RaftError},
};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    error::ProposeError,
    forming,
    members::TransferError,
    node::Node,
    peers::{
        client::CallError,
        protocol::{Invitation, Request, Response},
    },
    types::{NodeId, Peer},
};

/// How long a change may take where it is passed on: a node that goes winds up its work first.
const CHANGE: Duration = Duration::from_secs(40);
/// For how long a change is asked for again while there is no leader, or another one.
const AGAIN: Duration = Duration::from_secs(10);
/// Between two such tries, and between two looks at how far a change has come.
const LOOK: Duration = Duration::from_millis(100);
/// How long one change of the members may take to be agreed on.
const AGREE: Duration = Duration::from_secs(10);
/// How long an earlier change is waited for.
const TURN: Duration = Duration::from_secs(5);
/// How long a peer may take to take an invitation, to say how it stands, or to take up where this
/// node is.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a node that goes may take to wind up its work.
const RETIRE: Duration = Duration::from_secs(20);

/// What is to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A node with an empty data directory is taken in.
    Add {
        /// Its name.
        name: String,
        /// Where its peers reach it.
        peer: String,
        /// Where clients reach it.
        api: String,
    },
    /// A node is taken out, for good.
    Remove {
        /// Its name.
        name: String,
    },
    /// Another node leads.
    Transfer {
        /// Its name; none: the one that has most.
        to: Option<String>,
    },
    /// A member has other addresses, or another name, than the others know of.
    Move(Peer),
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The node that it was about; after a transfer, the leader.
    pub name: String,
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ChangeError {
    /// There is no leader to make it.
    #[error("the cluster has no leader at the moment")]
    NoLeader,
    /// The leader was to go and leads no more: its successor makes the change.
    #[error("the leader has handed over; ask again")]
    HandedOver,
    /// It may have been made, or be made yet. It can be asked for again.
    #[error("whether it was done is not known; ask again, a repeat is harmless")]
    Unknown,
    /// Another change is under way.
    #[error("another change of the cluster is under way; ask again")]
    Busy,
    /// Nobody has this name.
    #[error("no node of the cluster is called `{0}`")]
    NotFound(String),
    /// The name is taken.
    #[error(
        "`{0}` is a node of the cluster already, with another disk or at another address; if its \
         disk is lost, remove it first: notty cluster remove {0}"
    )]
    Exists(String),
    /// The node does not answer, or somebody else does.
    #[error("the node cannot be taken in: {0}")]
    Unreachable(String),
    /// The node has a past.
    #[error(
        "`{0}` belongs to a cluster already; only a node with an empty data directory can be taken \
         in: stop it, empty its data directory, start it again"
    )]
    NotEmpty(String),
    /// Nobody would be left.
    #[error("`{0}` is the last node that votes: without it there is no cluster")]
    LastVoter(String),
    /// Too few would be left that answer.
    #[error("{0}")]
    Majority(String),
    /// Leadership stays where it is.
    #[error("leadership was not handed over: {0}")]
    NotTransferred(String),
    /// It breaks a rule of the state.
    #[error("{0}")]
    Refused(String),
    /// The name was a member's, which has another now.
    #[error(
        "`{name}` is the name that `{now}`, a node of the cluster, was taken in under: to take in \
         another node, give it another name, or remove that one first: notty cluster remove {now}"
    )]
    FormerName {
        /// The name.
        name: String,
        /// What that member is called now.
        now: String,
    },
}

impl From<ProposeError> for ChangeError {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::Rejected { rejection, .. } => Self::Refused(rejection.to_string()),
            ProposeError::NoLeader | ProposeError::Stopped => Self::NoLeader,
            ProposeError::Unknown | ProposeError::Overloaded => Self::Unknown,
        }
    }
}

impl ChangeError {
    /// Whether the same may be asked for again at once: somebody else may answer otherwise.
    fn is_passing(&self) -> bool {
        matches!(self, Self::NoLeader | Self::HandedOver | Self::Unknown)
    }
}

impl Node {
    /// Has the cluster changed, here or by the leader.
    pub async fn change(self: &Arc<Self>, change: Change) -> Result<Changed, ChangeError> {
        let until = Instant::now() + AGAIN;
        loop {
            let mut changed = match self.leader_elsewhere() {
                None => self.change_here(change.clone()).await,
                Some(leader) => self.pass_change_on(&leader, &change).await,
            };
            if matches!((&changed, &change), (Err(e), Change::Move(_)) if e.is_passing()) {
                changed = self.ask_all(&change).await;
            }
            let again = match (&changed, &change) {
                // Asked again, it would go on to a third.
                (Err(error), Change::Transfer { to: None }) => *error == ChangeError::NoLeader,
                (Err(error), _) => error.is_passing(),
                (Ok(_), _) => false,
            };
            let handed_over = changed == Err(ChangeError::HandedOver);
            if !again || (Instant::now() > until && !handed_over) {
                return changed;
            }
            sleep(LOOK).await;
        }
    }

    async fn pass_change_on(
        &self,
        leader: &(NodeId, Peer),
        change: &Change,
    ) -> Result<Changed, ChangeError> {
        let request = Request::Change(change.clone());
        let answer = match change {
            // That it leads no more is what was asked for.
            Change::Transfer { .. } => self.peers.call_member(&leader.1, &request, CHANGE).await,
            _ => self.call_leader(leader, &request, CHANGE).await,
        };
        match answer {
            Ok(Response::Changed(changed)) => changed,
            Ok(_) | Err(CallError::Lost { .. }) => Err(ChangeError::Unknown),
            Err(CallError::NotSent { .. } | CallError::Refused { .. }) => {
                Err(ChangeError::NoLeader)
            }
        }
    }

    /// Asks all other members, of whom one may lead though none, or another, is known here as the
    /// leader. One that looks for this node where it was cannot tell it so; and as long as that
    /// leader is there, the others give this node no vote.
    async fn ask_all(&self, change: &Change) -> Result<Changed, ChangeError> {
        let members = self.membership();
        let request = Request::Change(change.clone());
        let others = members
            .nodes()
            .filter(|(node, _)| **node != self.identity.node);
        let mut asked: FuturesUnordered<_> = others
            .map(|(_, member)| self.peers.call_member(member, &request, ANSWER))
            .collect();
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(Response::Changed(Err(ChangeError::NoLeader))) => {}
                Ok(Response::Changed(changed)) => return changed,
                _ => {}
            }
        }
        Err(ChangeError::NoLeader)
    }

    /// Changes the cluster as the leader, or not at all; to its end, also where whoever asked goes
    /// away meanwhile.
    pub(crate) async fn change_here(
        self: &Arc<Self>,
        change: Change,
    ) -> Result<Changed, ChangeError> {
        let node = self.clone();
        let changing = tokio::spawn(async move { node.change_as_leader(change).await });
        changing.await.unwrap_or(Err(ChangeError::Unknown))
    }

    async fn change_as_leader(&self, change: Change) -> Result<Changed, ChangeError> {
        if !self.leads_now() {
            return Err(ChangeError::NoLeader);
        }
        let name = match change {
            Change::Transfer { to } => self.hand_over_to(to.as_deref()).await?,
            change => {
                let turn = timeout(TURN, self.changing.lock()).await;
                let _turn = turn.map_err(|_| ChangeError::Busy)?;
                match change {
                    Change::Add { name, peer, api } => {
                        self.add(Peer {
                            name,
                            peer,
                            api,
                            disk: String::new(),
                        })
                        .await?
                    }
                    Change::Remove { name } => self.remove(name).await?,
                    Change::Move(peer) => self.move_member(peer).await?,
                    Change::Transfer { .. } => unreachable!("it was dealt with"),
                }
            }
        };
        Ok(Changed { name })
    }

    async fn hand_over_to(&self, to: Option<&str>) -> Result<String, ChangeError> {
        if to == Some(self.peer.name.as_str()) {
            return Ok(self.peer.name.clone());
        }
        let mut handed = self.transfer_leader(to).await;
        // Followers that were slow just then may have missed it.
        if matches!(handed, Err(TransferError::NotElected(_))) && self.leads_now() {
            handed = self.transfer_leader(to).await;
        }
        handed.map_err(|error| match error {
            TransferError::NotLeader => ChangeError::NoLeader,
            error => ChangeError::NotTransferred(error.to_string()),
        })
    }

    /// Takes a node in, as a learner that votes once it is level.
    async fn add(&self, asked: Peer) -> Result<String, ChangeError> {
        let standing = forming::identify(&self.peers, &asked.peer).await;
        if let Some((_, member)) = self.member_called(&asked.name) {
            let other = standing.is_ok_and(|standing| standing.disk != member.disk);
            let same = member.peer == asked.peer && !other;
            return if same {
                Ok(asked.name)
            } else {
                Err(ChangeError::Exists(asked.name))
            };
        }
        let standing = standing.map_err(|error| match error {
            // It knows the secret and speaks with another cluster only.
            CallError::Refused { .. } => ChangeError::NotEmpty(asked.name.clone()),
            error => ChangeError::Unreachable(error.to_string()),
        })?;
        if standing.name != asked.name {
            let Peer { name, peer, .. } = asked;
            let what = format!("at {peer} is `{}`, not `{name}`", standing.name);
            return Err(ChangeError::Unreachable(what));
        }
        let peer = Peer {
            disk: standing.disk,
            ..asked
        };
        let cluster = self.identity.cluster.clone();
        let remembered = self.remembered()?;
        let known = remembered.of_disk(&peer.disk).is_some();
        if standing
            .cluster
            .is_some_and(|there| there != cluster || !known)
        {
            return Err(ChangeError::NotEmpty(peer.name));
        }
        if let Some(member) = self.taken_in_as(&remembered, &peer) {
            return Err(ChangeError::FormerName {
                name: peer.name,
                now: member.name,
            });
        }
        let node = self.admit(&peer).await?;
        let members = self.membership();
        let members = members
            .nodes()
            .map(|(node, member)| (*node, member.clone()))
            .collect();
        let invitation = Invitation {
            cluster,
            node,
            members,
        };
        let invited = self
            .peers
            .call(&peer.peer, &Request::Join(invitation), ANSWER)
            .await;
        invited.map_err(|error| ChangeError::Unreachable(error.to_string()))?;
        let name = peer.name.clone();
        self.change_members(ChangeMembers::AddNodes(BTreeMap::from([(node, peer)])))
            .await?;
        tracing::info!(
            node.id = node,
            "`{name}` is taken in; it will vote once it is level"
        );
        let level = async {
            while self
                .member_called(&name)
                .is_some_and(|(node, _)| !self.votes(node))
            {
                self.tidy().await?;
                sleep(LOOK).await;
            }
            Ok::<_, ChangeError>(())
        };
        // Where it has much to catch up with, the leader goes on by itself.
        let _ = timeout(AGREE, level).await;
        Ok(name)
    }

    /// The member that was taken in under a name and has another now. Its record keeps the name: to
    /// admit another disk under it would let that member go.
    fn taken_in_as(&self, remembered: &Nodes, peer: &Peer) -> Option<Peer> {
        let mut taken_in = remembered.nodes.iter().filter(|record| {
            !record.dismissed && record.name == peer.name && record.disk != peer.disk
        });
        let members = self.membership();
        let member = |disk: &str| members.nodes().find(|(_, member)| member.disk == disk);
        taken_in
            .find_map(|record| member(&record.disk))
            .map(|(_, member)| member.clone())
    }

    /// The number of a disk that is to be taken in.
    pub(crate) async fn admit(&self, peer: &Peer) -> Result<NodeId, ChangeError> {
        let above = self
            .membership()
            .nodes()
            .map(|(node, _)| *node)
            .max()
            .unwrap_or(0);
        let (name, disk) = (peer.name.clone(), peer.disk.clone());
        let admitted = self.act_as_leader(AdmitNode { name, disk, above }).await?;
        Ok(admitted.reply.node)
    }

    /// Takes a node out; a leader hands over first.
    async fn remove(&self, name: String) -> Result<String, ChangeError> {
        let Some((node, member)) = self.member_called(&name) else {
            let gone = self.remembered()?;
            let gone = gone
                .nodes
                .iter()
                .any(|record| record.dismissed && record.name == name);
            return if gone {
                Ok(name)
            } else {
                Err(ChangeError::NotFound(name))
            };
        };
        self.check_majority_without(node, &name).await?;
        if node == self.identity.node {
            self.hand_over_to(None).await?;
            return Err(ChangeError::HandedOver);
        }
        // What it has under lease is handed back; a node that does not answer is not waited for.
        let _ = self
            .peers
            .call_member(&member, &Request::Retire, RETIRE)
            .await;
        let disk = member.disk.clone();
        self.act_as_leader(DismissNode {
            node,
            name: name.clone(),
            disk,
        })
        .await?;
        let gone = async {
            while self.membership().get_node(&node).is_some() {
                self.tidy().await?;
                sleep(LOOK).await;
            }
            Ok::<_, ChangeError>(())
        };
        timeout(AGREE, gone)
            .await
            .map_err(|_| ChangeError::Unknown)??;
        tracing::info!(node.id = node, "`{name}` is taken out of the cluster");
        let _ = self
            .peers
            .call_member(&member, &Request::Farewell, ANSWER)
            .await;
        Ok(name)
    }

    /// Whether those who are left can go on without a node.
    async fn check_majority_without(&self, node: NodeId, name: &str) -> Result<(), ChangeError> {
        let members = self.membership();
        let left = members.voter_ids().filter(|voter| *voter != node);
        let left: Vec<_> = left.filter_map(|voter| members.get_node(&voter)).collect();
        if left.is_empty() {
            return Err(ChangeError::LastVoter(name.to_owned()));
        }
        let asked = left.iter().map(|peer| async {
            peer.disk == self.identity.disk
                || self
                    .peers
                    .call_member(peer, &Request::Status, ANSWER)
                    .await
                    .is_ok()
        });
        let answers = futures_util::future::join_all(asked).await;
        let there = answers.iter().filter(|answers| **answers).count();
        if 2 * there > left.len() {
            return Ok(());
        }
        let missing = left.iter().zip(&answers).filter(|(_, there)| !**there);
        let missing: Vec<_> = missing
            .map(|(peer, _)| format!("`{}`", peer.name))
            .collect();
        Err(ChangeError::Majority(format!(
            "without `{name}` {} would be left that vote, and only {there} of them can be reached: \
             no majority. Bring {} back, or remove it first",
            left.len(),
            missing.join(", "),
        )))
    }

    /// Takes up where a member is now.
    async fn move_member(&self, moved: Peer) -> Result<String, ChangeError> {
        let members = self.membership();
        let known = members
            .nodes()
            .find(|(_, member)| member.disk == moved.disk);
        let Some((node, member)) = known else {
            return Err(ChangeError::NotFound(moved.name));
        };
        if *member == moved {
            return Ok(moved.name);
        }
        if members
            .nodes()
            .any(|(other, peer)| other != node && peer.name == moved.name)
        {
            return Err(ChangeError::Exists(moved.name));
        }
        if *node != self.identity.node {
            let there = forming::identify(&self.peers, &moved.peer).await;
            let there = there.map_err(|error| ChangeError::Unreachable(error.to_string()))?;
            if there.disk != moved.disk {
                let what = format!(
                    "at {} is another disk, that of `{}`",
                    moved.peer, there.name
                );
                return Err(ChangeError::Unreachable(what));
            }
        }
        let (name, peer) = (moved.name.clone(), moved.peer.clone());
        self.change_members(ChangeMembers::SetNodes(BTreeMap::from([(*node, moved)])))
            .await?;
        tracing::info!("`{name}` is at {peer} from now on");
        Ok(name)
    }

    /// Makes one step of a change of the members, as the leader. Who votes no more is let go.
    pub(crate) async fn change_members(
        &self,
        changes: ChangeMembers<NodeId, Peer>,
    ) -> Result<(), ChangeError> {
        let changing = self.raft.change_membership(changes, false);
        match timeout(AGREE, changing).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => {
                Err(ChangeError::NoLeader)
            }
            Ok(Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error)))) => {
                Err(match error {
                    ChangeMembershipError::InProgress(_) => ChangeError::Busy,
                    error => ChangeError::Refused(error.to_string()),
                })
            }
            Ok(Err(RaftError::Fatal(_))) => Err(ChangeError::NoLeader),
            Err(_) => Err(ChangeError::Unknown),
        }
    }

    /// The members as this node knows them.
    pub(crate) fn membership(&self) -> openraft::Membership<NodeId, Peer> {
        self.raft
            .metrics()
            .borrow()
            .membership_config
            .membership()
            .clone()
    }

    fn member_called(&self, name: &str) -> Option<(NodeId, Peer)> {
        let members = self.membership();
        let mut named = members.nodes().filter(|(_, peer)| peer.name == name);
        named.next().map(|(node, peer)| (*node, peer.clone()))
    }

    fn votes(&self, node: NodeId) -> bool {
        self.membership().voter_ids().any(|voter| voter == node)
    }

    /// Numbers given and disks let go, as the state here has them.
    pub(crate) fn remembered(&self) -> Result<Nodes, ChangeError> {
        let view = self.view();
        let nodes = self.checked(query::nodes::nodes(&view.read()));
        nodes.map_err(|error| ChangeError::Refused(error.to_string()))
    }
}
