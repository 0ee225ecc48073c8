//! A node of the cluster, as the program above uses it.
//!
//! [`Node`] itself is a front desk: each of its methods passes on to the part whose job it is, in the
//! rooms `consensus`, `cluster` and `state`.
//!
//! Reading order: this file; `parts` puts the parts together that `open` has opened; `responding`
//! answers what the front asks; [`status`] shows the node to people and programs; `readiness` decides
//! whether it can serve; `news` logs who leads, and counts changes of the leader; `lag` notices a
//! state that does not keep up; `duty` ends its work before it is
//! taken out; `upkeep` and `catch_up` run beside everything else.

mod catch_up;
mod duty;
mod lag;
mod news;
pub(crate) mod parts;
pub mod readiness;
mod responding;
pub mod status;
#[cfg(test)]
mod tests;
mod upkeep;

use std::{
    sync::{Arc, OnceLock, Weak, atomic::AtomicU64},
    time::Duration,
};

use notty_storage::{Command, ExportSummary, Intent, Timestamp, View};
use parking_lot::Mutex;
use tokio::{sync::watch, task::JoinHandle};

use self::{
    duty::Duty,
    readiness::{NotReady, Readiness},
    status::NodeStatus,
};
use crate::{
    cluster::{
        change::{Change, ChangeError, Changed},
        changes::MemberChanges,
        dismissal::Dismissal,
        handover::{Handover, TransferError},
        level::LevelKeeper,
        member_list::MemberList,
        myself::Myself,
        reachability::Reachability,
        survey::{Sight, Surveyor},
    },
    consensus::{
        candidacy::Candidacy,
        handle::Consensus,
        leadership::{self, Leadership},
        levels::Levels,
        pauses::pause_when_cut_off,
        proposals::Proposals,
        reads::Reads,
    },
    disk::{data_dir::Identity, own_identity::OwnIdentity},
    error::Error,
    front::service::Service,
    log::log_store::LogStore,
    outcome::{Applied, ProposeError},
    peers::client::Peers,
    runtime::blocking,
    state::{compaction, node_state::NodeState, position::Position},
    time::{
        clock::Clock, comparison::compare, doubt::ClockDoubt, lead::TimeLead, stamp::Stamp,
        state_time::state_time, trust::Trust,
    },
};

/// A running node of a cluster.
pub struct Node {
    me: Arc<Myself>,
    own: Arc<OwnIdentity>,
    clock: Arc<dyn Clock>,
    trust: Arc<Trust>,
    stamp: Stamp,
    state: Arc<NodeState>,
    log: LogStore,
    peers: Arc<Peers>,
    consensus: Arc<Consensus>,
    candidacy: Arc<Candidacy>,
    proposals: Arc<Proposals>,
    reads: Arc<Reads>,
    surveyor: Arc<Surveyor>,
    reachability: Arc<Reachability>,
    handover: Arc<Handover>,
    changes: Arc<MemberChanges>,
    dismissal: Dismissal,
    list: Arc<MemberList>,
    duty: Duty,
    /// Changes of the leader that it has seen, for people who watch a cluster.
    leader_changes: AtomicU64,
    readiness: Readiness,
    levels: Arc<Levels>,
    level_keeper: LevelKeeper,
    exercises_levels: bool,
    /// The program above; kept as long as it lives.
    service: OnceLock<Weak<dyn Service>>,
    stop_peers: watch::Sender<bool>,
    /// Tasks that hold log and state: a node that stops ends them.
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Node {
    /// Starts all that runs beside calls, once raft has begun or goes on.
    pub(crate) fn start(
        self: &Arc<Self>,
        leads: watch::Sender<Option<Leadership>>,
        compact_bytes: u64,
    ) {
        let raft = self.consensus.raft().clone();
        let following = leadership::follow(raft.clone(), self.me.node, leads);
        let compacting = compaction::run(
            raft.clone(),
            self.log.clone(),
            self.state.clone(),
            compact_bytes,
        );
        let comparing = compare(
            raft,
            self.peers.clone(),
            self.state.clone(),
            self.stamp.clone(),
        );
        *self.tasks.lock() = vec![
            tokio::spawn(following),
            tokio::spawn(compacting),
            tokio::spawn(comparing),
            tokio::spawn(self.candidacy.clone().run()),
            tokio::spawn(pause_when_cut_off(self.consensus.clone())),
            tokio::spawn(self.reachability.clone().run()),
        ];

        // These hold the node weakly: they end by themselves once it is gone.
        tokio::spawn(catch_up::run(Arc::downgrade(self)));
        tokio::spawn(upkeep::run(Arc::downgrade(self)));
        tokio::spawn(lag::follow(Arc::downgrade(self)));
        tokio::spawn(news::run(Arc::downgrade(self)));
    }

    /// Takes no more proposals, lets those under way end, and closes cleanly.
    pub async fn stop(&self) -> Result<(), Error> {
        self.proposals.close().await;
        self.stop_peers.send_replace(true);
        self.tasks.lock().iter().for_each(JoinHandle::abort);

        let raft = self.consensus.raft();
        let stopped = raft.shutdown().await;
        stopped.map_err(|error| Error::Raft(error.to_string()))?;
        blocking(|| self.state.close()).map_err(|error| Error::Raft(error.to_string()))
    }

    /// The identity that the data directory holds now.
    pub fn identity(&self) -> Identity {
        self.own.current()
    }

    // Commands.

    /// Has a command executed, here or by the leader; returns once it is applied here.
    pub async fn propose<A: Intent>(
        &self,
        command: Command<A>,
    ) -> Result<Applied<A::Reply>, ProposeError> {
        self.proposals.propose(command).await
    }

    /// Has an action executed that needs nothing to be recognised by.
    pub async fn act<A: Intent>(&self, action: A) -> Result<Applied<A::Reply>, ProposeError> {
        self.propose(Command::new(action)).await
    }

    /// Has an action executed as the leader, or not at all: what only the leader decides must not be
    /// passed on by a node that was the leader a moment ago.
    pub async fn act_as_leader<A: Intent>(
        &self,
        action: A,
    ) -> Result<Applied<A::Reply>, ProposeError> {
        self.proposals.act_as_leader(action).await
    }

    /// Asks the leader's service, which is another node's.
    pub async fn ask_leader(&self, request: Vec<u8>) -> Result<Vec<u8>, ProposeError> {
        self.proposals.ask_leader(request).await
    }

    /// Answers other nodes' calls for the service above, as long as it lives.
    pub fn open_service(&self, service: &Arc<dyn Service>) {
        let _ = self.service.set(Arc::downgrade(service));
    }

    // The state.

    /// The state as it is here, for reading.
    pub fn view(&self) -> View {
        self.state.view()
    }

    /// Passes an answer of the state on. A fault of the state ends the process: it would answer nobody
    /// rightly any more, and damage is only mended by a start.
    pub fn checked<T>(
        &self,
        answer: Result<T, notty_storage::Error>,
    ) -> Result<T, notty_storage::Error> {
        self.state.checked(answer)
    }

    /// The position that the state here reflects.
    pub fn applied_index(&self) -> u64 {
        self.state.applied_index()
    }

    /// Notices every time that the state here has changed.
    pub fn applied_changes(&self) -> AppliedChanges {
        AppliedChanges(self.state.applied())
    }

    /// Waits until the state here reflects a position; false if it does not in time.
    pub async fn wait_applied(&self, index: u64, at_most: Duration) -> bool {
        self.state.wait_applied(index, at_most).await
    }

    /// Waits until the state here reflects all that was acknowledged before the call.
    pub async fn linearize(&self) -> Result<(), ProposeError> {
        self.reads.linearize().await
    }

    /// Waits like [`Node::linearize`], and returns the leader's wall clock as [`Node::agreed_wall`]
    /// gives it.
    pub async fn read_point(&self) -> Result<Timestamp, ProposeError> {
        self.reads.linearize_with_clock().await
    }

    /// The running hash of the state.
    pub fn state_hash(&self) -> u64 {
        self.state.hash()
    }

    /// Marks the state suspect: the next start rebuilds it from snapshot and log.
    pub fn mark_suspect(&self) {
        self.state.mark_suspect("a panic inside it");
    }

    /// Calls an observer with the time that each round of applying takes; only the first one that is
    /// given.
    pub fn observe_applying(&self, observer: impl Fn(Duration) + Send + Sync + 'static) {
        self.state.observe_applying(Box::new(observer));
    }

    /// Has a snapshot written, and the log before it dropped.
    pub async fn snapshot(&self) -> Result<(), Error> {
        let trigger = self.consensus.raft().trigger();
        let written = trigger.snapshot().await;
        written.map_err(|error| Error::Raft(error.to_string()))
    }

    pub(crate) fn changes(&self) -> &Arc<MemberChanges> {
        &self.changes
    }

    pub(crate) fn copy_aside(&self) -> Result<(std::fs::File, ExportSummary), Error> {
        self.state.copy_aside()
    }

    // The clock.

    /// As the leader: its wall clock, as long as it agrees with those of most voters. While it does
    /// not, the beginning of time, which nobody's clock is close to.
    pub async fn agreed_wall(&self) -> Timestamp {
        self.reads.agreed_wall().await
    }

    /// Looks at its clock now, and returns why it is not believed, if it is not.
    pub fn look_at_clock(&self) -> Option<ClockDoubt> {
        blocking(|| self.stamp.look(state_time(&self.state)))
    }

    /// The lead of the cluster's time over this node's clock, if it has one.
    pub fn time_lead(&self) -> Option<TimeLead> {
        TimeLead::of(state_time(&self.state).at, self.clock.wall())
    }

    pub(crate) fn wall(&self) -> Timestamp {
        self.clock.wall()
    }

    // The leader.

    /// True if this node leads now.
    pub fn leads_now(&self) -> bool {
        self.consensus.leads_now()
    }

    /// The term in which this node leads, and changes of that.
    pub fn leadership(&self) -> watch::Receiver<Option<Leadership>> {
        self.consensus.leadership()
    }

    /// Hands leadership over, to a member by name or to the follower that has most; returns the name of
    /// the new leader.
    pub async fn transfer_leader(&self, to: Option<&str>) -> Result<String, TransferError> {
        self.handover.transfer(to).await
    }

    // The members.

    /// Has the cluster changed, here or by the leader.
    pub async fn change(&self, change: Change) -> Result<Changed, ChangeError> {
        self.changes.change(change).await
    }

    /// All members, with the positions that the others answer.
    pub async fn survey(&self) -> Vec<Sight> {
        self.surveyor.survey().await
    }

    /// The level that all members have agreed on, as the state here has it.
    pub fn cluster_level(&self) -> u32 {
        self.levels.agreed().level()
    }

    /// True while work (sending) may be taken on here, and changes of that.
    pub fn may_work(&self) -> watch::Receiver<bool> {
        self.duty.may_work()
    }

    /// Notes whether work is being done here: a node that is to be taken out waits for its end.
    pub fn set_at_work(&self, at_work: bool) {
        self.duty.set_at_work(at_work);
    }

    /// Waits until this node was taken out of the cluster.
    pub async fn removed(&self) {
        let mut dismissed = self.peers.dismissed();
        // It never ends otherwise: the sender lives as long as the node does.
        let _ = dismissed.wait_for(|dismissed| *dismissed).await;
        self.consensus.let_stand(false);
    }

    // For people and programs that look at it.

    /// Status of the node, for people and programs that look at it.
    pub fn status(&self) -> NodeStatus {
        NodeStatus::of(self)
    }

    /// Reasons why it cannot serve as it should; empty when it can.
    pub async fn unready_reasons(&self) -> Vec<NotReady> {
        self.readiness.reasons().await
    }

    /// Reasons why it has not caught up since its start, as far as they are known without asking anybody.
    pub fn reasons_of_start(&self) -> Vec<NotReady> {
        self.readiness.reasons_of_start()
    }

    /// True once all that had been committed before the start was applied again: until then its state
    /// may be older than what was acknowledged.
    pub fn has_caught_up(&self) -> bool {
        self.readiness.has_caught_up()
    }

    /// Waits until it can serve; false if it stops before.
    pub async fn ready(&self) -> bool {
        catch_up::ready(&self.consensus, &self.reads).await
    }
}

#[cfg(test)]
impl Node {
    pub(crate) fn hold_applying(&self) -> parking_lot::MutexGuard<'_, notty_storage::Store> {
        self.state.hold_applying()
    }

    pub(crate) fn me(&self) -> &Arc<Myself> {
        &self.me
    }

    pub(crate) fn calls(&self) -> &Arc<Peers> {
        &self.peers
    }

    pub(crate) fn own(&self) -> &Arc<OwnIdentity> {
        &self.own
    }
}

/// Notices changes of the state.
pub struct AppliedChanges(watch::Receiver<Position>);

impl AppliedChanges {
    /// Waits for a change since the last one noticed; false if the node is gone.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}
