//! What nodes say to each other.

use std::collections::BTreeMap;

use notty_storage::{Command, Timestamp};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
use serde::{Deserialize, Serialize};

use crate::{
    cluster::changes::{Change, ChangeError, Changed},
    error::ProposeError,
    node::proposal::Applied,
    types::{NodeId, Peer, SnapshotMeta, TypeConfig, Vote},
};

/// What a node asks of another.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Who are you, and do you belong to a cluster?
    Identify,
    /// You are one of the first nodes of a new cluster.
    Form(Invitation),
    /// You are taken into a cluster.
    Join(Invitation),
    /// openraft's: entries of the log.
    Append(AppendEntriesRequest<TypeConfig>),
    /// openraft's: a vote.
    Vote(VoteRequest<NodeId>),
    /// openraft's: a snapshot; its bytes follow in frames of their own.
    Snapshot {
        /// The leader's vote.
        vote: Vote,
        /// What it stands for.
        meta: SnapshotMeta,
        /// How many bytes follow.
        bytes: u64,
    },
    /// Execute a command, as the leader.
    Propose(Command),
    /// As the leader: which position reflects all that was acknowledged so far?
    ReadIndex,
    /// How do you stand?
    Status,
    /// Stand for election: the leader hands over.
    Elect,
    /// For the service above, which alone knows what it means. The only call, but for `Identify`
    /// and `Status`, that a postman by itself may make.
    Service(Vec<u8>),
    /// Change the cluster, as the leader.
    Change(Change),
    /// You are about to be taken out: take on no more work, and end what you have.
    Retire,
    /// You were taken out: ask the members.
    Farewell,
    /// Is this a node of the cluster? Asked of members by a node that does not know another yet.
    Vouch {
        /// The number that it claims.
        node: NodeId,
        /// The disk that it claims.
        disk: String,
    },
}

/// What a node knows of a number and a disk that somebody claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Word {
    /// A member's, or an admitted node's.
    Known,
    /// The disk was dismissed.
    Dismissed,
    /// Nothing.
    Unknown,
}

/// What makes a node a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invitation {
    /// The cluster's id.
    pub(crate) cluster: String,
    /// The node's number in it.
    pub(crate) node: NodeId,
    /// The members: who invites is among them, and the node believes them until its log names
    /// others.
    pub(crate) members: BTreeMap<NodeId, Peer>,
}

/// What a node answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Response {
    /// To `Identify`.
    Standing(Standing),
    /// To `Form` and `Join`: taken.
    Welcome,
    /// To `Append`.
    Append(AppendEntriesResponse<NodeId>),
    /// To `Vote`.
    Vote(VoteResponse<NodeId>),
    /// To `Snapshot`, with the node's vote.
    Snapshot(Vote),
    /// To `Propose`.
    Proposed(Result<Applied, ProposeError>),
    /// To `ReadIndex`: the position, and the leader's wall clock.
    ReadIndex(Result<(u64, Timestamp), ProposeError>),
    /// To `Status`.
    Status(PeerStatus),
    /// To `Elect`.
    Stands,
    /// To `Service`.
    Service(Vec<u8>),
    /// It cannot be done, or not now.
    Refused(String),
    /// To anything: you were taken out of this cluster, for good.
    Dismissed,
    /// To `Change`.
    Changed(Result<Changed, ChangeError>),
    /// To `Retire`: nothing is left to do. To `Farewell`: so it is.
    Retired,
    /// To `Vouch`.
    Vouched(Word),
}

/// Who a node is, before anybody talks raft with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Its name.
    pub(crate) name: String,
    /// Its disk.
    pub(crate) disk: String,
    /// The cluster that it belongs to for good; none while it is empty.
    pub(crate) cluster: Option<String>,
}

/// How a node stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PeerStatus {
    /// The last position of its log.
    pub last_index: u64,
    /// The position that its state reflects.
    pub applied_index: u64,
    /// Its wall clock when it answered.
    pub wall: Timestamp,
    /// Whether that clock counts for others: not while it contradicts its own machine.
    pub has_say: bool,
}
