//! How openraft calls this node's peers: its messages as calls of [`crate::peers`].

use std::{future::Future, io::Read, sync::Arc, time::Duration};

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
    },
    runtime::blocking,
    types::{NodeId, Peer, Snapshot, TypeConfig, Vote},
};

/// Bytes of a snapshot in one frame.
const CHUNK: usize = 256 * 1024;
/// How long one of a snapshot's frames may take, and how long installing it.
const CHUNK_TIME: Duration = Duration::from_secs(10);
const INSTALL_TIME: Duration = Duration::from_secs(600);

type RpcError = RPCError<NodeId, Peer, RaftError<NodeId>>;
type SnapshotError = StreamingError<TypeConfig, Fatal<NodeId>>;

/// Makes links to peers.
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
        // Whoever refuses is asked again after a pause, too: it may not be ready yet.
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
    /// Sends a snapshot over a connection of its own, so that heartbeats do not wait behind it.
    async fn send_snapshot(&self, vote: Vote, snapshot: Snapshot) -> Result<Vote, CallError> {
        let lost = |error: std::io::Error| CallError::Lost {
            address: self.member.peer.clone(),
            what: format!("the snapshot: {error}"),
        };
        let mut file = std::fs::File::open(&snapshot.snapshot.path).map_err(lost)?;
        let bytes = file.metadata().map_err(lost)?.len();
        let mut session = self.peers.open_to(&self.member).await?;
        let call = InstallSnapshot {
            vote,
            meta: snapshot.meta,
            bytes,
        };
        session.send(&call.into_any()).await.map_err(lost)?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = blocking(|| file.read(&mut chunk)).map_err(lost)?;
            if read == 0 {
                break;
            }
            let sending = tokio::time::timeout(CHUNK_TIME, session.send_bytes(&chunk[..read]));
            let late = || Err(std::io::ErrorKind::TimedOut.into());
            sending.await.unwrap_or_else(|_| late()).map_err(lost)?;
        }
        let answering = session.receive_answer::<InstallSnapshot>();
        let late = || Err(std::io::ErrorKind::TimedOut.into());
        let answer = tokio::time::timeout(INSTALL_TIME, answering)
            .await
            .unwrap_or_else(|_| late())
            .map_err(lost)?;
        answer.map_err(|denial| CallError::denied(&self.member.peer, denial))
    }
}
