//! What a node looks after by itself: members that wait to vote or to go, addresses that are not
//! the ones it is known by, and its own dismissal.
//!
//! What the state and the members' list want is made so by whoever leads, step by step; so a change
//! that its leader left half done is completed by the next.

use std::{collections::BTreeSet, sync::Weak, time::Duration};

use futures_util::future::join_all;
use openraft::ChangeMembers;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    cluster::changes::{Change, ChangeError},
    node::Node,
    peers::protocol::Request,
    types::{NodeId, Peer},
};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Entries by which a learner may be behind and still count as level: some are always on their way.
const LEVEL: u64 = 100;
/// Between two tries of a node to have its new address taken up.
const ANNOUNCE: Duration = Duration::from_secs(2);
/// How long a node that was told to retire waits for its dismissal before it works on: who told it
/// may have died.
const RETIRED: Duration = Duration::from_secs(60);
/// How long a member may take to say whether this node was taken out: less than who told it to ask
/// waits.
const ANSWER: Duration = Duration::from_millis(1_500);
/// How long winding up may take.
const WIND_UP: Duration = Duration::from_secs(18);

/// Looks after things for as long as the node lives.
pub(crate) async fn run(node: Weak<Node>) {
    let mut announced: Option<Instant> = None;
    let mut handed_over: Option<Instant> = None;
    loop {
        sleep(LOOK).await;
        let Some(node) = node.upgrade() else {
            return;
        };
        node.work_on_after_a_while();
        if node.leads_now() {
            node.hand_over_for_clock(&mut handed_over).await;
            let Ok(_turn) = node.changing.try_lock() else {
                continue;
            };
            if let Err(error) = node.tidy().await {
                tracing::debug!("the members could not be tidied: {error}");
            }
            continue;
        }
        if node.was_let_go() {
            node.peers.note_dismissal();
        }
        let due = announced.is_none_or(|at| at.elapsed() >= ANNOUNCE);
        if due && let Some(moved) = node.moved() {
            announced = Some(Instant::now());
            if let Err(error) = node.change(Change::Move(moved)).await {
                tracing::warn!("this node's new address is not taken up yet: {error}");
            }
        }
    }
}

impl Node {
    /// Makes one step towards what is wanted, as the leader.
    pub(crate) async fn tidy(&self) -> Result<(), ChangeError> {
        let members = self.membership();
        if members.get_joint_config().len() > 1 {
            // Left between two steps: the second is made now.
            return self
                .change_members(ChangeMembers::AddVoterIds(BTreeSet::new()))
                .await;
        }
        let remembered = self.remembered()?;
        let let_go = members
            .nodes()
            .find(|(_, peer)| remembered.is_dismissed(&peer.disk));
        if let Some((node, _)) = let_go {
            return self
                .let_go(*node, members.voter_ids().any(|voter| voter == *node))
                .await;
        }
        if let Some(moved) = self.moved() {
            let other = |(node, peer): (&NodeId, &Peer)| {
                *node != self.identity.node && peer.name == moved.name
            };
            if members.nodes().any(other) {
                return Err(ChangeError::Exists(moved.name));
            }
            let moved = [(self.identity.node, moved)].into();
            return self.change_members(ChangeMembers::SetNodes(moved)).await;
        }
        let level = self.level_learners();
        // Those whom a restored node takes in vote together or not at all: one that voted before the
        // others are known could come to lead a cluster that nobody completes.
        match level.is_empty() || self.data_dir.is_restored() {
            true => Ok(()),
            false => self.change_members(ChangeMembers::AddVoterIds(level)).await,
        }
    }

    async fn let_go(&self, node: NodeId, voter: bool) -> Result<(), ChangeError> {
        if node == self.identity.node {
            // Its successor completes what was begun.
            let handed = self.transfer_leader(None).await;
            return handed
                .map(drop)
                .map_err(|e| ChangeError::NotTransferred(e.to_string()));
        }
        let node = BTreeSet::from([node]);
        match voter {
            true => self.change_members(ChangeMembers::RemoveVoters(node)).await,
            false => self.change_members(ChangeMembers::RemoveNodes(node)).await,
        }
    }

    /// Learners that have the log, but for the last of it.
    pub(crate) fn level_learners(&self) -> BTreeSet<NodeId> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let last = metrics.last_log_index.unwrap_or(0);
        let members = metrics.membership_config.membership();
        let is_level = |learner: &NodeId| {
            let matched = metrics
                .replication
                .as_ref()
                .and_then(|all| all.get(learner));
            let matched = matched.copied().flatten();
            matched.is_some_and(|matched| matched.index + LEVEL >= last)
        };
        members.learner_ids().filter(is_level).collect()
    }

    /// This node as it is configured, if the members know it otherwise.
    fn moved(&self) -> Option<Peer> {
        let mine = Peer {
            disk: self.identity.disk.clone(),
            ..self.peer.clone()
        };
        let members = self.membership();
        let known = members.get_node(&self.identity.node)?;
        (self.has_peers && *known != mine && known.disk == mine.disk).then_some(mine)
    }

    /// Whether the state here says that this node was taken out.
    fn was_let_go(&self) -> bool {
        let gone = self.membership().get_node(&self.identity.node).is_none();
        gone && self
            .remembered()
            .is_ok_and(|all| all.is_dismissed(&self.identity.disk))
    }

    /// Finds out whether this node was taken out, and returns that. Only the state here and members
    /// that answer at their addresses with their disks are believed, never whoever says so unasked.
    pub(crate) async fn ask_whether_let_go(&self) -> bool {
        if self.was_let_go() {
            self.peers.note_dismissal();
        }
        let members: Vec<Peer> = self.front.members().into_values().collect();
        let others = members
            .iter()
            .filter(|member| member.disk != self.identity.disk);
        // A call to a member notes what it answers to a node that it has dismissed.
        let asked = others.map(|member| self.peers.call_member(member, &Request::Status, ANSWER));
        join_all(asked).await;
        *self.peers.dismissed().borrow()
    }

    /// Ends this node's work, as far as it has any, because it is about to be taken out.
    pub(crate) async fn retire(&self) {
        tracing::info!("this node is to be taken out of the cluster: it ends its work");
        *self.retired.lock() = Some(Instant::now());
        self.may_work.send_replace(false);
        let mut at_work = self.at_work.subscribe();
        let _ = timeout(WIND_UP, at_work.wait_for(|at_work| !at_work)).await;
    }

    fn work_on_after_a_while(&self) {
        let mut retired = self.retired.lock();
        if retired.is_some_and(|since| since.elapsed() > RETIRED) {
            *retired = None;
            if !*self.peers.dismissed().borrow() {
                tracing::warn!("this node was not taken out after all: it works on");
                self.may_work.send_replace(true);
            }
        }
    }

    /// Whether work (sending) may be taken on here, and changes of that.
    pub fn may_work(&self) -> tokio::sync::watch::Receiver<bool> {
        self.may_work.subscribe()
    }

    /// Says whether work is being done here: a node that is to be taken out waits for its end.
    pub fn set_at_work(&self, at_work: bool) {
        self.at_work.send_replace(at_work);
    }

    /// Waits until this node was taken out of the cluster.
    pub async fn removed(&self) {
        let mut dismissed = self.peers.dismissed();
        // It never ends otherwise: the sender lives as long as the node does.
        let _ = dismissed.wait_for(|dismissed| *dismissed).await;
        self.raft.runtime_config().elect(false);
    }
}
