//! Opening a node: its parts in the order in which each needs the ones before.
//!
//! First the directory and the identity in it; then the front, which answers peers before there is a
//! node; then the cluster, which a node forms or waits for; then log and state; then raft; at last the
//! node itself. Reading order: `options`; `stores` opens log and state, and rebuilds a state that
//! cannot be used; `consensus` configures raft and lets it begin; this file does it all in order.

mod consensus;
pub(crate) mod options;
pub(crate) mod stores;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use tokio::sync::watch;

use crate::{
    Fatal,
    cluster::{
        forming::{self, Expected, Founders},
        myself::Myself,
        take_in::{self, TakeIn},
        waiting::WaitingReason,
    },
    consensus::handle::Consensus,
    disk::{
        data_dir::{DataDir, Identity},
        own_identity::OwnIdentity,
    },
    error::Error,
    front::answers::Front,
    log::{Log, log_store::LogStore},
    node::{Node, parts::NodeParts},
    open::options::NodeOptions,
    peers::{Credentials, TcpTransport, client::Peers, server, session::Hello},
    runtime::blocking,
    state::node_state::NodeState,
    time::{state_time::state_time, trust::Trust},
    types::{Peer, Raft},
};

impl Node {
    /// Opens the data directory, rebuilds what must be rebuilt, and starts. Without a cluster in
    /// the options, an empty directory becomes a cluster of this one node; with one, it waits until
    /// the cluster is formed or takes it in.
    pub async fn open(dir: &Path, options: NodeOptions) -> Result<Arc<Self>, Error> {
        Self::open_with_reason(dir, options, &WaitingReason::default()).await
    }

    /// Opens like [`Node::open`], and keeps the reason why it waits, as long as it has no cluster.
    pub async fn open_with_reason(
        dir: &Path,
        options: NodeOptions,
        waiting: &WaitingReason,
    ) -> Result<Arc<Self>, Error> {
        let own = Arc::new(open_identity(dir, &options)?);

        // Peers are answered from now on: the others cannot form a cluster without this node.
        let front = Front::new(
            &options.peer.name,
            own.subscribe(),
            options.clock.clone(),
            options.store.level,
        );
        let (peers, stop_peers) = open_peers(&own.current(), &front, &options).await?;
        tokio::spawn(end_outdated(peers.outdated(), options.fatal.clone()));
        let founders = become_member(&own, &front, &peers, &options, waiting).await?;
        waiting.end();
        let identity = own.current();
        peers.become_somebody(hello(&identity, &options));

        // Log and state belong to one cluster: they are opened once the node has one.
        let (log, state) = open_stores(&own, &options)?;
        let kept_entries = options.log.kept_entries;
        let raft = consensus::start(&identity, &log, &state, &peers, kept_entries).await?;

        let has_peers = options.cluster.is_some();
        let me = Arc::new(Myself::new(&identity, &options.peer, has_peers));
        let clock_file = own.data_dir().clock();
        let trust = Trust::open(options.clock.clone(), clock_file, state_time(&state));

        // The node follows raft and sends here whether it leads; all others only watch.
        let (leads, leadership) = watch::channel(None);
        let handle = Consensus::new(raft.clone(), me.node, peers.clone(), leadership);
        let parts = NodeParts {
            me: me.clone(),
            own: own.clone(),
            clock: options.clock.clone(),
            trust,
            state,
            log,
            peers: peers.clone(),
            consensus: Arc::new(handle),
            stop_peers,
            level: options.store.level,
            exercises_levels: options.exercises_levels,
        };

        // Before raft begins: an election needs the votes of the others, and theirs this node's.
        let node = parts.into_node();
        front.open(&node);
        let has_begun = founders.is_some() || !has_peers;
        consensus::begin(&raft, &own, founders, has_peers).await?;
        // A founder's log holds the first members by now: it need not wait for the others again.
        if has_begun && !identity.formed {
            own.change(|identity| identity.formed = true)?;
        }

        node.start(leads, options.log.compact_bytes);
        if own.data_dir().is_restored() {
            let take_in = take_in(raft, peers, me, &options);
            begin_to_take_in(take_in, &node, &own);
        }
        Ok(node)
    }
}

/// Starts taking in the other nodes. Holds this one weakly: the task ends once the node is gone.
fn begin_to_take_in(take_in: TakeIn, node: &Node, own: &Arc<OwnIdentity>) {
    let changes = Arc::downgrade(node.changes());
    let own = Arc::downgrade(own);
    tokio::spawn(take_in::run(take_in, changes, own));
}

/// The nodes that a restored node has to take in, by its configuration.
fn take_in(raft: Raft, peers: Arc<Peers>, me: Arc<Myself>, options: &NodeOptions) -> TakeIn {
    let cluster = options.cluster.as_ref();
    TakeIn {
        raft,
        peers,
        me,
        expected: cluster.map_or(Vec::new(), |cluster| cluster.nodes.clone()),
        count: cluster.map_or(1, |cluster| cluster.expect),
    }
}

/// Opens log and state, which share the watchdog.
fn open_stores(
    own: &OwnIdentity,
    options: &NodeOptions,
) -> Result<(LogStore, Arc<NodeState>), Error> {
    let (log, state) = blocking(|| stores::open(own.data_dir(), options))?;
    let log = LogStore::new(
        log,
        state.snapshots().clone(),
        options.fatal.clone(),
        options.onlooker.clone(),
    );
    Ok((log.watched_by(state.watch().clone()), state))
}

/// Opens the directory and reads the identity in it; an empty one gets one.
fn open_identity(dir: &Path, options: &NodeOptions) -> Result<OwnIdentity, Error> {
    let data_dir = DataDir::open(dir)?;
    let found = data_dir.identity()?;
    // By now it is no stranger's.
    data_dir.keep_private();

    let identity = match (found, &options.cluster) {
        (Some(identity), _) => identity,
        (None, None) => data_dir.found()?,
        (None, Some(_)) => data_dir.prepare()?,
    };
    identity.check_level(data_dir.path(), options.store.level)?;
    let has_begun = has_begun(&data_dir, &identity, options)?;
    let own = OwnIdentity::new(data_dir, identity);

    // The process before died before it could write this down. A founder whose log holds the first
    // members must not form the cluster once more, with disks that came later.
    if has_begun {
        own.change(|identity| identity.formed = true)?;
    }
    Ok(own)
}

/// True if the log has begun although the identity says otherwise.
fn has_begun(
    data_dir: &DataDir,
    identity: &Identity,
    options: &NodeOptions,
) -> Result<bool, Error> {
    if identity.formed || identity.cluster.is_empty() {
        return Ok(false);
    }
    let log = Log::open(options.files.clone(), &data_dir.log(), options.log)?;
    Ok(log.last().is_some())
}

/// The introduction of this node to its peers.
fn hello(identity: &Identity, options: &NodeOptions) -> Hello {
    let node = Some(identity.node).filter(|node| *node > 0);
    let hello = Hello::new(&options.peer.name, &identity.cluster, node, &identity.disk);
    hello.at_level(options.store.level)
}

/// Starts to answer peers, if the node has any. They are answered until the sender that is returned
/// sends true, or is dropped.
async fn open_peers(
    identity: &Identity,
    front: &Arc<Front>,
    options: &NodeOptions,
) -> Result<(Arc<Peers>, watch::Sender<bool>), Error> {
    let (stop_peers, peers_stopped) = watch::channel(false);
    let me = hello(identity, options);
    let Some(cluster) = &options.cluster else {
        return Ok((Arc::new(no_peers(me)), stop_peers));
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

/// Ends the process once a member says that its version is too old for the cluster.
async fn end_outdated(mut outdated: watch::Receiver<Option<String>>, fatal: Fatal) {
    // Without a sender the node is gone, and its process ends by itself.
    if let Ok(why) = outdated.wait_for(Option::is_some).await {
        let why = why.as_deref().unwrap_or_default();
        fatal(&format!("this node cannot take part: {why}"));
    }
}

/// The peers of a node by itself: it calls nobody, and nobody knows its secret.
fn no_peers(me: Hello) -> Peers {
    let secret = Credentials::by_secret(uuid::Uuid::new_v4().as_bytes());
    Peers::new(Arc::new(TcpTransport), secret, me)
}

/// Waits until this node belongs to a cluster; returns the first members if raft must begin with them.
async fn become_member(
    own: &OwnIdentity,
    front: &Front,
    peers: &Peers,
    options: &NodeOptions,
    waiting: &WaitingReason,
) -> Result<Option<Founders>, Error> {
    let identity = own.current();
    let Some(cluster) = &options.cluster else {
        let has_begun = identity.formed;
        return Ok((!has_begun).then(|| alone(identity, &options.peer)));
    };

    let expected = Expected {
        me: options.peer.clone(),
        nodes: cluster.nodes.clone(),
        count: cluster.expect,
    };
    // A founder that died while it formed the cluster does it again. Number 1 is never given to a
    // node that was taken in later.
    let founds_again = !identity.formed && identity.node == 1 && expected.is_founder();
    if !identity.cluster.is_empty() && !founds_again {
        return Ok(None);
    }
    forming::become_member(own, front.invitations(), peers, &expected, waiting).await
}

/// The first members of a node by itself: it alone.
fn alone(identity: Identity, configured: &Peer) -> Founders {
    let mine = Peer {
        disk: identity.disk,
        ..configured.clone()
    };
    BTreeMap::from([(identity.node, mine)])
}
