//! Admission: who a peer is, which calls it may make, and whose votes count.
//!
//! This is the one place that decides who takes part. A peer of a cluster must be of this one, under
//! the number and with the disk of a member or of an admitted node: a node that lost its disk never
//! votes again under its old number. A standalone postman is no member: it may call the program above
//! ([`super::service`]), and what everybody may call. Each call declares its callers in
//! [`crate::peers::protocol`].

use std::sync::Arc;

use notty_storage::rules;
use tokio::sync::watch;

use crate::{
    disk::data_dir::Identity,
    front::{
        acquaintance::{self, Claim, Words},
        responder::{NodePlace, Responder},
    },
    peers::{
        call::{Callers, Denial},
        proof::Grade,
        protocol::{PeerCall, Word},
        server::Who,
        session::Hello,
    },
    types::NodeId,
};

/// Decides about peers, on every call anew: members change while sessions last.
pub(super) struct Gatekeeper {
    own: watch::Receiver<Identity>,
    place: Arc<NodePlace>,
    words: Words,
}

impl Gatekeeper {
    pub(super) fn new(own: watch::Receiver<Identity>, place: Arc<NodePlace>) -> Self {
        Self {
            own,
            place,
            words: Words::default(),
        }
    }

    /// Finds out who a peer is; the error is the reason why it may not speak at all.
    pub(super) async fn admit(&self, peer: &Hello, grade: Grade) -> Result<Who, String> {
        let is_postman = peer.node.is_none() && peer.disk.is_empty();
        if grade == Grade::Postmen && !is_postman {
            return Err(format!(
                "`{}` speaks as a node and has proved cluster.postman_secret only, which is for \
                 standalone postmen: set cluster.secret",
                peer.name
            ));
        }

        // While either side has no cluster yet, the peer can only look around.
        let cluster = self.own.borrow().cluster.clone();
        if cluster.is_empty() || peer.cluster.is_empty() {
            return Ok(Who::Visitor);
        }
        if peer.cluster != cluster {
            // A restored cluster is a new one, and a postman stays with the one that it found first.
            let way_out = if is_postman {
                "; if this one was restored from a backup, restart the postman"
            } else {
                ""
            };
            return Err(format!(
                "`{}` belongs to another cluster than this node{way_out}",
                peer.name
            ));
        }

        match peer.node {
            Some(node) => self.look_up_node(node, peer).await,
            None if is_postman => Ok(Who::Postman(peer.name.clone())),
            None => Ok(Who::Visitor),
        }
    }

    /// Looks up a peer that claims to be a node of this cluster.
    async fn look_up_node(&self, node: NodeId, peer: &Hello) -> Result<Who, String> {
        // Always looked up, except by a simulation that leaves the rule out.
        if !rules::callers_are_looked_up() {
            return Ok(Who::Node);
        }

        let claim = Claim {
            node,
            disk: peer.disk.clone(),
        };
        let mut word = self.word(&claim);
        if word == Word::Unknown
            && let Some(here) = self.place.get()
        {
            let members = here.members();
            if members.contains_key(&node) {
                return Err(format!(
                    "`{}` came back with another disk than it was taken in with: remove it and \
                     add it anew",
                    peer.name
                ));
            }
            // This node may lag behind the change that took the peer in; a member may know it.
            word = self.ask_members(&*here, claim).await;
        }

        // A removed node is let in, so that it learns of its removal.
        match word {
            Word::Known => Ok(self.by_level(peer)),
            Word::Dismissed => Ok(Who::Dismissed),
            Word::Unknown => Err(format!(
                "`{}` says that it is node {node} of this cluster, and its number and disk are \
                 those of no member and no admitted node",
                peer.name
            )),
        }
    }

    /// A node of the cluster, unless its version is too old for it.
    fn by_level(&self, peer: &Hello) -> Who {
        let agreed = self.place.get().map(|here| here.cluster_level());
        match agreed.filter(|agreed| agreed.level() > peer.level) {
            None => Who::Node,
            Some(agreed) => Who::Outdated(format!(
                "`{}` runs notty {}, which understands level {}, and the cluster stands at level {} \
                 since notty {}: install that version, or a later one",
                peer.name,
                peer.version,
                peer.level,
                agreed.level(),
                agreed.version
            )),
        }
    }

    /// Looks a claim up in what this node knows by itself.
    pub(super) fn word(&self, claim: &Claim) -> Word {
        let here = self.place.get();
        let inviters = self.own.borrow().inviters.clone();
        acquaintance::word(here.as_deref(), claim, &inviters)
    }

    async fn ask_members(&self, here: &dyn Responder, claim: Claim) -> Word {
        let mut members = here.members();
        if members.is_empty() {
            members = self.own.borrow().inviters.clone();
        }
        self.words.ask(here.peers(), &members, claim).await
    }
}

/// Permits a call, or returns the reason why this peer may not make it.
pub(super) fn permit<C: PeerCall>(who: &Who, peer: &Hello, call: &C) -> Result<(), Denial> {
    // A removed node learns of it in answer to whatever it asks.
    if *who == Who::Dismissed {
        return Err(Denial::Dismissed);
    }
    if let Who::Outdated(why) = who {
        return Err(Denial::Outdated(why.clone()));
    }
    if !may_make(C::CALLERS, who, peer) {
        return Err(Denial::refused(
            "only members of its cluster may ask this of it",
        ));
    }

    let voter = call.voter();
    if voter.is_some() && voter != peer.node {
        return Err(Denial::refused(
            "vote rejected: it belongs to another node than the caller",
        ));
    }
    Ok(())
}

fn may_make(callers: Callers, who: &Who, peer: &Hello) -> bool {
    match callers {
        Callers::Everybody => true,
        Callers::Nodes => *who == Who::Node,
        Callers::NodesAndPostmen => matches!(who, Who::Node | Who::Postman(_)),
        // Nodes invite before they belong to the cluster themselves.
        Callers::Founders => *who == Who::Node || (*who == Who::Visitor && !peer.disk.is_empty()),
    }
}
