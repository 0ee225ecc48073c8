//! What this node answers its peers.
//!
//! It is there before the node belongs to a cluster: then it answers who it is and takes an
//! invitation. Once raft runs, openraft's messages, forwarded commands and reads go to it. Whoever
//! speaks for a cluster must be of this one, and a member must have the disk it was taken in with:
//! a node that lost its disk never votes again under its old number. A postman by itself is no
//! member: of this node it gets what the service above has for postmen, and nothing else.

use std::{
    io::Write,
    path::Path,
    sync::{Arc, OnceLock, Weak},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use notty_storage::{
    planted::{Planted, is_planted},
    query,
};
use openraft::SnapshotMeta as Meta;
use tokio::sync::watch;

use crate::{
    clock::Clock,
    data_dir::Identity,
    error::Error,
    log_store::blocking,
    node::Node,
    peers::{
        protocol::{Invitation, PeerStatus, Request, Response, Standing},
        server::{Handler, Handling},
        session::{Hello, Session},
    },
    snapshots::check_received,
    state_machine::Shared,
    trust::Trust,
    types::{NodeId, Peer, Raft, Snapshot, SnapshotFile, Vote},
};

/// How long writing down an invitation may take: less than who invites waits for the answer.
const KEEP: Duration = Duration::from_millis(1_500);
/// How long the next piece of a snapshot may take to come.
const CHUNK_TIME: Duration = Duration::from_secs(20);

/// Who calls the service above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A node of the same cluster.
    Node,
    /// A postman by itself, by its name.
    Postman(String),
}

/// What the service above answers to calls that it alone understands.
pub trait Service: Send + Sync + 'static {
    /// Answers one call; what a postman may ask is for the service to say.
    fn call(&self, caller: Caller, request: Vec<u8>) -> BoxFuture<'_, Vec<u8>>;
}

/// The front of a node.
pub(crate) struct Front {
    name: String,
    identity: watch::Sender<Identity>,
    invitations: watch::Sender<Option<Invitation>>,
    raft: OnceLock<(Raft, Arc<Shared>)>,
    node: OnceLock<Weak<Node>>,
    service: OnceLock<Weak<dyn Service>>,
    trust: OnceLock<Arc<Trust>>,
    clock: Arc<dyn Clock>,
}

impl Front {
    pub(crate) fn new(name: &str, identity: Identity, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            identity: watch::Sender::new(identity),
            invitations: watch::Sender::new(None),
            raft: OnceLock::new(),
            node: OnceLock::new(),
            service: OnceLock::new(),
            trust: OnceLock::new(),
            clock,
        })
    }

    /// Invitations that came.
    pub(crate) fn invitations(&self) -> watch::Receiver<Option<Invitation>> {
        self.invitations.subscribe()
    }

    /// The node is this from now on.
    pub(crate) fn identify(&self, identity: &Identity) {
        self.identity.send_replace(identity.clone());
    }

    /// Raft runs from now on.
    pub(crate) fn open_raft(&self, raft: Raft, shared: Arc<Shared>) {
        let _ = self.raft.set((raft, shared));
    }

    /// What is believed of the clock is known from now on.
    pub(crate) fn open_trust(&self, trust: Arc<Trust>) {
        let _ = self.trust.set(trust);
    }

    /// The node runs from now on.
    pub(crate) fn open_node(&self, node: &Arc<Node>) {
        let _ = self.node.set(Arc::downgrade(node));
    }

    /// Whom calls for the service above go to; kept as long as it lives.
    pub(crate) fn open_service(&self, service: &Arc<dyn Service>) {
        let _ = self.service.set(Arc::downgrade(service));
    }

    fn member(&self, node: NodeId) -> Option<Peer> {
        let (raft, _) = self.raft.get()?;
        let metrics = raft.metrics();
        let metrics = metrics.borrow();
        metrics.membership_config.membership().get_node(&node).cloned()
    }

    /// Takes an invitation; says so only once it is written down, because the members count on this
    /// node from then on.
    async fn invited(&self, invitation: Invitation) -> Response {
        let identity = self.identity.borrow().clone();
        let same = identity.cluster == invitation.cluster && identity.node == invitation.node;
        if !identity.cluster.is_empty() && !same {
            let what = "it belongs to another cluster already, or is another node of it; only an \
                        empty data directory can be taken in";
            return Response::Refused(what.to_owned());
        }
        let (cluster, node) = (invitation.cluster.clone(), invitation.node);
        self.invitations.send_replace(Some(invitation));
        let mut kept = self.identity.subscribe();
        let kept = kept.wait_for(|now| now.cluster == cluster && now.node == node);
        match tokio::time::timeout(KEEP, kept).await {
            Ok(Ok(_)) => Response::Welcome,
            _ => Response::Refused("it could not write the invitation down in time".to_owned()),
        }
    }

    /// Whether a disk was let go, and is no member's. Its number is never given again, so that this
    /// stays true for ever.
    fn was_dismissed(&self, peer: &Hello) -> bool {
        let Some(node) = peer.node else {
            return false;
        };
        if self.member(node).is_some_and(|known| known.disk == peer.disk) {
            return false;
        }
        self.raft.get().is_some_and(|(_, shared)| {
            let view = shared.view();
            let nodes = shared.checked(query::nodes::nodes(&view.read()));
            nodes.is_ok_and(|nodes| nodes.is_dismissed(&peer.disk))
        })
    }

    /// Who a peer is to this node's cluster; none: a stranger, or a node that is not taken in yet.
    fn caller(&self, peer: &Hello) -> Option<Caller> {
        let identity = self.identity.borrow();
        if identity.cluster.is_empty() || peer.cluster != identity.cluster {
            return None;
        }
        match peer.node {
            Some(_) => Some(Caller::Node),
            None if peer.disk.is_empty() => Some(Caller::Postman(peer.name.clone())),
            None => None,
        }
    }

    async fn raft_request(&self, request: Request, session: &mut Session) -> Response {
        if spoken_for(&request).is_some_and(|node| Some(node) != session.peer.node) {
            return Response::Refused("it takes no vote from anyone but who it is of".to_owned());
        }
        let Some((raft, shared)) = self.raft.get() else {
            return Response::Refused("it is not ready to talk raft".to_owned());
        };
        match request {
            Request::Append(request) => match raft.append_entries(request).await {
                Ok(response) => Response::Append(response),
                Err(error) => Response::Refused(error.to_string()),
            },
            Request::Vote(request) => match raft.vote(request).await {
                Ok(response) => Response::Vote(response),
                Err(error) => Response::Refused(error.to_string()),
            },
            Request::Snapshot { vote, meta, bytes } => {
                let file = shared.snapshots.receiving();
                match receive_snapshot(session, &file.path, &meta, bytes).await {
                    Ok(()) => install(raft, vote, meta, file).await,
                    Err(error) => Response::Refused(error.to_string()),
                }
            }
            Request::Farewell => {
                match self.node.get().and_then(Weak::upgrade) {
                    Some(node) => node.peers.note_dismissal(),
                    None => return Response::Refused("it is not ready yet".to_owned()),
                }
                Response::Retired
            }
            Request::Elect => match raft.trigger().elect().await {
                Ok(()) => Response::Stands,
                Err(error) => Response::Refused(error.to_string()),
            },
            _ => Response::Refused("that is not raft".to_owned()),
        }
    }

    fn status(&self) -> PeerStatus {
        let has_say = self.trust.get().is_some_and(|trust| trust.has_say());
        let wall = self.clock.wall();
        let Some((raft, _)) = self.raft.get() else {
            return PeerStatus { wall, has_say, ..PeerStatus::default() };
        };
        let metrics = raft.metrics();
        let metrics = metrics.borrow();
        PeerStatus {
            last_index: metrics.last_log_index.unwrap_or(0),
            applied_index: metrics.last_applied.map_or(0, |applied| applied.index),
            wall,
            has_say,
        }
    }

    /// Whether this peer may ask this.
    fn may_ask(peer: &Hello, caller: Option<&Caller>, request: &Request) -> bool {
        match request {
            Request::Identify | Request::Status => true,
            // Nodes invite before they belong to the cluster themselves.
            Request::Form(_) | Request::Join(_) => !peer.disk.is_empty(),
            Request::Service(_) => caller.is_some(),
            Request::Propose(_)
            | Request::ReadIndex
            | Request::Append(_)
            | Request::Vote(_)
            | Request::Snapshot { .. }
            | Request::Change(_)
            | Request::Retire
            | Request::Farewell
            | Request::Elect => caller == Some(&Caller::Node),
        }
    }

    async fn answer(&self, request: Request, session: &mut Session) -> Response {
        let not_yet = || Response::Refused("it is not ready yet".to_owned());
        if self.was_dismissed(&session.peer) {
            return Response::Dismissed;
        }
        let node = self.node.get().and_then(Weak::upgrade);
        let caller = self.caller(&session.peer);
        if !Self::may_ask(&session.peer, caller.as_ref(), &request) {
            return Response::Refused("only members of its cluster may ask this of it".to_owned());
        }
        match request {
            Request::Identify => {
                let identity = self.identity.borrow().clone();
                let cluster = Some(identity.cluster).filter(|cluster| !cluster.is_empty());
                let (name, disk) = (self.name.clone(), identity.disk);
                Response::Standing(Standing { name, disk, cluster })
            }
            Request::Form(invitation) | Request::Join(invitation) => self.invited(invitation).await,
            Request::Status => Response::Status(self.status()),
            Request::Propose(command) => match node {
                Some(node) => Response::Proposed(node.propose_here(command).await),
                None => not_yet(),
            },
            Request::ReadIndex => match node {
                Some(node) => {
                    let read = node.read_index_here().await;
                    let wall = node.agreed_wall().await;
                    Response::ReadIndex(read.map(|index| (index, wall)))
                }
                None => not_yet(),
            },
            Request::Service(bytes) => match (self.service.get().and_then(Weak::upgrade), caller) {
                (Some(service), Some(caller)) => {
                    Response::Service(service.call(caller, bytes).await)
                }
                _ => not_yet(),
            },
            Request::Change(change) => match node {
                Some(node) => Response::Changed(node.change_here(change).await),
                None => not_yet(),
            },
            Request::Retire => match node {
                Some(node) => {
                    node.retire().await;
                    Response::Retired
                }
                None => not_yet(),
            },
            request => self.raft_request(request, session).await,
        }
    }
}

/// The node whose vote a request carries.
fn spoken_for(request: &Request) -> Option<NodeId> {
    let vote = match request {
        Request::Append(request) => &request.vote,
        Request::Vote(request) => &request.vote,
        Request::Snapshot { vote, .. } => vote,
        _ => return None,
    };
    vote.leader_id().voted_for()
}

impl Handler for Front {
    fn admit(&self, peer: &Hello) -> Result<(), String> {
        let identity = self.identity.borrow().clone();
        let strangers = !peer.cluster.is_empty()
            && !identity.cluster.is_empty()
            && peer.cluster != identity.cluster;
        if strangers {
            return Err(format!("`{}` belongs to another cluster than this node", peer.name));
        }
        let known = peer.node.and_then(|node| self.member(node));
        match known {
            _ if is_planted(Planted::WipedNodeVotes) => Ok(()),
            // Who was dismissed is told so in answer to whatever it asks.
            Some(known) if known.disk != peer.disk && !self.was_dismissed(peer) => Err(format!(
                "`{}` came back with another disk than it was taken in with: remove it and add \
                 it anew",
                peer.name
            )),
            _ => Ok(()),
        }
    }

    fn handle<'a>(&'a self, request: Request, session: &'a mut Session) -> Handling<'a> {
        Box::pin(self.answer(request, session))
    }
}

/// Writes a snapshot that a leader sends aside, and checks that it is what it is said to be.
async fn receive_snapshot(
    session: &mut Session,
    path: &Path,
    meta: &Meta<NodeId, Peer>,
    bytes: u64,
) -> Result<(), Error> {
    let began = Instant::now();
    let mut file = std::fs::File::create_new(path).map_err(Error::file(path))?;
    let mut left = bytes;
    while left > 0 {
        let receiving = tokio::time::timeout(CHUNK_TIME, session.receive_bytes());
        let late = || Err(std::io::ErrorKind::TimedOut.into());
        let chunk = receiving.await.unwrap_or_else(|_| late()).map_err(Error::file(path))?;
        left = left.saturating_sub(chunk.len() as u64);
        // Synced bit by bit: the log's own syncs must not stall behind one large one.
        let written = blocking(|| file.write_all(&chunk).and_then(|()| file.sync_data()));
        written.map_err(Error::file(path))?;
    }
    let (ms, index) = (began.elapsed().as_millis() as u64, meta.last_log_id.map(|id| id.index));
    tracing::info!(bytes, index, ms, "snapshot received from the leader");
    blocking(|| check_received(meta, path))
}

async fn install(
    raft: &Raft,
    vote: Vote,
    meta: Meta<NodeId, Peer>,
    file: SnapshotFile,
) -> Response {
    let snapshot = Snapshot { meta, snapshot: Box::new(file) };
    match raft.install_full_snapshot(vote, snapshot).await {
        Ok(response) => Response::Snapshot(response.vote),
        Err(error) => Response::Refused(error.to_string()),
    }
}
