//! A restored node takes in the others that its cluster is to have.
//!
//! A restored directory is a cluster of one: it leads and serves at once. Where its configuration
//! expects more, it waits until all of them are there, each with an empty directory, and gives them
//! numbers as [`super::addition`] does. First they learn everything, by snapshot; then they vote, all
//! together. A crash at any moment leaves a cluster that goes on with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
    time::Duration,
};

use openraft::ChangeMembers;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::{
    cluster::{changes::MemberChanges, forming::identify, myself::Myself},
    disk::own_identity::OwnIdentity,
    peers::{
        client::Peers,
        protocol::{Invitation, Invite, Standing},
    },
    runtime::blocking,
    types::{NodeId, Peer, Raft},
};

/// Between two looks at the other nodes.
const LOOK: Duration = Duration::from_millis(500);
/// Between two looks at the position of a learner.
const LEVEL: Duration = Duration::from_millis(50);
/// Time limit of a peer for its answer.
const ANSWER: Duration = Duration::from_secs(2);
/// Longest wait for a node to have learnt everything, and for the members to agree: other changes wait
/// meanwhile. A step that was begun goes on in openraft until the next look.
const STEP: Duration = Duration::from_secs(5);

type MembersByNumber = BTreeMap<NodeId, Peer>;

/// A node that is there.
struct Newcomer {
    peer: Peer,
    /// The number that it was taken in with, if it was.
    number: Option<NodeId>,
}

/// Nodes that a restored node takes in.
pub(crate) struct TakeIn {
    pub(crate) raft: Raft,
    pub(crate) peers: Arc<Peers>,
    pub(crate) me: Arc<Myself>,
    /// All nodes that are configured; none: it stays by itself.
    pub(crate) expected: Vec<Peer>,
    /// The number of nodes that form the cluster.
    pub(crate) count: usize,
}

/// Runs until all are members, or the node is gone; then the directory is one like any other.
pub(crate) async fn run(take_in: TakeIn, changes: Weak<MemberChanges>, own: Weak<OwnIdentity>) {
    // The same reason is logged once, and not at every look.
    let mut logged = String::new();
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(changes) = changes.upgrade() else {
            return;
        };

        // Other changes of the members have their turn between two steps.
        let turn = changes.turn().await;
        let stepped = take_in.step(&changes).await;
        drop(turn);

        let Err(why) = stepped else { break };
        if why != logged {
            let count = take_in.count;
            tracing::info!(
                "the cluster of this restored node does not have {count} nodes yet: {why}"
            );
        }
        logged = why;
    }

    if let Some(own) = own.upgrade() {
        unmark(&own, take_in.count);
    }
}

/// Removes the mark of a restored directory: its cluster has all its nodes.
fn unmark(own: &OwnIdentity, count: usize) {
    match blocking(|| own.data_dir().settle_restored()) {
        Ok(()) if count > 1 => {
            tracing::info!("all {count} nodes of the restored cluster are voters")
        }
        Ok(()) => {}
        Err(error) => {
            tracing::error!(%error, "the mark of a restored directory could not be removed");
        }
    }
}

/// Waits until a learner has the leader's log.
async fn until_level(node: NodeId, changes: &MemberChanges) {
    while !changes.consensus().level_learners().contains(&node) {
        sleep(LEVEL).await;
    }
}

/// The number that a node was taken in with, if it was; it must have the same disk.
fn number_of(name: &str, disk: &str, known: &MembersByNumber) -> Result<Option<NodeId>, String> {
    match known.iter().find(|(_, known)| known.name == name) {
        Some((_, known)) if known.disk != disk => Err(format!(
            "`{name}` came back with another disk than it was taken in with: it must not vote under \
             its number again"
        )),
        found => Ok(found.map(|(number, _)| *number)),
    }
}

/// Gives a node its number.
async fn admit(peer: &Peer, changes: &MemberChanges) -> Result<NodeId, String> {
    let admitted = changes.list().admit(peer).await;
    admitted.map_err(|error| format!("`{}`: {error}", peer.name))
}

impl TakeIn {
    /// Goes on from wherever it stands. The error is the reason why it is not done then.
    pub(crate) async fn step(&self, changes: &MemberChanges) -> Result<(), String> {
        let consensus = changes.consensus();
        let voters = consensus.voters();
        let is_whole = consensus.membership().get_joint_config().len() == 1;
        if is_whole && self.has_all(&voters) {
            return Ok(());
        }
        if self.leader() != Some(self.me.node) {
            return Err("it does not lead".to_owned());
        }

        self.introduce(&voters).await?;
        let there = self.find_all(&consensus.members()).await?;
        let members = self.number(there, changes).await?;
        self.invite(&members).await?;

        // Learners first: a voter that knows nothing yet would count for a majority.
        self.teach_all(&members, changes).await?;
        let voters: BTreeSet<_> = members.keys().copied().collect();
        self.agree_on(ChangeMembers::ReplaceAllVoters(voters)).await
    }

    fn leader(&self) -> Option<NodeId> {
        self.raft.metrics().borrow().current_leader
    }

    /// True if all that are expected vote, and this node under its configured addresses.
    fn has_all(&self, voters: &MembersByNumber) -> bool {
        let has_vote = |name: &str| voters.values().any(|peer| peer.name == name);
        voters.get(&self.me.node) == Some(&self.me.peer)
            && self.expected.iter().all(|peer| has_vote(&peer.name))
            && voters.len() >= self.count
    }

    /// Puts this node's configured name and addresses into the members: a restore does not know them.
    async fn introduce(&self, voters: &MembersByNumber) -> Result<(), String> {
        if voters.get(&self.me.node) == Some(&self.me.peer) {
            return Ok(());
        }
        let mine = BTreeMap::from([(self.me.node, self.me.peer.clone())]);
        self.agree_on(ChangeMembers::SetNodes(mine)).await
    }

    async fn teach_all(
        &self,
        members: &MembersByNumber,
        changes: &MemberChanges,
    ) -> Result<(), String> {
        let voters = changes.consensus().voters();
        let learning = members
            .iter()
            .filter(|(node, _)| !voters.contains_key(node));
        for (node, peer) in learning {
            self.teach(*node, peer, changes).await?;
        }
        Ok(())
    }

    /// Has a node learn everything. openraft itself would also wait for one that is dead, or not at
    /// all where there is little to learn; a node that is dead must not vote.
    async fn teach(
        &self,
        node: NodeId,
        peer: &Peer,
        changes: &MemberChanges,
    ) -> Result<(), String> {
        let adding = self.raft.add_learner(node, peer.clone(), false);
        timeout(STEP, adding)
            .await
            .map_err(|_| format!("`{}` is not taken in yet", peer.name))?
            .map_err(|error| format!("`{}`: {error}", peer.name))?;

        // openraft answered once the node was a learner, whether or not it has learnt anything.
        let learnt = timeout(STEP, until_level(node, changes)).await;
        learnt.map_err(|_| format!("`{}` has not learnt everything yet", peer.name))
    }

    async fn agree_on(&self, changes: ChangeMembers<NodeId, Peer>) -> Result<(), String> {
        match timeout(STEP, self.raft.change_membership(changes, true)).await {
            Ok(agreed) => agreed.map(drop).map_err(|error| error.to_string()),
            Err(_) => Err("the members have not agreed on it yet".to_owned()),
        }
    }

    /// The nodes that are to be taken in, by their numbers, and this node.
    async fn number(
        &self,
        there: Vec<Newcomer>,
        changes: &MemberChanges,
    ) -> Result<MembersByNumber, String> {
        let mut members = BTreeMap::from([(self.me.node, self.me.peer.clone())]);
        for Newcomer { peer, number } in there {
            // A node that has its number from an earlier step keeps it.
            let number = match number {
                Some(number) => number,
                None => admit(&peer, changes).await?,
            };
            members.insert(number, peer);
        }
        Ok(members)
    }

    /// All nodes that are expected but this one, if all of them are there and may be taken in.
    async fn find_all(&self, known: &MembersByNumber) -> Result<Vec<Newcomer>, String> {
        let mut there = Vec::new();
        for peer in self.others() {
            let standing = identify(&self.peers, &peer.peer).await.map_err(|error| {
                let found = there.len() + 1;
                format!("{found} of {} nodes are there: {error}", self.count)
            })?;
            there.push(self.newcomer(peer, standing, known)?);
        }

        if there.len() + 1 < self.count {
            let found = there.len() + 1;
            return Err(format!("{found} of {} nodes are configured", self.count));
        }
        Ok(there)
    }

    /// All nodes that are configured but this one, in the order in which they get their numbers.
    fn others(&self) -> Vec<&Peer> {
        let mut others: Vec<_> = self.expected.iter().collect();
        others.retain(|peer| peer.name != self.me.peer.name);
        others.sort_by_key(|peer| &peer.name);
        others
    }

    /// Checks that the node that answers may be taken in as the configured peer.
    fn newcomer(
        &self,
        peer: &Peer,
        standing: Standing,
        known: &MembersByNumber,
    ) -> Result<Newcomer, String> {
        let name = &peer.name;
        if standing.name != *name {
            let address = &peer.peer;
            return Err(format!("{address} is `{}`, not `{name}`", standing.name));
        }
        if self.is_elsewhere(&standing) {
            return Err(format!(
                "`{name}` belongs to another cluster: this node takes in empty directories only; \
                 stop that one, and empty its data directory"
            ));
        }

        let number = number_of(name, &standing.disk, known)?;
        let disk = standing.disk;
        Ok(Newcomer {
            peer: Peer {
                disk,
                ..peer.clone()
            },
            number,
        })
    }

    fn is_elsewhere(&self, standing: &Standing) -> bool {
        let cluster = standing.cluster.as_ref();
        cluster.is_some_and(|cluster| *cluster != self.me.cluster)
    }

    /// Invites the others; a node that was invited already gets the same invitation again.
    async fn invite(&self, members: &MembersByNumber) -> Result<(), String> {
        for (number, peer) in members.iter().filter(|(node, _)| **node != self.me.node) {
            let invitation = Invitation {
                cluster: self.me.cluster.clone(),
                node: *number,
                members: members.clone(),
            };
            let inviting = self.peers.call(&peer.peer, Invite(invitation), ANSWER);
            let invited = inviting.await;
            invited.map_err(|error| format!("`{}`: {error}", peer.name))?;
        }
        Ok(())
    }
}
