//! What this node answers its peers.
//!
//! It is there before the node belongs to a cluster: then it answers who it is and takes an
//! invitation. Once raft runs, openraft's messages, forwarded commands and reads go to it. Whoever
//! speaks for a cluster must be of this one, and a member must have the disk it was taken in with:
//! a node that lost its disk never votes again under its old number.

use std::{
    io::Write,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use futures_util::future::BoxFuture;
use notty_storage::planted::{Planted, is_planted};
use openraft::SnapshotMeta as Meta;
use parking_lot::Mutex;
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
    state_machine::Shared,
    types::{NodeId, Peer, Raft, Snapshot, SnapshotFile, Vote},
};

/// How long the next piece of a snapshot may take to come.
const CHUNK_TIME: Duration = Duration::from_secs(20);

/// What the service above answers to calls that it alone understands.
pub trait Service: Send + Sync + 'static {
    /// Answers one call.
    fn call(&self, request: Vec<u8>) -> BoxFuture<'_, Vec<u8>>;
}

/// The front of a node.
pub(crate) struct Front {
    name: String,
    identity: Mutex<Identity>,
    invitations: watch::Sender<Option<Invitation>>,
    raft: OnceLock<(Raft, Arc<Shared>)>,
    node: OnceLock<Weak<Node>>,
    service: OnceLock<Weak<dyn Service>>,
    clock: Arc<dyn Clock>,
}

impl Front {
    pub(crate) fn new(name: &str, identity: Identity, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            identity: Mutex::new(identity),
            invitations: watch::Sender::new(None),
            raft: OnceLock::new(),
            node: OnceLock::new(),
            service: OnceLock::new(),
            clock,
        })
    }

    /// Invitations that came.
    pub(crate) fn invitations(&self) -> watch::Receiver<Option<Invitation>> {
        self.invitations.subscribe()
    }

    /// The node is this from now on.
    pub(crate) fn identify(&self, identity: &Identity) {
        *self.identity.lock() = identity.clone();
    }

    /// Raft runs from now on.
    pub(crate) fn open_raft(&self, raft: Raft, shared: Arc<Shared>) {
        let _ = self.raft.set((raft, shared));
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

    fn invited(&self, invitation: Invitation) -> Response {
        let identity = self.identity.lock().clone();
        let same = identity.cluster == invitation.cluster && identity.node == invitation.node;
        if !identity.cluster.is_empty() && !same {
            let what = "it belongs to another cluster already, or is another node of it; only an \
                        empty data directory can be taken in";
            return Response::Refused(what.to_owned());
        }
        self.invitations.send_replace(Some(invitation));
        Response::Welcome
    }

    async fn raft_request(&self, request: Request, session: &mut Session) -> Response {
        let identity = self.identity.lock().clone();
        if session.peer.node.is_none() || session.peer.cluster != identity.cluster {
            return Response::Refused("only members of its cluster may talk raft to it".into());
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
                match receive_snapshot(session, shared, &meta, bytes).await {
                    Ok(file) => install(raft, vote, meta, file).await,
                    Err(error) => Response::Refused(error.to_string()),
                }
            }
            Request::Elect => match raft.trigger().elect().await {
                Ok(()) => Response::Stands,
                Err(error) => Response::Refused(error.to_string()),
            },
            _ => Response::Refused("that is not raft".to_owned()),
        }
    }

    fn status(&self) -> PeerStatus {
        let wall = self.clock.wall();
        let Some((raft, _)) = self.raft.get() else {
            return PeerStatus { wall, ..PeerStatus::default() };
        };
        let metrics = raft.metrics();
        let metrics = metrics.borrow();
        PeerStatus {
            last_index: metrics.last_log_index.unwrap_or(0),
            applied_index: metrics.last_applied.map_or(0, |applied| applied.index),
            wall,
        }
    }

    async fn answer(&self, request: Request, session: &mut Session) -> Response {
        let not_yet = || Response::Refused("it is not ready yet".to_owned());
        let node = self.node.get().and_then(Weak::upgrade);
        match request {
            Request::Identify => {
                let identity = self.identity.lock().clone();
                let cluster = Some(identity.cluster).filter(|cluster| !cluster.is_empty());
                let (name, disk) = (self.name.clone(), identity.disk);
                Response::Standing(Standing { name, disk, cluster })
            }
            Request::Form(invitation) | Request::Join(invitation) => self.invited(invitation),
            Request::Status => Response::Status(self.status()),
            Request::Propose(command) => match node {
                Some(node) => Response::Proposed(node.propose_here(command).await),
                None => not_yet(),
            },
            Request::ReadIndex => match node {
                Some(node) => {
                    let read = node.read_index_here().await;
                    Response::ReadIndex(read.map(|index| (index, self.clock.wall())))
                }
                None => not_yet(),
            },
            Request::Service(bytes) => match self.service.get().and_then(Weak::upgrade) {
                Some(service) => Response::Service(service.call(bytes).await),
                None => not_yet(),
            },
            request => self.raft_request(request, session).await,
        }
    }
}

impl Handler for Front {
    fn admit(&self, peer: &Hello) -> Result<(), String> {
        let identity = self.identity.lock();
        let strangers = !peer.cluster.is_empty()
            && !identity.cluster.is_empty()
            && peer.cluster != identity.cluster;
        drop(identity);
        if strangers {
            return Err(format!("`{}` belongs to another cluster than this node", peer.name));
        }
        let known = peer.node.and_then(|node| self.member(node));
        match known {
            Some(known) if known.disk != peer.disk && !is_planted(Planted::WipedNodeVotes) => {
                Err(format!(
                    "`{}` came back with another disk than it was taken in with: remove it and add \
                 it anew",
                    peer.name
                ))
            }
            _ => Ok(()),
        }
    }

    fn handle<'a>(&'a self, request: Request, session: &'a mut Session) -> Handling<'a> {
        Box::pin(self.answer(request, session))
    }
}

/// Writes a snapshot that a leader sends aside.
async fn receive_snapshot(
    session: &mut Session,
    shared: &Shared,
    meta: &Meta<NodeId, Peer>,
    bytes: u64,
) -> Result<SnapshotFile, Error> {
    let path = shared.snapshot_aside(&meta.snapshot_id);
    let mut file = std::fs::File::create(&path).map_err(Error::file(&path))?;
    let mut left = bytes;
    while left > 0 {
        let receiving = tokio::time::timeout(CHUNK_TIME, session.receive_bytes());
        let late = || Err(std::io::ErrorKind::TimedOut.into());
        let chunk = receiving.await.unwrap_or_else(|_| late()).map_err(Error::file(&path))?;
        left = left.saturating_sub(chunk.len() as u64);
        // Synced bit by bit: the log's own syncs must not stall behind one large one.
        let written = blocking(|| file.write_all(&chunk).and_then(|()| file.sync_data()));
        written.map_err(Error::file(&path))?;
    }
    Ok(SnapshotFile { path })
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
