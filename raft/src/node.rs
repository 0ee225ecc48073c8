//! A node of the cluster, put together: open, propose, read, lead, stop.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use notty_storage::{
    Action, Command, ExportSummary, Intent, Rejection, StoreOptions, Timestamp, View, codec,
    command::SetTime, limits,
};
use openraft::{Config, SnapshotPolicy};
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::Instant,
};

use crate::{
    Fatal,
    clock::Clock,
    clocks::{self, Stamp, state_time},
    compaction,
    data_dir::{DataDir, Identity},
    disk,
    error::{Error, ProposeError},
    files::Files,
    forming::{self, Became, Expected},
    front::{Front, Service},
    lag::{self, Lag},
    leadership::{self, Leadership},
    log::{Log, LogOptions},
    log_store::{LogStore, blocking},
    network::Network,
    onlooker::Onlooker,
    peers::{
        Credentials, TcpTransport, Transport,
        client::{CallError, Peers},
        protocol::{Request, Response},
        server,
        session::Hello,
    },
    proposal::{self, Applied, WAITING_COMMANDS, Waiting},
    snapshots::Position,
    state_machine::{Shared, StateMachine},
    take_in::{self, TakeIn},
    trust::{ClockDoubt, Trust},
    types::{NodeId, Peer, Raft},
    upkeep,
};

/// Between two heartbeats of a leader, in milliseconds.
const HEARTBEAT_MS: u64 = 150;
/// A follower that heard nothing for this long, in milliseconds, stands for election.
pub(crate) const ELECTION_MS: std::ops::Range<u64> = 600..1_000;
/// Entries sent to a follower at once, at most; bytes bound them too.
const APPEND_ENTRIES: u64 = 64;
/// How long sending and installing a snapshot may take, in milliseconds.
const SNAPSHOT_MS: u64 = 600_000;
/// How long a command that is passed on to the leader may take.
const PASS_ON: Duration = Duration::from_secs(10);
/// How long the leader may take to say what a read must reflect.
const READ_INDEX: Duration = Duration::from_secs(2);
/// How long it may take where only readiness is asked for.
const READY_ANSWER: Duration = Duration::from_millis(500);
/// Entries by which a node may be behind its leader and still count as ready: a second or so of
/// the busiest hour.
const CLOSE: u64 = 1_000;
/// Between two tries to find a leader that answers.
const AGAIN: Duration = Duration::from_millis(100);
/// How long a leader that hears of no majority still counts as one, in milliseconds: the others may
/// have another by then.
const MAJORITY_MS: u64 = 2_000;
/// How long stopping waits for what was proposed.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// How a node is opened.
#[derive(Clone)]
pub struct NodeOptions {
    /// What the cluster knows of it.
    pub peer: Peer,
    /// How the state is kept.
    pub store: StoreOptions,
    /// How the log is kept.
    pub log: LogOptions,
    /// The files that the log lies in.
    pub files: Arc<dyn Files>,
    /// Who looks on, if anybody does.
    pub onlooker: Option<Arc<dyn Onlooker>>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// What ends the process when this node cannot be trusted to go on.
    pub fatal: Fatal,
    /// The cluster; none: a node by itself.
    pub cluster: Option<ClusterOptions>,
}

/// How a node stands, for people and programs that look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// The leader's name, if there is one.
    pub leader: Option<String>,
    /// The term.
    pub term: u64,
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
    /// Why this node does not believe its clock, if it does not.
    pub clock_doubt: Option<ClockDoubt>,
}

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What the cluster knows of it.
    pub peer: Peer,
    /// Whether it votes.
    pub voter: bool,
    /// Whether it leads.
    pub leader: bool,
}

/// The cluster that a node belongs to, or is to belong to.
#[derive(Clone)]
pub struct ClusterOptions {
    /// Where peers are listened to.
    pub listen: String,
    /// What proves a peer to be one.
    pub credentials: Credentials,
    /// How many nodes form the cluster.
    pub expect: usize,
    /// All nodes that are configured, this one among them.
    pub nodes: Vec<Peer>,
    /// The streams between them.
    pub transport: Arc<dyn Transport>,
}

/// Why a node cannot serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// It has not applied yet what was committed before it started.
    #[error("the node has started and still applies what was committed before")]
    Starting,
    /// No leader has a majority, as far as it knows.
    #[error("the node has no leader that a majority follows")]
    NoLeader,
    /// Its state does not keep up; how far it is behind.
    #[error("the node's state does not keep up: {0}")]
    Behind(String),
    /// Its leader has much that it has not.
    #[error("the node still applies what the leader has")]
    FarFromLeader,
    /// Its clock is in doubt, and what to do about it.
    #[error("{0}")]
    Clock(String),
}

/// A running node.
pub struct Node {
    pub(crate) raft: Raft,
    pub(crate) identity: Identity,
    /// This node as it is configured; the disk stands in the identity.
    pub(crate) peer: Peer,
    /// Whether it is configured to have peers.
    pub(crate) has_peers: bool,
    /// One change of the members at a time.
    pub(crate) changing: tokio::sync::Mutex<()>,
    /// Whether work may be taken on here.
    pub(crate) may_work: watch::Sender<bool>,
    /// Whether work is being done here.
    pub(crate) at_work: watch::Sender<bool>,
    /// Since when this node waits to be taken out.
    pub(crate) retired: Mutex<Option<Instant>>,
    clock: Arc<dyn Clock>,
    pub(crate) stamp: Stamp,
    shared: Arc<Shared>,
    log: LogStore,
    proposals: Mutex<Option<mpsc::Sender<Waiting>>>,
    leads: watch::Receiver<Option<Leadership>>,
    /// How the state keeps up with what is committed.
    pub(crate) lag: Mutex<Lag>,
    /// Whether what had been committed before the start was applied again.
    caught_up: AtomicBool,
    /// Whether it leads no more as far as others are concerned: it hands over.
    pub(crate) handing_over: AtomicBool,
    pub(crate) peers: Arc<Peers>,
    pub(crate) front: Arc<Front>,
    stop_peers: watch::Sender<bool>,
    gatherer: Mutex<Option<JoinHandle<()>>>,
    tasks: Vec<JoinHandle<()>>,
    // Holds the directory's lock.
    pub(crate) data_dir: DataDir,
}

impl Node {
    /// Opens the data directory, rebuilds what must be rebuilt, and starts. Without a cluster in
    /// the options, an empty directory becomes a cluster of this one node; with one, it waits until
    /// the cluster is formed or takes it in.
    pub async fn open(dir: &Path, options: NodeOptions) -> Result<Arc<Self>, Error> {
        let data_dir = DataDir::open(dir)?;
        let identity = match (data_dir.identity()?, &options.cluster) {
            (Some(identity), _) => identity,
            (None, None) => data_dir.found()?,
            (None, Some(_)) => data_dir.prepare()?,
        };
        let identity = settle(&data_dir, identity, &options)?;
        let front = Front::new(&options.peer.name, identity.clone(), options.clock.clone());
        let (peers, stop_peers) = open_peers(&identity, &front, &options).await?;
        let became = become_member(&data_dir, &front, &peers, &options, identity).await?;
        let Became {
            mut identity,
            founders,
        } = became;
        peers.become_somebody(hello(&identity, &options));
        let (log, shared) = blocking(|| disk::open(&data_dir, &options))?;
        let log = LogStore::new(
            log,
            shared.snapshots.clone(),
            options.fatal.clone(),
            options.onlooker.clone(),
        );
        let log = log.watched_by(shared.watch.clone());
        let raft = start_raft(&identity, &log, &shared, &peers, options.log.kept_entries).await?;
        let trust = Trust::open(options.clock.clone(), data_dir.clock(), state_time(&shared));
        front.open_trust(trust.clone());
        front.open_raft(raft.clone(), shared.clone());
        let founded = founders.is_some();
        begin(&raft, &identity, founders, &options, &data_dir).await?;
        // A founder's log holds the first members by now: it need not wait for the others again.
        if (founded || options.cluster.is_none()) && !identity.formed {
            identity.formed = true;
            data_dir.keep(&identity)?;
            front.identify(&identity);
        }
        let parts = Parts {
            raft,
            identity,
            shared,
            log,
            data_dir,
            peers,
            front,
            trust,
            stop_peers,
        };
        Ok(Self::start(parts, options))
    }

    fn start(parts: Parts, options: NodeOptions) -> Arc<Self> {
        let Parts {
            raft,
            identity,
            shared,
            log,
            data_dir,
            peers,
            front,
            trust,
            stop_peers,
        } = parts;
        let take_in = data_dir.is_restored().then(|| TakeIn {
            raft: raft.clone(),
            peers: peers.clone(),
            me: identity.node,
            mine: Peer {
                disk: identity.disk.clone(),
                ..options.peer.clone()
            },
            cluster: identity.cluster.clone(),
            expected: options
                .cluster
                .as_ref()
                .map_or(Vec::new(), |cluster| cluster.nodes.clone()),
            count: options.cluster.as_ref().map_or(1, |cluster| cluster.expect),
        });
        let (proposals, inbox) = mpsc::channel(WAITING_COMMANDS);
        let (leads_sender, leads) = watch::channel(None);
        let stamp = Stamp::new(options.clock.clone(), trust);
        let gatherer = tokio::spawn(proposal::gather(raft.clone(), stamp.clone(), inbox));
        let tasks = vec![
            tokio::spawn(leadership::follow(
                raft.clone(),
                identity.node,
                leads_sender,
            )),
            tokio::spawn(compaction::run(
                raft.clone(),
                log.clone(),
                shared.clone(),
                options.log.compact_bytes,
            )),
            tokio::spawn(clocks::compare(
                raft.clone(),
                peers.clone(),
                shared.clone(),
                stamp.clone(),
            )),
        ];
        let node = Arc::new(Self {
            raft,
            identity,
            peer: options.peer,
            has_peers: options.cluster.is_some(),
            changing: tokio::sync::Mutex::default(),
            may_work: watch::Sender::new(true),
            at_work: watch::Sender::new(false),
            retired: Mutex::default(),
            clock: options.clock,
            stamp,
            shared,
            log,
            proposals: Mutex::new(Some(proposals)),
            leads,
            lag: Mutex::default(),
            caught_up: AtomicBool::new(false),
            handing_over: AtomicBool::new(false),
            peers,
            front,
            stop_peers,
            gatherer: Mutex::new(Some(gatherer)),
            tasks,
            data_dir,
        });
        node.front.open_node(&node);
        tokio::spawn(catch_up(Arc::downgrade(&node)));
        tokio::spawn(upkeep::run(Arc::downgrade(&node)));
        tokio::spawn(lag::follow(Arc::downgrade(&node)));
        if let Some(take_in) = take_in {
            tokio::spawn(take_in::run(take_in, Arc::downgrade(&node)));
        }
        node
    }

    /// Whether this node leads now.
    pub fn leads_now(&self) -> bool {
        self.leads.borrow().is_some() && !self.handing_over.load(Ordering::Acquire)
    }

    /// Whether a majority has answered this leader lately; true where it does not lead. openraft 0.9
    /// has a leader lead on that is cut off: what it would take could wait for ever.
    fn hears_majority(&self) -> bool {
        let since = self.raft.metrics().borrow().millis_since_quorum_ack;
        since.is_none_or(|since| since <= MAJORITY_MS)
    }

    /// Where the leader is, if there is one and it is another node.
    pub(crate) fn leader_elsewhere(&self) -> Option<(NodeId, Peer)> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let leader = metrics
            .current_leader
            .filter(|leader| *leader != self.identity.node)?;
        let peer = metrics
            .membership_config
            .membership()
            .get_node(&leader)
            .cloned()?;
        Some((leader, peer))
    }

    /// Calls the leader, which is another node, as long as it is known as the leader: one that hangs
    /// must not hold up what the next one could answer.
    pub(crate) async fn call_leader(
        &self,
        (leader, peer): &(NodeId, Peer),
        request: &Request,
        within: Duration,
    ) -> Result<Response, CallError> {
        tokio::select! {
            answer = self.peers.call_member(peer, request, within) => answer,
            () = self.leads_no_more(*leader) => Err(CallError::Lost {
                address: peer.peer.clone(),
                what: "it is the leader no more".to_owned(),
            }),
        }
    }

    async fn leads_no_more(&self, leader: NodeId) {
        let mut metrics = self.raft.server_metrics();
        while metrics.borrow_and_update().current_leader == Some(leader) {
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }

    /// Has a command executed, here or by the leader; returns once it is applied here.
    pub async fn propose<A: Intent>(
        &self,
        command: Command<A>,
    ) -> Result<Applied<A::Reply>, ProposeError> {
        let command = command.erase();
        let applied = match self.leader_elsewhere() {
            None => self.propose_here(command).await,
            Some(leader) => self.pass_on(&leader, command).await,
        };
        applied?.typed::<A>()
    }

    /// Passes a command on to the leader, once: whether a lost answer was executed is not known.
    async fn pass_on(
        &self,
        leader: &(NodeId, Peer),
        command: Command,
    ) -> Result<Applied, ProposeError> {
        let request = Request::Propose(command);
        let proposed = match self.call_leader(leader, &request, PASS_ON).await {
            Ok(Response::Proposed(proposed)) => proposed,
            Ok(_) | Err(CallError::Lost { .. }) => return Err(ProposeError::Unknown),
            Err(CallError::NotSent { .. } | CallError::Refused { .. }) => {
                return Err(ProposeError::NoLeader);
            }
        };
        let index = match &proposed {
            Ok(Applied { index, .. }) | Err(ProposeError::Rejected { index, .. }) => *index,
            // It is the leader that stops, not this node.
            Err(ProposeError::Stopped) => return Err(ProposeError::NoLeader),
            Err(_) => return proposed,
        };
        // Whoever asks this node next must find what it was told.
        match self.wait_applied(index, PASS_ON).await {
            true => proposed,
            false => Err(ProposeError::Unknown),
        }
    }

    /// Has a command executed as the leader, or not at all.
    pub(crate) async fn propose_here(&self, command: Command) -> Result<Applied, ProposeError> {
        let Action::SetTime(SetTime { to }) = command.action else {
            return self.enqueue(command).await;
        };
        // What is stamped behind the entry must not undo it.
        let _held = self.stamp.hold();
        let sets = || state_time(&self.shared).sets;
        let before = sets();
        let proposed = self.enqueue(command).await;
        // A repeat that was only answered sets nothing.
        if proposed.is_ok() && sets() > before {
            self.stamp.set(to);
            tracing::warn!(
                "the time of the cluster was set to {} ms since 1970",
                to.as_millis()
            );
        }
        proposed
    }

    async fn enqueue(&self, command: Command) -> Result<Applied, ProposeError> {
        if self.handing_over.load(Ordering::Acquire) || !self.hears_majority() {
            return Err(ProposeError::NoLeader);
        }
        let bytes = codec::encoded_len(&command);
        if bytes > limits::COMMAND_BYTES {
            let what = format!("a command has at most {} bytes", limits::COMMAND_BYTES);
            let (rejection, index) = (Rejection::OutOfBounds { what }, self.applied_index());
            return Err(ProposeError::Rejected { rejection, index });
        }
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            command,
            bytes,
            answer,
        };
        let sender = self.proposals.lock().clone().ok_or(ProposeError::Stopped)?;
        sender.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ProposeError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => ProposeError::Stopped,
        })?;
        drop(sender);
        answered.await.unwrap_or(Err(ProposeError::Unknown))
    }

    /// Has an action executed as the leader, or not at all: what only the leader decides must not be
    /// passed on by a node that was the leader a moment ago.
    pub async fn act_as_leader<A: Intent>(
        &self,
        action: A,
    ) -> Result<Applied<A::Reply>, ProposeError> {
        let command = Command::new(action).erase();
        self.propose_here(command).await?.typed::<A>()
    }

    /// Asks the leader's service, which is another node's.
    pub async fn ask_leader(&self, request: Vec<u8>) -> Result<Vec<u8>, ProposeError> {
        let leader = self.leader_elsewhere().ok_or(ProposeError::NoLeader)?;
        match self
            .call_leader(&leader, &Request::Service(request), PASS_ON)
            .await
        {
            Ok(Response::Service(answer)) => Ok(answer),
            Ok(_) | Err(CallError::Lost { .. }) => Err(ProposeError::Unknown),
            Err(CallError::NotSent { .. } | CallError::Refused { .. }) => {
                Err(ProposeError::NoLeader)
            }
        }
    }

    /// Answers other nodes' calls for the service above, as long as it lives.
    pub fn open_service(&self, service: &Arc<dyn Service>) {
        self.front.open_service(service);
    }

    /// Has an action executed that needs nothing to be recognised by.
    pub async fn act<A: Intent>(&self, action: A) -> Result<Applied<A::Reply>, ProposeError> {
        self.propose(Command::new(action)).await
    }

    /// The state as it is here, for reading.
    pub fn view(&self) -> View {
        self.shared.view()
    }

    /// Passes on what a question to the state was answered. A fault of the state ends the process: it
    /// would answer nobody rightly any more, and damage is only mended by a start.
    pub fn checked<T>(
        &self,
        answer: Result<T, notty_storage::Error>,
    ) -> Result<T, notty_storage::Error> {
        self.shared.checked(answer)
    }

    /// The last position that this node knows to be committed.
    pub(crate) fn committed_index(&self) -> u64 {
        self.log.committed_index()
    }

    /// The position that the state here reflects.
    pub fn applied_index(&self) -> u64 {
        self.shared.applied().borrow().index().unwrap_or(0)
    }

    /// Notices every time that the state here has changed.
    pub fn applied_changes(&self) -> AppliedChanges {
        AppliedChanges(self.shared.applied())
    }

    /// Waits until the state here reflects a position; false if it does not in time.
    pub async fn wait_applied(&self, index: u64, at_most: Duration) -> bool {
        let mut applied = self.shared.applied();
        let reached = applied.wait_for(|position| position.index() >= Some(index));
        matches!(tokio::time::timeout(at_most, reached).await, Ok(Ok(_)))
    }

    /// Waits until the state here reflects all that was acknowledged before the call.
    pub async fn linearize(&self) -> Result<(), ProposeError> {
        match self.leader_elsewhere() {
            None => self.linearize_here().await,
            Some(leader) => self.linearize_by(&leader).await.map(drop),
        }
    }

    /// The same; what the leader's wall clock said when it was asked, see [`Node::agreed_wall`].
    pub async fn read_point(&self) -> Result<Timestamp, ProposeError> {
        match self.leader_elsewhere() {
            None => {
                self.linearize_here().await?;
                Ok(self.agreed_wall().await)
            }
            Some(leader) => self.linearize_by(&leader).await,
        }
    }

    /// As the leader: its wall clock, as long as it agrees with those of most voters. While it does
    /// not, the beginning of time, which nobody's clock is close to.
    pub async fn agreed_wall(&self) -> Timestamp {
        self.stamp.now().await
    }

    async fn linearize_here(&self) -> Result<(), ProposeError> {
        let index = self.read_index_here().await?;
        let reached = self.wait_applied(index, PASS_ON).await;
        if reached {
            Ok(())
        } else {
            Err(ProposeError::NoLeader)
        }
    }

    async fn linearize_by(&self, leader: &(NodeId, Peer)) -> Result<Timestamp, ProposeError> {
        match self
            .call_leader(leader, &Request::ReadIndex, READ_INDEX)
            .await
        {
            Ok(Response::ReadIndex(Ok((index, wall)))) => {
                match self.wait_applied(index, PASS_ON).await {
                    true => Ok(wall),
                    false => Err(ProposeError::NoLeader),
                }
            }
            Ok(Response::ReadIndex(Err(error))) => Err(error),
            _ => Err(ProposeError::NoLeader),
        }
    }

    /// As the leader: the position that reflects all that was acknowledged so far.
    pub(crate) async fn read_index_here(&self) -> Result<u64, ProposeError> {
        // openraft confirms with a majority, and would so renew the lease that has to run out.
        if self.handing_over.load(Ordering::Acquire) {
            return Err(ProposeError::NoLeader);
        }
        match self.raft.get_read_log_id().await {
            Ok((read, applied)) => Ok(read.max(applied).map_or(0, |position| position.index)),
            Err(openraft::error::RaftError::Fatal(_)) => Err(ProposeError::Stopped),
            Err(_) => Err(ProposeError::NoLeader),
        }
    }

    /// Whether this node leads, and changes of that.
    pub fn leadership(&self) -> watch::Receiver<Option<Leadership>> {
        self.leads.clone()
    }

    /// Whether what had been committed before the start was applied again: until then its state
    /// may be older than what was acknowledged.
    pub fn has_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Acquire)
    }

    /// Why it cannot serve as it should; empty when it can: it has caught up, there is a leader, its
    /// state is close to what is committed and to what that leader has, and its clock is believed.
    pub async fn unready_reasons(&self) -> Vec<NotReady> {
        let mut reasons = Vec::new();
        if let Some(reason) = self.lag.lock().reason() {
            reasons.push(NotReady::Behind(reason));
        }
        if self.raft.metrics().borrow().current_leader.is_none() || !self.hears_majority() {
            reasons.push(NotReady::NoLeader);
        }
        if !self.has_caught_up() {
            reasons.push(NotReady::Starting);
        }

        let asked = self.clock.boot();
        let leader = self.leader_point().await;
        if leader.is_some_and(|(index, _)| self.applied_index() + CLOSE < index) {
            reasons.push(NotReady::FarFromLeader);
        }
        let took = self.clock.boot().saturating_sub(asked).as_millis() as i64;
        let clock = self.clock_reason(leader.map(|(_, wall)| wall), took);
        reasons.extend(clock.map(NotReady::Clock));
        reasons
    }

    /// Why its clock is in doubt, also by what another leader's says.
    fn clock_reason(&self, leader: Option<Timestamp>, took_ms: i64) -> Option<String> {
        if let Some(doubt) = self.stamp.doubt() {
            return Some(doubt.to_string());
        }
        // A leader that is in doubt itself tells nobody the time.
        let leader = leader.filter(|leader| *leader != Timestamp::default())?;
        let apart = self.clock.wall().since(leader);
        (apart.abs() - took_ms > clocks::APART_MS).then(|| {
            format!(
                "the clock is in doubt: it is {} s from the leader's, and this node sends nothing; put \
                 it right (NTP)",
                apart / 1_000
            )
        })
    }

    /// The position of another leader, and its wall clock; none where it does not answer, which is no
    /// sign of lagging.
    async fn leader_point(&self) -> Option<(u64, Timestamp)> {
        let leader = self.leader_elsewhere()?;
        match self
            .call_leader(&leader, &Request::ReadIndex, READY_ANSWER)
            .await
        {
            Ok(Response::ReadIndex(Ok(point))) => Some(point),
            _ => None,
        }
    }

    /// Waits until it can serve; false if it stops before.
    pub async fn ready(&self) -> bool {
        let mut metrics = self.raft.server_metrics();
        while self.linearize().await.is_err() {
            // A leader may be there and not answer yet: no change would tell.
            if let Ok(Err(_)) = tokio::time::timeout(AGAIN, metrics.changed()).await {
                return false;
            }
        }
        true
    }

    /// Whose the data directory is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The running hash of the state.
    pub fn state_hash(&self) -> u64 {
        self.shared.hash()
    }

    /// Looks at its clock now, and says why it is not believed, if it is not.
    pub fn look_at_clock(&self) -> Option<ClockDoubt> {
        blocking(|| self.stamp.look(state_time(&self.shared)))
    }

    /// How it stands.
    pub fn status(&self) -> NodeStatus {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        let voters: Vec<_> = membership.voter_ids().collect();
        let members = membership.nodes().map(|(id, peer)| Member {
            peer: peer.clone(),
            voter: voters.contains(id),
            leader: metrics.current_leader == Some(*id),
        });
        let members: Vec<_> = members.collect();
        let cut_off = metrics
            .millis_since_quorum_ack
            .is_some_and(|since| since > MAJORITY_MS);
        let leader = members.iter().find(|member| member.leader && !cut_off);
        NodeStatus {
            name: self.peer.name.clone(),
            leader: leader.map(|member| member.peer.name.clone()),
            term: metrics.current_term,
            last_index: metrics.last_log_index.unwrap_or(0),
            applied_index: self.applied_index(),
            snapshot_index: metrics.snapshot.map_or(0, |snapshot| snapshot.index),
            purged_index: metrics.purged.map_or(0, |purged| purged.index),
            log_bytes: self.log.bytes(),
            appended_bytes: self.log.appended_bytes(),
            apply_micros: self.shared.apply_nanos.load(Ordering::Relaxed) / 1_000,
            members,
            clock_doubt: self.stamp.doubt(),
        }
    }

    /// Has somebody told how long each round of applying takes; only the first who asks.
    pub fn observe_applying(&self, observer: impl Fn(Duration) + Send + Sync + 'static) {
        let _ = self.shared.observer.set(Box::new(observer));
    }

    /// Has a snapshot written, and the log before it dropped.
    pub async fn snapshot(&self) -> Result<(), Error> {
        self.raft.trigger().snapshot().await.map_err(raft_error)
    }

    pub(crate) fn copy_aside(&self) -> Result<(std::fs::File, ExportSummary), Error> {
        self.shared.copy_aside()
    }

    pub(crate) fn wall(&self) -> Timestamp {
        self.clock.wall()
    }

    #[cfg(test)]
    pub(crate) fn hold_applying(&self) -> parking_lot::MutexGuard<'_, notty_storage::Store> {
        self.shared.hold_applying()
    }

    /// Marks the state suspect: the next start rebuilds it from snapshot and log.
    pub fn mark_suspect(&self) {
        self.shared.mark_suspect("a panic inside it");
    }

    /// Takes no more proposals, lets those under way end, and closes cleanly.
    pub async fn stop(&self) -> Result<(), Error> {
        self.proposals.lock().take();
        let gatherer = self.gatherer.lock().take();
        if let Some(gatherer) = gatherer {
            let _ = tokio::time::timeout(STOP_WAIT, gatherer).await;
        }
        self.stop_peers.send_replace(true);
        self.tasks.iter().for_each(JoinHandle::abort);
        self.raft
            .shutdown()
            .await
            .map_err(|error| Error::Raft(error.to_string()))?;
        blocking(|| self.shared.close()).map_err(raft_error)
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

fn raft_error(error: impl std::fmt::Display) -> Error {
    Error::Raft(error.to_string())
}

/// What a node is started with.
struct Parts {
    raft: Raft,
    identity: Identity,
    shared: Arc<Shared>,
    log: LogStore,
    data_dir: DataDir,
    peers: Arc<Peers>,
    front: Arc<Front>,
    trust: Arc<Trust>,
    stop_peers: watch::Sender<bool>,
}

/// Notes that a log has begun, where the process died before it could: a founder whose log holds
/// the first members must not form the cluster once more, with disks that came later.
fn settle(
    data_dir: &DataDir,
    mut identity: Identity,
    options: &NodeOptions,
) -> Result<Identity, Error> {
    if !identity.formed && !identity.cluster.is_empty() {
        let log = Log::open(options.files.clone(), &data_dir.log(), options.log)?;
        if log.last().is_some() {
            identity.formed = true;
            data_dir.keep(&identity)?;
        }
    }
    Ok(identity)
}

fn hello(identity: &Identity, options: &NodeOptions) -> Hello {
    let Identity {
        cluster,
        node,
        disk,
        ..
    } = identity;
    let node = Some(*node).filter(|node| *node > 0);
    Hello::new(&options.peer.name, cluster, node, disk)
}

/// Starts to answer peers, if the node has any.
async fn open_peers(
    identity: &Identity,
    front: &Arc<Front>,
    options: &NodeOptions,
) -> Result<(Arc<Peers>, watch::Sender<bool>), Error> {
    let (stop_peers, peers_stopped) = watch::channel(false);
    let me = hello(identity, options);
    let Some(cluster) = &options.cluster else {
        // It calls nobody, and nobody knows this secret.
        let secret = Credentials::by_secret(uuid::Uuid::new_v4().as_bytes());
        let nobody = Peers::new(Arc::new(TcpTransport), secret, me);
        return Ok((Arc::new(nobody), stop_peers));
    };
    let peers = Peers::new(cluster.transport.clone(), cluster.credentials.clone(), me);
    let peers = Arc::new(peers.knowing(&cluster.nodes));
    let listener = cluster.transport.listen(&cluster.listen).await;
    let listener = listener.map_err(|source| Error::Listen {
        address: cluster.listen.clone(),
        source,
    })?;
    let serving = server::serve(listener, peers.clone(), front.clone(), peers_stopped);
    tokio::spawn(serving);
    Ok((peers, stop_peers))
}

async fn become_member(
    data_dir: &DataDir,
    front: &Arc<Front>,
    peers: &Arc<Peers>,
    options: &NodeOptions,
    identity: Identity,
) -> Result<Became, Error> {
    let Some(cluster) = &options.cluster else {
        let mine = Peer {
            disk: identity.disk.clone(),
            ..options.peer.clone()
        };
        let founders = (!identity.formed).then(|| BTreeMap::from([(identity.node, mine)]));
        return Ok(Became { identity, founders });
    };
    let expected = Expected {
        me: options.peer.clone(),
        nodes: cluster.nodes.clone(),
        count: cluster.expect,
    };
    // A founder that died while it formed the cluster does it again. Number 1 is never given to a
    // node that was taken in later.
    let founding = !identity.formed && identity.node == 1 && forming::is_founder(&expected);
    if !identity.cluster.is_empty() && !founding {
        return Ok(Became {
            identity,
            founders: None,
        });
    }
    forming::become_member(data_dir, front, peers, &expected, identity).await
}

/// Lets raft begin, or go on.
async fn begin(
    raft: &Raft,
    identity: &Identity,
    founders: Option<BTreeMap<NodeId, Peer>>,
    options: &NodeOptions,
    data_dir: &DataDir,
) -> Result<(), Error> {
    let has_log = raft.is_initialized().await.map_err(raft_error)?;
    if identity.formed && !has_log {
        let what = "its log is gone: a node that lost what it acknowledged must not go on; put \
                    the log back, or restore a backup";
        return Err(Error::DataDir {
            path: data_dir.log(),
            what: what.to_owned(),
        });
    }
    let (alone, members) = {
        let metrics = raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        let mut voters = membership.voter_ids();
        (
            voters.all(|voter| voter == identity.node),
            membership.nodes().count(),
        )
    };
    if options.cluster.is_none() && members > 1 {
        let what = format!(
            "belongs to a cluster of {members} nodes, and the configuration has no [cluster]: give \
             it the one that it had"
        );
        return Err(Error::DataDir {
            path: data_dir.path().to_owned(),
            what,
        });
    }
    match founders {
        Some(members) if !has_log => raft.initialize(members).await.map_err(raft_error),
        // Who alone votes need not wait for others to speak first.
        _ if has_log && alone => raft.trigger().elect().await.map_err(raft_error),
        _ => Ok(()),
    }
}

/// Waits until the node can serve, and writes down that its log holds what the cluster began with.
async fn catch_up(node: Weak<Node>) {
    let node = loop {
        let Some(node) = node.upgrade() else {
            return;
        };
        if node.linearize().await.is_ok() {
            break node;
        }
        let mut metrics = node.raft.server_metrics();
        // Only what changes from now on: otherwise it would try again at once, for ever.
        metrics.mark_unchanged();
        // Not kept while it waits: one that was stopped lets go of its directory at once.
        drop(node);
        if let Ok(Err(_)) = tokio::time::timeout(AGAIN, metrics.changed()).await {
            return;
        }
    };
    node.caught_up.store(true, Ordering::Release);
    if !node.identity.formed {
        let identity = Identity {
            formed: true,
            ..node.identity.clone()
        };
        // A node that wrote this and does not know whether it is on the disk ends, as with its log.
        if blocking(|| node.shared.guarded(|| node.data_dir.keep(&identity))).is_err() {
            return;
        }
        node.front.identify(&identity);
    }
}

async fn start_raft(
    identity: &Identity,
    log: &LogStore,
    shared: &Arc<Shared>,
    peers: &Arc<Peers>,
    kept_entries: u64,
) -> Result<Raft, Error> {
    let config = Config {
        cluster_name: identity.cluster.clone(),
        heartbeat_interval: HEARTBEAT_MS,
        election_timeout_min: ELECTION_MS.start,
        election_timeout_max: ELECTION_MS.end,
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: kept_entries,
        max_payload_entries: APPEND_ENTRIES,
        install_snapshot_timeout: SNAPSHOT_MS,
        ..Config::default()
    };
    let config = Arc::new(config.validate().map_err(raft_error)?);
    log.forget_leading(identity.node);
    let machine = StateMachine::new(shared.clone());
    let network = Network::new(peers.clone());
    let raft = Raft::new(identity.node, config, network, log.clone(), machine).await;
    raft.map_err(raft_error)
}
