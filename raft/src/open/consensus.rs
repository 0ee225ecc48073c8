//! Raft: configured, started over log and state, and begun or gone on with.

use std::sync::Arc;

use openraft::{Config, SnapshotPolicy};

use crate::{
    cluster::forming::Founders,
    consensus::handle::ELECTION_MS,
    disk::{
        data_dir::{DataDir, Identity},
        own_identity::OwnIdentity,
    },
    error::Error,
    log::log_store::LogStore,
    peers::{client::Peers, network::Network},
    state::{node_state::NodeState, state_machine::StateMachine},
    types::Raft,
};

/// Between two heartbeats of a leader, in milliseconds.
const HEARTBEAT_MS: u64 = 150;
/// Entries sent to a follower at once, at most; bytes bound them too.
const APPEND_ENTRIES: u64 = 64;
/// Time limit for sending and installing a snapshot, in milliseconds.
const SNAPSHOT_MS: u64 = 600_000;

/// Starts raft. It answers peers from now on, and does nothing by itself before [`begin`].
pub(super) async fn start(
    identity: &Identity,
    log: &LogStore,
    state: &Arc<NodeState>,
    peers: &Arc<Peers>,
    kept_entries: u64,
) -> Result<Raft, Error> {
    let config = config(identity, kept_entries).validate();
    let config = Arc::new(config.map_err(raft_error)?);

    // Before raft reads the vote.
    log.forget_leading(identity.node);
    let machine = StateMachine::new(state.clone());
    let network = Network::new(peers.clone());
    let raft = Raft::new(identity.node, config, network, log.clone(), machine).await;
    raft.map_err(raft_error)
}

fn config(identity: &Identity, kept_entries: u64) -> Config {
    Config {
        cluster_name: identity.cluster.clone(),
        heartbeat_interval: HEARTBEAT_MS,
        election_timeout_min: ELECTION_MS.start,
        election_timeout_max: ELECTION_MS.end,
        // `candidacy` begins them: a node asks first whether the others hear a leader.
        enable_elect: false,
        // `compaction` writes them: to openraft one that fails is the end of the node.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: kept_entries,
        max_payload_entries: APPEND_ENTRIES,
        install_snapshot_timeout: SNAPSHOT_MS,
        ..Config::default()
    }
}

/// Lets raft begin with its first members, or go on.
pub(super) async fn begin(
    raft: &Raft,
    own: &OwnIdentity,
    founders: Option<Founders>,
    has_peers: bool,
) -> Result<(), Error> {
    let identity = own.current();
    let has_log = raft.is_initialized().await.map_err(raft_error)?;
    if identity.formed && !has_log {
        return Err(log_is_gone(own.data_dir()));
    }

    let membership = {
        let watched = raft.metrics();
        let metrics = watched.borrow();
        metrics.membership_config.membership().clone()
    };
    let count = membership.nodes().count();
    if !has_peers && count > 1 {
        return Err(cluster_is_not_configured(own.data_dir(), count));
    }

    let votes_alone = membership.voter_ids().all(|voter| voter == identity.node);
    match founders {
        Some(members) if !has_log => raft.initialize(members).await.map_err(raft_error),
        // Who alone votes need not wait for others to speak first.
        _ if has_log && votes_alone => raft.trigger().elect().await.map_err(raft_error),
        _ => Ok(()),
    }
}

fn log_is_gone(data_dir: &DataDir) -> Error {
    let what = "its log is gone: a node that lost what it acknowledged must not go on; put the log \
                back, or restore a backup";
    Error::DataDir {
        path: data_dir.log(),
        what: what.to_owned(),
    }
}

fn cluster_is_not_configured(data_dir: &DataDir, count: usize) -> Error {
    let what = format!(
        "belongs to a cluster of {count} nodes, and the configuration has no [cluster]: give it the \
         one that it had"
    );
    Error::DataDir {
        path: data_dir.path().to_owned(),
        what,
    }
}

fn raft_error(error: impl ToString) -> Error {
    Error::Raft(error.to_string())
}
