//! A node of the cluster, put together: open, propose, read, lead, stop.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use notty_storage::{Action, Command, Store, StoreOptions, View, import_snapshot};
use openraft::{Config, SnapshotPolicy};
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use crate::{
    Fatal,
    clock::Clock,
    data_dir::{DataDir, Identity},
    error::{Error, ProposeError},
    files::RealFiles,
    leadership::{self, Leadership},
    log::{Log, LogOptions},
    log_store::{LogStore, blocking},
    network::NoPeers,
    proposal::{self, Applied, WAITING_COMMANDS, Waiting},
    snapshots::{Position, Snapshots},
    state_machine::{Shared, StateDir, StateMachine},
    types::{Peer, Raft},
};

/// Between two heartbeats of a leader, in milliseconds.
const HEARTBEAT_MS: u64 = 150;
/// A follower that heard nothing for this long, in milliseconds, stands for election.
const ELECTION_MS: std::ops::Range<u64> = 600..1_000;
/// Log bytes since the last snapshot from which a new one is worth it.
const COMPACT_BYTES: u64 = 64 * 1024 * 1024;
/// Entries kept behind a snapshot, for followers that are only a little behind.
const ENTRIES_KEPT: u64 = 1_000;
/// How often it is looked at whether to compact.
const COMPACT_CHECK: Duration = Duration::from_secs(1);
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
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// What ends the process when this node cannot be trusted to go on.
    pub fatal: Fatal,
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
    /// Bytes of its log.
    pub log_bytes: u64,
    /// Bytes appended to its log since it started.
    pub appended_bytes: u64,
    /// Microseconds spent applying since it started.
    pub apply_micros: u64,
    /// The members of the cluster.
    pub members: Vec<Member>,
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

/// A running node.
pub struct Node {
    raft: Raft,
    identity: Identity,
    peer: Peer,
    shared: Arc<Shared>,
    log: LogStore,
    proposals: Mutex<Option<mpsc::Sender<Waiting>>>,
    leads: watch::Receiver<Option<Leadership>>,
    /// Whether what had been committed before the start was applied again.
    caught_up: AtomicBool,
    gatherer: Mutex<Option<JoinHandle<()>>>,
    compacter: JoinHandle<()>,
    // Holds the directory's lock.
    _data_dir: DataDir,
}

impl Node {
    /// Opens the data directory, rebuilds what must be rebuilt, and starts. An empty directory
    /// becomes a cluster of this one node.
    pub async fn open(dir: &Path, options: NodeOptions) -> Result<Arc<Self>, Error> {
        let data_dir = DataDir::open(dir)?;
        let mut identity = match data_dir.identity()? {
            Some(identity) => identity,
            None => data_dir.found()?,
        };
        let (log, shared) = blocking(|| open_disk(&data_dir, &options))?;
        let log = LogStore::new(log, options.fatal.clone());
        let raft = start_raft(&identity, &log, &shared).await?;
        let has_log = raft.is_initialized().await.map_err(raft_error)?;
        if identity.formed && !has_log {
            let what = "its log is gone: a node that lost what it acknowledged must not go on; put \
                        the log back, or restore a backup";
            return Err(Error::DataDir { path: data_dir.log(), what: what.to_owned() });
        }
        if has_log {
            // A node by itself need not wait for others to speak first.
            raft.trigger().elect().await.map_err(raft_error)?;
        } else {
            let members = BTreeMap::from([(identity.node, options.peer.clone())]);
            raft.initialize(members).await.map_err(raft_error)?;
        }
        if !identity.formed {
            identity.formed = true;
            data_dir.keep(&identity)?;
        }
        let node = Self::start(raft, identity, shared, log, data_dir, options);
        Ok(node)
    }

    fn start(
        raft: Raft,
        identity: Identity,
        shared: Arc<Shared>,
        log: LogStore,
        data_dir: DataDir,
        options: NodeOptions,
    ) -> Arc<Self> {
        let (proposals, inbox) = mpsc::channel(WAITING_COMMANDS);
        let (leads_sender, leads) = watch::channel(None);
        tokio::spawn(leadership::follow(raft.clone(), identity.node, leads_sender));
        let gatherer = tokio::spawn(proposal::gather(raft.clone(), options.clock, inbox));
        let compacter = tokio::spawn(compact(raft.clone(), log.clone(), shared.clone()));
        let node = Arc::new(Self {
            raft,
            identity,
            peer: options.peer,
            shared,
            log,
            proposals: Mutex::new(Some(proposals)),
            leads,
            caught_up: AtomicBool::new(false),
            gatherer: Mutex::new(Some(gatherer)),
            compacter,
            _data_dir: data_dir,
        });
        let starting = Arc::downgrade(&node);
        tokio::spawn(async move {
            if let Some(node) = starting.upgrade()
                && node.ready().await
            {
                node.caught_up.store(true, Ordering::Release);
            }
        });
        node
    }

    /// Has a command executed; returns once it is applied here.
    pub async fn propose(&self, command: impl Into<Command>) -> Result<Applied, ProposeError> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { command: command.into(), answer };
        let sender = self.proposals.lock().clone().ok_or(ProposeError::Stopped)?;
        sender.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ProposeError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => ProposeError::Stopped,
        })?;
        drop(sender);
        answered.await.unwrap_or(Err(ProposeError::Unknown))
    }

    /// Has an action executed that needs nothing to be recognised by.
    pub async fn act(&self, action: Action) -> Result<Applied, ProposeError> {
        self.propose(Command::new(action)).await
    }

    /// The state as it is here, for reading.
    pub fn view(&self) -> View {
        self.shared.view()
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
        match self.raft.ensure_linearizable().await {
            Ok(_) => Ok(()),
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

    /// Whether it can serve: it has caught up, and there is a leader.
    pub fn is_ready(&self) -> bool {
        self.has_caught_up() && self.raft.metrics().borrow().current_leader.is_some()
    }

    /// Waits until it can serve; false if it stops before.
    pub async fn ready(&self) -> bool {
        let mut leads = self.leads.clone();
        if leads.wait_for(Option::is_some).await.is_err() {
            return false;
        }
        self.linearize().await.is_ok()
    }

    /// Whose the data directory is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The running hash of the state.
    pub fn state_hash(&self) -> u64 {
        self.shared.hash()
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
        let leader = members.iter().find(|member| member.leader);
        NodeStatus {
            name: self.peer.name.clone(),
            leader: leader.map(|member| member.peer.name.clone()),
            term: metrics.current_term,
            last_index: metrics.last_log_index.unwrap_or(0),
            applied_index: self.applied_index(),
            snapshot_index: metrics.snapshot.map_or(0, |snapshot| snapshot.index),
            log_bytes: self.log.bytes(),
            appended_bytes: self.log.appended_bytes(),
            apply_micros: self.shared.apply_nanos.load(Ordering::Relaxed) / 1_000,
            members,
        }
    }

    /// Has a snapshot written, and the log before it dropped.
    pub async fn snapshot(&self) -> Result<(), Error> {
        self.raft.trigger().snapshot().await.map_err(raft_error)
    }

    /// Marks the state suspect: the next start rebuilds it from snapshot and log.
    pub fn mark_suspect(&self) {
        self.shared.mark_suspect();
    }

    /// Takes no more proposals, lets those under way end, and closes cleanly.
    pub async fn stop(&self) -> Result<(), Error> {
        self.proposals.lock().take();
        let gatherer = self.gatherer.lock().take();
        if let Some(gatherer) = gatherer {
            let _ = tokio::time::timeout(STOP_WAIT, gatherer).await;
        }
        self.compacter.abort();
        self.raft.shutdown().await.map_err(|error| Error::Raft(error.to_string()))?;
        blocking(|| self.shared.flush()).map_err(raft_error)
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

async fn start_raft(
    identity: &Identity,
    log: &LogStore,
    shared: &Arc<Shared>,
) -> Result<Raft, Error> {
    let config = Config {
        cluster_name: identity.cluster.clone(),
        heartbeat_interval: HEARTBEAT_MS,
        election_timeout_min: ELECTION_MS.start,
        election_timeout_max: ELECTION_MS.end,
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: ENTRIES_KEPT,
        ..Config::default()
    };
    let config = Arc::new(config.validate().map_err(raft_error)?);
    let machine = StateMachine::new(shared.clone());
    let raft = Raft::new(identity.node, config, NoPeers, log.clone(), machine).await;
    raft.map_err(raft_error)
}

/// Opens log and state; what rule 15 says of a state that cannot be used happens here.
fn open_disk(data_dir: &DataDir, options: &NodeOptions) -> Result<(Log, Arc<Shared>), Error> {
    let mut log = Log::open(Arc::new(RealFiles), &data_dir.log(), options.log)?;
    let snapshots = Snapshots::open(&data_dir.snapshots())?;
    let state_dir = StateDir::open(&data_dir.state())?;
    let store = match open_state(&state_dir, &log, options)? {
        Ok(store) => store,
        Err(why) => rebuild(&state_dir, &snapshots, &log, options, &why)?,
    };
    let position = Position::from_marker(store.marker().as_deref())?;
    let snapshot = snapshots.latest()?.and_then(|kept| kept.position.applied);
    if position.applied > log.last().max(snapshot) {
        let what = format!(
            "the state stands at entry {}, above the log and the last snapshot: files of the log \
             are missing",
            position.index().unwrap_or(0)
        );
        return Err(Error::DataDir { path: data_dir.state(), what });
    }
    // What a snapshot holds need not be in the log any more.
    log.settle(position.applied.filter(|applied| Some(*applied) > snapshot))?;
    let store_options = options.store.clone();
    let fatal = options.fatal.clone();
    let shared = Shared::new(store, snapshots, state_dir, store_options, fatal)?;
    Ok((log, shared))
}

/// The state, or why it must be rebuilt.
fn open_state(
    dir: &StateDir,
    log: &Log,
    options: &NodeOptions,
) -> Result<Result<Store, String>, Error> {
    if dir.is_suspect() {
        return Ok(Err("it was marked suspect by a panic inside it".into()));
    }
    let place = dir.current()?;
    let store_options = options.store.clone();
    let opened = std::panic::catch_unwind(|| Store::open(&place, store_options));
    let store = match opened {
        Ok(Ok(store)) => store,
        Ok(Err(error)) if error.is_locked() => return Err(error.into()),
        Ok(Err(error)) => return Ok(Err(format!("it does not open: {error}"))),
        Err(_) => return Ok(Err("it does not open: panic inside it".into())),
    };
    match Position::from_marker(store.marker().as_deref()) {
        Err(error) => Ok(Err(format!("its position does not decode: {error}"))),
        Ok(position) if position.applied < log.purged() => {
            Ok(Err("it stands before the first entry of the log".into()))
        }
        Ok(_) => Ok(Ok(store)),
    }
}

/// Sets the state aside and builds it anew from the last snapshot; the log does the rest.
fn rebuild(
    dir: &StateDir,
    snapshots: &Snapshots,
    log: &Log,
    options: &NodeOptions,
    why: &str,
) -> Result<Store, Error> {
    let latest = snapshots.latest()?;
    let reached = latest.as_ref().and_then(|kept| kept.position.applied);
    if reached < log.purged() {
        let path = dir.current()?;
        let what = format!("the state cannot be used ({why}), and no snapshot reaches the log");
        return Err(Error::DataDir { path, what });
    }
    let from = reached.map_or(0, |reached| reached.index);
    tracing::warn!(why, from, "the state is set aside and rebuilt from snapshot and log");
    // The old state goes once there is a new one: a rebuild that fails can be tried again.
    let place = dir.fresh();
    let store = match latest {
        Some(kept) => import_snapshot(&snapshots.file(&kept), &place, options.store.clone())?,
        None => Store::open(&place, options.store.clone())?,
    };
    dir.replace_by(&place)?;
    Ok(store)
}

/// Has a snapshot written whenever the log since the last one is long enough.
async fn compact(raft: Raft, log: LogStore, shared: Arc<Shared>) {
    let mut metrics = raft.data_metrics();
    // What was found at the start counts too: a node that is restarted often compacts all the same.
    let (mut at, mut snapshot) = (0, metrics.borrow().snapshot);
    loop {
        tokio::time::sleep(COMPACT_CHECK).await;
        if metrics.has_changed().is_err() {
            return;
        }
        let latest = metrics.borrow_and_update().snapshot;
        let appended = log.appended_bytes();
        if latest != snapshot {
            (snapshot, at) = (latest, appended);
        }
        let due = COMPACT_BYTES.max(shared.snapshot_bytes.load(Ordering::Relaxed) / 2);
        if appended - at >= due {
            at = appended;
            if raft.trigger().snapshot().await.is_err() {
                return;
            }
        }
    }
}
