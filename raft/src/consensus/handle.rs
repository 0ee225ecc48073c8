//! The consensus as this node sees it now: the leader, the members, and their positions in the log.
//!
//! Nearly everything here is read from openraft's metrics. Three things openraft 0.9 does not know: a
//! leader that is cut off leads no more after a while, one that hands over leads no more at once, and one
//! that is not heard for long is nobody's leader.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use openraft::{Membership, RaftMetrics, error::RaftError};
use tokio::sync::watch;

use crate::{
    consensus::{heartbeats::Heartbeats, leadership::Leadership},
    outcome::ProposeError,
    peers::{call::CallError, client::Peers, protocol::PeerCall},
    types::{LogId, NodeId, Peer, Raft},
};

/// A follower that heard nothing for this long, in milliseconds, stands for election.
pub(crate) const ELECTION_MS: std::ops::Range<u64> = 600..1_000;
/// A leader that hears of no majority for longer than this, in milliseconds, counts as one no more:
/// the others may have another by then.
const MAJORITY_MS: u64 = 2_000;
/// Entries by which a learner may be behind and still count as level: some are always on their way.
const LEVEL: u64 = 100;

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Name, addresses and disk, as the members' list has them.
    pub peer: Peer,
    /// True if its vote counts; a learner has none yet.
    pub voter: bool,
    /// True if this node knows it as the leader.
    pub leader: bool,
}

/// The leader, which is another node.
#[derive(Clone, Debug)]
pub(crate) struct OtherLeader {
    pub(crate) node: NodeId,
    pub(crate) peer: Peer,
}

/// The consensus as this node takes part in it.
pub(crate) struct Consensus {
    raft: Raft,
    me: NodeId,
    peers: Arc<Peers>,
    leads: watch::Receiver<Option<Leadership>>,
    /// The heartbeats of this node, which it pauses for some reasons.
    heartbeats: Heartbeats,
    /// True while this node hands over: it counts as the leader no more.
    handing_over: AtomicBool,
    /// False while this node must not stand for election.
    may_stand: AtomicBool,
    /// True while the leader that this node knew is not heard any more.
    silent: watch::Sender<bool>,
}

impl Consensus {
    /// `leads` is what [`follow`](crate::consensus::leadership::follow) sends: it ends when that does.
    pub(crate) fn new(
        raft: Raft,
        me: NodeId,
        peers: Arc<Peers>,
        leads: watch::Receiver<Option<Leadership>>,
    ) -> Self {
        Self {
            heartbeats: Heartbeats::new(raft.clone()),
            raft,
            me,
            peers,
            leads,
            handing_over: AtomicBool::new(false),
            may_stand: AtomicBool::new(true),
            silent: watch::Sender::new(false),
        }
    }

    /// The number of this node.
    pub(crate) fn me(&self) -> NodeId {
        self.me
    }

    pub(crate) fn raft(&self) -> &Raft {
        &self.raft
    }

    pub(crate) fn heartbeats(&self) -> &Heartbeats {
        &self.heartbeats
    }

    /// The term in which this node leads, and changes of that.
    pub(crate) fn leadership(&self) -> watch::Receiver<Option<Leadership>> {
        self.leads.clone()
    }

    pub(crate) fn leads_now(&self) -> bool {
        self.leads.borrow().is_some() && !self.is_handing_over()
    }

    pub(crate) fn is_handing_over(&self) -> bool {
        self.handing_over.load(Ordering::Acquire)
    }

    /// False while this node must not stand for election, whatever it hears.
    pub(crate) fn may_stand(&self) -> bool {
        self.may_stand.load(Ordering::Acquire)
    }

    /// Lets this node stand for election, or keeps it from that.
    pub(crate) fn let_stand(&self, may_stand: bool) {
        self.may_stand.store(may_stand, Ordering::Release);
    }

    /// Notes whether the leader that this node knew is not heard any more.
    pub(crate) fn note_silence(&self, is_silent: bool) {
        self.silent
            .send_if_modified(|silent| std::mem::replace(silent, is_silent) != is_silent);
    }

    /// Begins to hand over; `None` while another handover is under way.
    pub(crate) fn begin_handover(&self) -> Option<HandingOver<'_>> {
        let is_under_way = self.handing_over.swap(true, Ordering::AcqRel);
        (!is_under_way).then_some(HandingOver(self))
    }

    /// True if a majority has answered this leader lately; true where it does not lead. openraft 0.9
    /// has a leader lead on that is cut off: what it would take could wait for ever.
    pub(crate) fn hears_majority(&self) -> bool {
        !is_cut_off(&self.raft.metrics().borrow())
    }

    /// As the leader: true if a majority has answered it within a time.
    pub(crate) fn was_answered_within(&self, time: Duration) -> bool {
        let since = self.raft.metrics().borrow().millis_since_quorum_ack;
        since.is_some_and(|since| u128::from(since) <= time.as_millis())
    }

    /// The leader, as far as this node knows: one that it hears, or itself while a majority answers.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        let watched = self.raft.metrics();
        let metrics = watched.borrow();
        let is_known = !is_cut_off(&metrics) && !*self.silent.borrow();
        metrics.current_leader.filter(|_| is_known)
    }

    /// Name and term of the leader, as far as this node knows. A node that was just restored or taken in
    /// has no names for itself yet.
    pub(crate) fn leader_with_term(&self) -> Option<(String, u64)> {
        let leader = self.leader()?;
        let watched = self.raft.metrics();
        let metrics = watched.borrow();
        let members = metrics.membership_config.membership();
        let peer = members.get_node(&leader)?;
        let is_named = !peer.name.is_empty();
        is_named.then(|| (peer.name.clone(), metrics.current_term))
    }

    /// The leader, if there is one and it is another node.
    pub(crate) fn leader_elsewhere(&self) -> Option<OtherLeader> {
        let watched = self.raft.metrics();
        let metrics = watched.borrow();
        let is_silent = *self.silent.borrow();
        let node = metrics
            .current_leader
            .filter(|node| *node != self.me && !is_silent)?;
        let members = metrics.membership_config.membership();
        let peer = members.get_node(&node).cloned()?;
        Some(OtherLeader { node, peer })
    }

    /// Calls the leader as long as it is known as the leader: one that hangs must not hold up what the
    /// next one could answer.
    pub(crate) async fn call_leader<C: PeerCall>(
        &self,
        leader: &OtherLeader,
        call: C,
        within: Duration,
    ) -> Result<C::Reply, CallError> {
        tokio::select! {
            answer = self.peers.call_member(&leader.peer, call, within) => answer,
            () = self.leads_no_more(leader.node) => Err(CallError::Lost {
                address: leader.peer.peer.clone(),
                what: "it is the leader no more".to_owned(),
            }),
        }
    }

    async fn leads_no_more(&self, leader: NodeId) {
        let mut metrics = self.raft.server_metrics();
        let mut silent = self.silent.subscribe();
        let falls_silent = silent.wait_for(|silent| *silent);
        let changes = metrics.wait_for(|now| now.current_leader != Some(leader));
        tokio::select! {
            _ = changes => {}
            _ = falls_silent => {}
        }
    }

    /// As the leader: the position that reflects all that was acknowledged so far.
    pub(crate) async fn read_index(&self) -> Result<u64, ProposeError> {
        // openraft confirms with a majority, and would so renew the lease that has to run out.
        if self.is_handing_over() || self.heartbeats.pauses() {
            return Err(ProposeError::NoLeader);
        }

        match self.raft.get_read_log_id().await {
            Ok((read, applied)) => Ok(read.max(applied).map_or(0, |position| position.index)),
            Err(RaftError::Fatal(_)) => Err(ProposeError::Stopped),
            Err(_) => Err(ProposeError::NoLeader),
        }
    }

    /// The members' list, with voters and learners.
    pub(crate) fn membership(&self) -> Membership<NodeId, Peer> {
        let watched = self.raft.metrics();
        let metrics = watched.borrow();
        metrics.membership_config.membership().clone()
    }

    /// All members by number; empty as long as the log names none.
    pub(crate) fn members(&self) -> BTreeMap<NodeId, Peer> {
        let members = self.membership();
        let nodes = members.nodes();
        nodes.map(|(node, peer)| (*node, peer.clone())).collect()
    }

    /// The members whose votes count, by number.
    pub(crate) fn voters(&self) -> BTreeMap<NodeId, Peer> {
        let members = self.membership();
        let voters: Vec<_> = members.voter_ids().collect();
        let nodes = members.nodes().filter(|(node, _)| voters.contains(node));
        nodes.map(|(node, peer)| (*node, peer.clone())).collect()
    }

    pub(crate) fn member_called(&self, name: &str) -> Option<(NodeId, Peer)> {
        let mut members = self.members().into_iter();
        members.find(|(_, peer)| peer.name == name)
    }

    /// Learners that have the log, but for the last of it.
    pub(crate) fn level_learners(&self) -> BTreeSet<NodeId> {
        let watched = self.raft.metrics();
        let metrics = watched.borrow();
        let last = metrics.last_log_index.unwrap_or(0);
        let is_level = |learner: &NodeId| {
            let matched = replicated(&metrics, *learner);
            matched.is_some_and(|matched| matched.index + LEVEL >= last)
        };
        let members = metrics.membership_config.membership();
        members.learner_ids().filter(is_level).collect()
    }

    /// True if a follower has the whole log: the one of this name, or any where none is given. True
    /// as well where this node does not replicate.
    pub(crate) fn has_level_follower(&self, name: Option<&str>) -> bool {
        let watched = self.raft.metrics();
        let metrics = watched.borrow();
        let Some(replication) = &metrics.replication else {
            return true;
        };

        let members = metrics.membership_config.membership();
        let is_wanted = |node: &NodeId| {
            name.is_none_or(|name| members.get_node(node).is_some_and(|peer| peer.name == name))
        };
        let is_level = |node: &NodeId| {
            replicated(&metrics, *node).map(|matched| matched.index) >= metrics.last_log_index
        };
        // Its own entry is always level.
        let mut followers = replication.keys().filter(|node| **node != metrics.id);
        followers.any(|node| is_wanted(node) && is_level(node))
    }
}

/// Time in which a node hands over. However that ends, and also where nobody waits for its end: should
/// this node lead (again), it has to behave like a leader.
pub(crate) struct HandingOver<'c>(&'c Consensus);

impl HandingOver<'_> {
    /// Keeps still from now on, so that the lease of this leader runs out.
    pub(crate) fn stop_heartbeats(&self) {
        self.0.heartbeats.note_handover(true);
    }
}

impl Drop for HandingOver<'_> {
    fn drop(&mut self) {
        self.0.heartbeats.note_handover(false);
        self.0.handing_over.store(false, Ordering::Release);
    }
}

/// True if this is a leader whom no majority has answered lately.
pub(crate) fn is_cut_off(metrics: &RaftMetrics<NodeId, Peer>) -> bool {
    let since = metrics.millis_since_quorum_ack;
    since.is_some_and(|since| since > MAJORITY_MS)
}

/// All members, as the metrics name them, with the leader marked.
pub(crate) fn roster(metrics: &RaftMetrics<NodeId, Peer>, leader: Option<NodeId>) -> Vec<Member> {
    let members = metrics.membership_config.membership();
    let voters: Vec<_> = members.voter_ids().collect();
    let member = |(node, peer): (&NodeId, &Peer)| Member {
        peer: peer.clone(),
        voter: voters.contains(node),
        leader: leader == Some(*node),
    };
    members.nodes().map(member).collect()
}

/// The last position that a follower is known to have.
fn replicated(metrics: &RaftMetrics<NodeId, Peer>, follower: NodeId) -> Option<LogId> {
    let replication = metrics.replication.as_ref()?;
    replication.get(&follower).copied().flatten()
}
