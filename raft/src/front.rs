//! What this node answers its peers.
//!
//! It is there before the node belongs to a cluster: then it answers who it is and takes an
//! invitation. Once raft runs, openraft's messages, forwarded commands and reads go to it. Whoever
//! speaks for a cluster must be of this one, under the number and with the disk of a member or of an
//! admitted node ([`crate::acquaintance`]): a node that lost its disk never votes again under its
//! old number. A postman by itself is no member: of this node it gets what the service above has for
//! postmen, and nothing else.

use std::{
    collections::BTreeMap,
    io::Write,
    path::Path,
    sync::{Arc, OnceLock, Weak},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use notty_storage::rules;
use openraft::SnapshotMeta as Meta;
use tokio::sync::watch;

use crate::{
    acquaintance::Acquaintance,
    clock::Clock,
    data_dir::Identity,
    error::Error,
    log_store::blocking,
    node::Node,
    peers::{
        proof::Grade,
        protocol::{Invitation, PeerStatus, Request, Response, Standing, Word},
        server::{Admitting, Handler, Handling, Who},
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
    acquaintance: Acquaintance,
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
            acquaintance: Acquaintance::default(),
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
        self.acquaintance.open(raft, shared);
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

    /// The members, as far as this node knows them.
    pub(crate) fn members(&self) -> BTreeMap<NodeId, Peer> {
        self.acquaintance
            .members_or(&self.identity.borrow().inviters)
    }

    fn word(&self, node: NodeId, disk: &str) -> Word {
        self.acquaintance
            .word(node, disk, &self.identity.borrow().inviters)
    }

    /// Takes an invitation; says so only once it is written down, because the members count on this
    /// node from then on.
    async fn invited(&self, invitation: Invitation, by: &Hello) -> Response {
        if !invitation
            .members
            .values()
            .any(|member| member.disk == by.disk)
        {
            let what = "it takes no invitation from a node that is not among the members named";
            return Response::Refused(what.to_owned());
        }
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

    /// Looks up a peer that says which cluster it belongs to.
    async fn look_up(&self, peer: &Hello, grade: Grade) -> Result<Who, String> {
        let (cluster, is_postman) = (
            self.identity.borrow().cluster.clone(),
            peer.node.is_none() && peer.disk.is_empty(),
        );
        if grade == Grade::Postmen && !is_postman {
            return Err(format!(
                "`{}` speaks as a node and has proved cluster.postman_secret only, which is for \
                 postmen by themselves: set cluster.secret",
                peer.name
            ));
        }
        // Whoever belongs to nothing yet, or is called by a node that does not, looks around.
        if cluster.is_empty() || peer.cluster.is_empty() {
            return Ok(Who::Visitor);
        }
        if peer.cluster != cluster {
            return Err(format!(
                "`{}` belongs to another cluster than this node",
                peer.name
            ));
        }
        match peer.node {
            Some(node) => self.look_up_node(node, peer).await,
            None if is_postman => Ok(Who::Postman(peer.name.clone())),
            None => Ok(Who::Visitor),
        }
    }

    /// Looks up a peer that says it is a node of this cluster.
    async fn look_up_node(&self, node: NodeId, peer: &Hello) -> Result<Who, String> {
        if !rules::callers_are_looked_up() {
            return Ok(Who::Node);
        }
        let word = match (self.word(node, &peer.disk), self.acquaintance.member(node)) {
            (Word::Unknown, Some(_)) => {
                return Err(format!(
                    "`{}` came back with another disk than it was taken in with: remove it and \
                     add it anew",
                    peer.name
                ));
            }
            (Word::Unknown, None) => match self.node.get().and_then(Weak::upgrade) {
                Some(at) => {
                    let claimed = (node, peer.disk.as_str());
                    self.acquaintance
                        .ask(&at.peers, &self.members(), claimed)
                        .await
                }
                None => Word::Unknown,
            },
            (word, _) => word,
        };
        match word {
            Word::Known => Ok(Who::Node),
            Word::Dismissed => Ok(Who::Dismissed),
            Word::Unknown => Err(format!(
                "`{}` says that it is node {node} of this cluster, and its number and disk are \
                 those of no member and no admitted node",
                peer.name
            )),
        }
    }

    async fn raft_request(&self, request: Request, session: &mut Session) -> Response {
        if spoken_for(&request).is_some_and(|node| Some(node) != session.peer.node) {
            return Response::Refused("it takes no vote from anyone but who it is of".to_owned());
        }
        let Some((raft, shared)) = self.acquaintance.raft() else {
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
        let Some((raft, _)) = self.acquaintance.raft() else {
            return PeerStatus {
                wall,
                has_say,
                ..PeerStatus::default()
            };
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
    fn may_ask(who: &Who, peer: &Hello, request: &Request) -> bool {
        match request {
            Request::Identify => true,
            // Nodes invite before they belong to the cluster themselves.
            Request::Form(_) | Request::Join(_) => match who {
                Who::Node => true,
                Who::Visitor => !peer.disk.is_empty(),
                Who::Postman(_) | Who::Dismissed => false,
            },
            Request::Service(_) => caller(who.clone()).is_some(),
            Request::Status
            | Request::Propose(_)
            | Request::ReadIndex
            | Request::Append(_)
            | Request::Vote(_)
            | Request::Snapshot { .. }
            | Request::Change(_)
            | Request::Retire
            | Request::Farewell
            | Request::Vouch { .. }
            | Request::Elect => *who == Who::Node,
        }
    }

    async fn answer(&self, who: Who, request: Request, session: &mut Session) -> Response {
        let not_yet = || Response::Refused("it is not ready yet".to_owned());
        if who == Who::Dismissed {
            return Response::Dismissed;
        }
        let node = self.node.get().and_then(Weak::upgrade);
        if !Self::may_ask(&who, &session.peer, &request) {
            return Response::Refused("only members of its cluster may ask this of it".to_owned());
        }
        match request {
            Request::Identify => {
                let identity = self.identity.borrow().clone();
                let cluster = Some(identity.cluster).filter(|cluster| !cluster.is_empty());
                let (name, disk) = (self.name.clone(), identity.disk);
                Response::Standing(Standing {
                    name,
                    disk,
                    cluster,
                })
            }
            Request::Form(invitation) | Request::Join(invitation) => {
                self.invited(invitation, &session.peer).await
            }
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
            Request::Service(bytes) => {
                match (self.service.get().and_then(Weak::upgrade), caller(who)) {
                    (Some(service), Some(caller)) => {
                        Response::Service(service.call(caller, bytes).await)
                    }
                    _ => not_yet(),
                }
            }
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
            Request::Farewell => match node {
                Some(node) if node.ask_whether_let_go().await => Response::Retired,
                Some(_) => Response::Refused("no member says that it was taken out".to_owned()),
                None => not_yet(),
            },
            Request::Vouch { node, disk } => Response::Vouched(self.word(node, &disk)),
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

/// The caller, as the service above sees it, if it sees it at all.
fn caller(who: Who) -> Option<Caller> {
    match who {
        Who::Node => Some(Caller::Node),
        Who::Postman(name) => Some(Caller::Postman(name)),
        Who::Visitor | Who::Dismissed => None,
    }
}

impl Handler for Front {
    fn admit<'a>(&'a self, peer: &'a Hello, grade: Grade) -> Admitting<'a> {
        Box::pin(self.look_up(peer, grade))
    }

    fn handle<'a>(&'a self, who: Who, request: Request, session: &'a mut Session) -> Handling<'a> {
        Box::pin(self.answer(who, request, session))
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
        let chunk = receiving
            .await
            .unwrap_or_else(|_| late())
            .map_err(Error::file(path))?;
        left = left.saturating_sub(chunk.len() as u64);
        // Synced bit by bit: the log's own syncs must not stall behind one large one.
        let written = blocking(|| file.write_all(&chunk).and_then(|()| file.sync_data()));
        written.map_err(Error::file(path))?;
    }
    let (ms, index) = (
        began.elapsed().as_millis() as u64,
        meta.last_log_id.map(|id| id.index),
    );
    tracing::info!(bytes, index, ms, "snapshot received from the leader");
    blocking(|| check_received(meta, path))
}

async fn install(
    raft: &Raft,
    vote: Vote,
    meta: Meta<NodeId, Peer>,
    file: SnapshotFile,
) -> Response {
    let snapshot = Snapshot {
        meta,
        snapshot: Box::new(file),
    };
    match raft.install_full_snapshot(vote, snapshot).await {
        Ok(response) => Response::Snapshot(response.vote),
        Err(error) => Response::Refused(error.to_string()),
    }
}
