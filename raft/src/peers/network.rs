//! Between openraft and the peers: its messages as calls of [`super::client`].
//!
//! openraft decides about pauses and repetitions, by the kind of error; a snapshot goes over a session
//! of its own.

use std::{
    fs::File,
    future::Future,
    io::{self, Read},
    sync::Arc,
    time::Duration,
};

use openraft::{
    OptionalSend, RaftNetwork, RaftNetworkFactory,
    error::{
        Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable,
    },
    network::RPCOption,
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
    },
};

use crate::{
    peers::{
        call::CallError,
        client::Peers,
        protocol::{AppendEntries, InstallSnapshot, PeerCall, RequestVote},
        session::{Session, within},
    },
    runtime::blocking,
    types::{NodeId, Peer, Snapshot, TypeConfig, Vote},
};

/// Bytes of a snapshot in one frame.
const CHUNK: usize = 256 * 1024;
/// Time for the peer to take one of a snapshot's frames.
const CHUNK_TIME: Duration = Duration::from_secs(10);
/// Time for the peer to install a snapshot that it has received.
const INSTALL_TIME: Duration = Duration::from_secs(600);

type RpcError = RPCError<NodeId, Peer, RaftError<NodeId>>;
type SnapshotError = StreamingError<TypeConfig, Fatal<NodeId>>;

/// Opens a link for each peer that openraft names.
#[derive(Clone)]
pub(crate) struct Network {
    peers: Arc<Peers>,
}

/// A link to one peer.
pub(crate) struct Link {
    peers: Arc<Peers>,
    member: Peer,
}

impl Network {
    pub(crate) fn new(peers: Arc<Peers>) -> Self {
        Self { peers }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Link;

    async fn new_client(&mut self, _target: NodeId, node: &Peer) -> Link {
        Link {
            peers: self.peers.clone(),
            member: node.clone(),
        }
    }
}

fn rpc_error(error: CallError) -> RpcError {
    match error {
        // A peer that refuses is asked again after a pause, too: it may not be ready yet.
        CallError::NotSent { .. } | CallError::Refused { .. } => {
            RPCError::Unreachable(Unreachable::new(&error))
        }
        CallError::Lost { .. } => RPCError::Network(NetworkError::new(&error)),
    }
}

impl RaftNetwork<TypeConfig> for Link {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<NodeId>, RpcError> {
        let call = AppendEntries(request);
        let answer = self
            .peers
            .call_member(&self.member, call, option.hard_ttl())
            .await;
        answer.map_err(rpc_error)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<NodeId>,
        option: RPCOption,
    ) -> Result<VoteResponse<NodeId>, RpcError> {
        let call = RequestVote(request);
        let answer = self
            .peers
            .call_member(&self.member, call, option.hard_ttl())
            .await;
        answer.map_err(rpc_error)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<NodeId>, SnapshotError> {
        // openraft closes a replication when the leader or the members change.
        tokio::select! {
            sent = self.send_snapshot(vote, snapshot) => match sent {
                Ok(vote) => Ok(SnapshotResponse { vote }),
                Err(error @ CallError::NotSent { .. }) => {
                    Err(StreamingError::Unreachable(Unreachable::new(&error)))
                }
                Err(error) => Err(StreamingError::Network(NetworkError::new(&error))),
            },
            closed = cancel => Err(StreamingError::Closed(closed)),
        }
    }
}

impl Link {
    /// Sends a snapshot over a session of its own, so that heartbeats do not wait behind it. Returns
    /// the peer's vote once it is installed there.
    async fn send_snapshot(&self, vote: Vote, snapshot: Snapshot) -> Result<Vote, CallError> {
        let path = &snapshot.snapshot.path;
        let file = File::open(path).map_err(|error| self.lost(error))?;
        let metadata = file.metadata().map_err(|error| self.lost(error))?;
        let call = InstallSnapshot {
            vote,
            meta: snapshot.meta,
            bytes: metadata.len(),
        };

        let mut session = self.peers.open_to(&self.member).await?;
        send_with_file(&mut session, call, file)
            .await
            .map_err(|error| self.lost(error))?;

        // The peer builds a state of it before it answers.
        let answering = session.receive_answer::<InstallSnapshot>();
        let answer = within(INSTALL_TIME, answering)
            .await
            .map_err(|error| self.lost(error))?;
        answer.map_err(|denial| CallError::denied(&self.member.peer, denial))
    }

    fn lost(&self, error: io::Error) -> CallError {
        CallError::Lost {
            address: self.member.peer.clone(),
            what: format!("the snapshot: {error}"),
        }
    }
}

/// Sends a call, and the bytes of a file behind it in frames of their own.
async fn send_with_file(
    session: &mut Session,
    call: InstallSnapshot,
    mut file: File,
) -> io::Result<()> {
    session.send(&call.into_any()).await?;

    let mut chunk = vec![0; CHUNK];
    loop {
        let read = blocking(|| file.read(&mut chunk))?;
        if read == 0 {
            return Ok(());
        }
        within(CHUNK_TIME, session.send_bytes(&chunk[..read])).await?;
    }
}
