//! The calls between nodes, and their replies.
//!
//! A call is declared once: its type, its reply, the peers that may make it, and its place in
//! [`AnyCall`]. The type of the reply follows from that of the call on both ends: a client decodes what
//! the call declares and nothing else, and a server that gives another reply does not compile. A call
//! of a newer version is made only to peers that understand its level.

use std::{collections::BTreeMap, fmt::Debug};

use notty_storage::{Command, Timestamp, level::FIRST_LEVEL};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::call::Callers;
use crate::{
    cluster::change::{Change, ChangeError, Changed},
    outcome::{Applied, ProposeError},
    types::{LogId, NodeId, Peer, SnapshotMeta, TypeConfig, Vote},
};

/// A call that a node answers.
pub(crate) trait PeerCall: Debug + Send + 'static {
    /// Content of a reply; a call that is denied has a [`Denial`](super::call::Denial) instead.
    type Reply: Serialize + DeserializeOwned + Send + Sync;

    /// Peers that may make this call.
    const CALLERS: Callers;

    /// The level that a peer must understand to be called so.
    const LEVEL: u32 = FIRST_LEVEL;

    /// The call as it travels.
    fn into_any(self) -> AnyCall;

    /// The node whose vote the call carries. Nobody else may make it.
    fn voter(&self) -> Option<NodeId> {
        None
    }
}

notty_storage::numbered! {
    /// A call of any type, as it travels. Its number stays, and none is used again.
    #[derive(Debug)]
    pub(crate) enum AnyCall {
        0 Identify(Identify),
        1 Invite(Invite),
        2 AppendEntries(AppendEntries),
        3 RequestVote(RequestVote),
        4 InstallSnapshot(InstallSnapshot),
        5 ProposeCommand(ProposeCommand),
        6 AskReadPoint(AskReadPoint),
        7 AskStatus(AskStatus),
        8 StandForElection(StandForElection),
        9 CallService(CallService),
        10 MakeChange(MakeChange),
        11 Retire(Retire),
        12 BidFarewell(BidFarewell),
        13 Vouch(Vouch),
        14 AskSupport(AskSupport),
    }
}

/// Asks a node who it is, and whether it belongs to a cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Identify;

impl PeerCall for Identify {
    type Reply = Standing;
    const CALLERS: Callers = Callers::Everybody;

    fn into_any(self) -> AnyCall {
        AnyCall::Identify(self)
    }
}

/// Makes a node a member. It answers once it has written that down, because the members count on it
/// from then on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Invite(pub(crate) Invitation);

impl PeerCall for Invite {
    type Reply = ();
    const CALLERS: Callers = Callers::Founders;

    fn into_any(self) -> AnyCall {
        AnyCall::Invite(self)
    }
}

/// openraft's: appends entries to the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AppendEntries(pub(crate) AppendEntriesRequest<TypeConfig>);

impl PeerCall for AppendEntries {
    type Reply = AppendEntriesResponse<NodeId>;
    const CALLERS: Callers = Callers::Nodes;

    fn into_any(self) -> AnyCall {
        AnyCall::AppendEntries(self)
    }

    fn voter(&self) -> Option<NodeId> {
        self.0.vote.leader_id().voted_for()
    }
}

/// openraft's: asks for a vote.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RequestVote(pub(crate) VoteRequest<NodeId>);

impl PeerCall for RequestVote {
    type Reply = VoteResponse<NodeId>;
    const CALLERS: Callers = Callers::Nodes;

    fn into_any(self) -> AnyCall {
        AnyCall::RequestVote(self)
    }

    fn voter(&self) -> Option<NodeId> {
        self.0.vote.leader_id().voted_for()
    }
}

/// openraft's: installs a snapshot, whose bytes follow in frames of their own. The reply is the vote of
/// the node that installed it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InstallSnapshot {
    /// The vote of the leader.
    pub(crate) vote: Vote,
    /// The position and the members that the snapshot stands for.
    pub(crate) meta: SnapshotMeta,
    /// The number of bytes that follow.
    pub(crate) bytes: u64,
}

impl PeerCall for InstallSnapshot {
    type Reply = Vote;
    const CALLERS: Callers = Callers::Nodes;

    fn into_any(self) -> AnyCall {
        AnyCall::InstallSnapshot(self)
    }

    fn voter(&self) -> Option<NodeId> {
        self.vote.leader_id().voted_for()
    }
}

/// Has the leader execute a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ProposeCommand(pub(crate) Command);

impl PeerCall for ProposeCommand {
    type Reply = Result<Applied, ProposeError>;
    const CALLERS: Callers = Callers::Nodes;

    fn into_any(self) -> AnyCall {
        AnyCall::ProposeCommand(self)
    }
}

/// Asks the leader for the position that reflects all that was acknowledged so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AskReadPoint;

impl PeerCall for AskReadPoint {
    type Reply = Result<ReadPoint, ProposeError>;
    const CALLERS: Callers = Callers::Nodes;

    fn into_any(self) -> AnyCall {
        AnyCall::AskReadPoint(self)
    }
}

/// Asks a node for its positions and its clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AskStatus;

impl PeerCall for AskStatus {
    type Reply = PeerStatus;
    const CALLERS: Callers = Callers::Nodes;

    fn into_any(self) -> AnyCall {
        AnyCall::AskStatus(self)
    }
}

/// Has a node stand for election, because the leader hands over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StandForElection;

impl PeerCall for StandForElection {
    type Reply = ();
    const CALLERS: Callers = Callers::Nodes;

    fn into_any(self) -> AnyCall {
        AnyCall::StandForElection(self)
    }
}

/// Calls the service above, which alone knows the meaning of the bytes. Besides `Identify`, it is the
/// only call that a standalone postman may make.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CallService(pub(crate) Vec<u8>);

impl PeerCall for CallService {
    type Reply = Vec<u8>;
    const CALLERS: Callers = Callers::NodesAndPostmen;

    fn into_any(self) -> AnyCall {
        AnyCall::CallService(self)
    }
}

/// Has the leader change the cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MakeChange(pub(crate) Change);

impl PeerCall for MakeChange {
    type Reply = Result<Changed, ChangeError>;
    const CALLERS: Callers = Callers::Nodes;

    fn into_any(self) -> AnyCall {
        AnyCall::MakeChange(self)
    }
}

/// Has a node that is about to be removed end its work; it answers once nothing is left to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Retire;

impl PeerCall for Retire {
    type Reply = ();
    const CALLERS: Callers = Callers::Nodes;

    fn into_any(self) -> AnyCall {
        AnyCall::Retire(self)
    }
}

/// Has a node ask the members whether it was removed; it answers if they confirm it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BidFarewell;

impl PeerCall for BidFarewell {
    type Reply = ();
    const CALLERS: Callers = Callers::Nodes;

    fn into_any(self) -> AnyCall {
        AnyCall::BidFarewell(self)
    }
}

/// Asks a member whether it knows a node that the caller does not know yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Vouch {
    /// The number that the node claims.
    pub(crate) node: NodeId,
    /// The disk that the node claims.
    pub(crate) disk: String,
}

impl PeerCall for Vouch {
    type Reply = Word;
    const CALLERS: Callers = Callers::Nodes;

    fn into_any(self) -> AnyCall {
        AnyCall::Vouch(self)
    }
}

/// Asks a voter whether it would have the caller elected. It promises nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AskSupport {
    /// The end of the caller's log.
    pub(crate) last: Option<LogId>,
}

impl PeerCall for AskSupport {
    type Reply = bool;
    const CALLERS: Callers = Callers::Nodes;

    fn into_any(self) -> AnyCall {
        AnyCall::AskSupport(self)
    }
}

/// Knowledge of a node about a number and a disk that somebody claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Word {
    /// They belong to a member or an admitted node.
    Known,
    /// The disk belongs to a removed node.
    Dismissed,
    /// It knows nothing of them.
    Unknown,
}

/// The membership that a node is invited to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invitation {
    /// The id of the cluster.
    pub(crate) cluster: String,
    /// The node's number in it.
    pub(crate) node: NodeId,
    /// The members, the inviting one among them: the node believes them until its log names others.
    pub(crate) members: BTreeMap<NodeId, Peer>,
}

/// The identity of a node, before anybody talks raft with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// The name in its configuration.
    pub(crate) name: String,
    /// The id of its disk.
    pub(crate) disk: String,
    /// The cluster that it belongs to for good; none while it is empty.
    pub(crate) cluster: Option<String>,
    /// The level that it understands.
    pub(crate) level: u32,
    /// Its version of notty.
    pub(crate) version: String,
}

/// A point in the log for a read, and the leader's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReadPoint {
    /// A state that reflects this position reflects all that was acknowledged before the call.
    pub(crate) index: u64,
    /// The leader's wall clock when it answered; the beginning of time while that clock is in doubt.
    pub(crate) wall: Timestamp,
}

/// The positions of a node, its clock and its version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PeerStatus {
    /// The last position of its log.
    pub last_index: u64,
    /// The position that its state reflects.
    pub applied_index: u64,
    /// Its wall clock when it answered.
    pub wall: Timestamp,
    /// True if other nodes may count that clock: not while it contradicts its own machine.
    pub has_say: bool,
    /// The level that it understands.
    pub level: u32,
    /// Its version of notty.
    pub version: String,
}
