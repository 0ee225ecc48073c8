//! A node comes to belong to a cluster: by forming it with the others, once, or by being taken in.
//!
//! A cluster is formed when all nodes that are expected answer and all are empty. The first of them
//! by name founds it: it writes down the cluster's id and the numbers of all nodes, invites the
//! others, and only then lets raft begin. It may die at any moment and does the same again. A node with
//! an empty directory whose peers belong to a cluster already waits to be taken in: it must not vote
//! under a number that it had before it lost its disk.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use notty_storage::rules;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    cluster::waiting::WaitingReason,
    disk::{data_dir::Identity, own_identity::OwnIdentity},
    error::Error,
    front::invitations::Invitations,
    peers::{
        call::CallError,
        client::Peers,
        protocol::{Identify, Invitation, Invite, Standing},
    },
    types::{NodeId, Peer},
};

/// Between two looks at the peers.
const LOOK: Duration = Duration::from_millis(300);
/// Time limit of a peer for its answer.
const ANSWER: Duration = Duration::from_secs(2);

/// Nodes that are to form a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// This node, as it is configured.
    pub(crate) me: Peer,
    /// All nodes that are configured, this one among them.
    pub(crate) nodes: Vec<Peer>,
    /// The least number of nodes that form the cluster. All that are configured must be there.
    pub(crate) count: usize,
}

impl Expected {
    /// True if this node is the one that founds the cluster: the first by name.
    pub(crate) fn is_founder(&self) -> bool {
        self.nodes.iter().map(|node| &node.name).min() == Some(&self.me.name)
    }

    /// The number that this node gets in a cluster that is formed of these nodes.
    fn my_place(&self) -> Option<NodeId> {
        let mut names: Vec<_> = self.nodes.iter().map(|node| &node.name).collect();
        names.sort();
        let mut numbered = (1..).zip(names);
        let mine = numbered.find(|(_, name)| **name == self.me.name);
        mine.map(|(number, _)| number)
    }

    fn others(&self) -> impl Iterator<Item = &Peer> {
        let others = self.nodes.iter();
        others.filter(|peer| peer.name != self.me.name)
    }
}

/// The first members, if this node founded the cluster and raft must begin with them.
pub(crate) type Founders = BTreeMap<NodeId, Peer>;

/// Waits until this node belongs to a cluster.
pub(crate) async fn become_member(
    own: &OwnIdentity,
    invitations: &Invitations,
    peers: &Peers,
    expected: &Expected,
    waiting: &WaitingReason,
) -> Result<Option<Founders>, Error> {
    let mut invitations = invitations.subscribe();
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);

    loop {
        // An invitation counts before anything else: its sender has written the number down.
        let invited = invitations.borrow_and_update().clone();
        if let Some(invitation) = invited {
            own.change(|identity| accept(invitation, identity))?;
            return Ok(None);
        }

        let identity = own.current();
        if !rules::empty_disk_waits()
            && let Some((cluster, node)) = take_place(peers, expected).await
        {
            own.change(|identity| (identity.cluster, identity.node) = (cluster, node))?;
            return Ok(None);
        }

        match look_round(peers, expected, &identity).await {
            Ok(members) if expected.is_founder() => {
                if found(own, peers, &members).await? {
                    return Ok(Some(members));
                }
            }
            // The founder invites this node.
            Ok(_) => {}
            Err(why) => waiting.note(&why),
        }

        tokio::select! {
            _ = ticks.tick() => {}
            _ = invitations.changed() => {}
        }
    }
}

/// Gives this node the cluster and the number of an invitation.
fn accept(invitation: Invitation, identity: &mut Identity) {
    identity.cluster = invitation.cluster;
    identity.node = invitation.node;
    identity.inviters = invitation.members;
}

/// The cluster and the number that this node had before it lost its disk. Only a simulation that
/// leaves the rule out takes them.
async fn take_place(peers: &Peers, expected: &Expected) -> Option<(String, NodeId)> {
    let place = expected.my_place()?;
    for peer in expected.others() {
        let standing = identify(peers, &peer.peer).await.ok();
        if let Some(cluster) = standing.and_then(|standing| standing.cluster) {
            return Some((cluster, place));
        }
    }
    None
}

/// Nodes that could form a cluster now, by the numbers that they would have; or the reason why none
/// can be formed.
async fn look_round(
    peers: &Peers,
    expected: &Expected,
    identity: &Identity,
) -> Result<Founders, String> {
    let count = expected.count;
    let mut found = vec![Peer {
        disk: identity.disk.clone(),
        ..expected.me.clone()
    }];
    let mut missing = Vec::new();
    let others: Vec<_> = expected.others().collect();
    let asking = others.iter().map(|peer| identify(peers, &peer.peer));
    for (peer, answer) in others.iter().zip(join_all(asking).await) {
        match answer {
            Ok(there) => found.push(founder(peer, there, expected, identity)?),
            Err(error) => missing.push(missing_text(peer, &error)),
        }
    }

    if !missing.is_empty() {
        let there = found.len();
        let listed = there + missing.len();
        let missing = missing.join("; ");
        return Err(format!("{there} of {listed} nodes are there; {missing}"));
    }
    if found.len() < count {
        return Err(format!("{} of {count} nodes are configured", found.len()));
    }
    // All nodes count by name, so that a founder that begins again gives the same numbers.
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((1..).zip(found).collect())
}

/// A node that is not there, by name and address, and the reason.
fn missing_text(peer: &Peer, error: &CallError) -> String {
    let Peer { name, peer, .. } = peer;
    format!("`{name}` at {peer} {}", error.reason())
}

/// Checks that the node that answers may form a cluster as the configured peer.
fn founder(
    peer: &Peer,
    there: Standing,
    expected: &Expected,
    identity: &Identity,
) -> Result<Peer, String> {
    if there.name != peer.name {
        let address = &peer.peer;
        return Err(format!(
            "{address} is `{}`, not `{}`",
            there.name, peer.name
        ));
    }

    // A founder that died on the way finds the cluster that it began itself.
    let is_elsewhere = there
        .cluster
        .is_some_and(|cluster| cluster != identity.cluster);
    if is_elsewhere {
        return Err(waits_to_be_added(&expected.me.name, &peer.name));
    }
    Ok(Peer {
        disk: there.disk,
        ..peer.clone()
    })
}

/// The reason why an empty node does not join a cluster that a peer belongs to.
fn waits_to_be_added(me: &str, member: &str) -> String {
    format!(
        "`{member}` belongs to a cluster already, and this data directory is empty; waiting to be \
         taken in by `notty cluster add {me} …`, run against any of its nodes. If {me} was a member, \
         put its data back, or first `notty cluster remove {me}`: no node takes part under a name that \
         had another disk"
    )
}

/// Asks the node at an address who it is.
pub(crate) async fn identify(peers: &Peers, address: &str) -> Result<Standing, CallError> {
    peers.call(address, Identify, ANSWER).await
}

/// Founds the cluster: invites all others. False if one could not be invited, which is tried again.
async fn found(own: &OwnIdentity, peers: &Peers, members: &Founders) -> Result<bool, Error> {
    let identity = write_down(own, members)?;
    let others = members
        .iter()
        .filter(|(_, peer)| peer.disk != identity.disk);
    for (number, peer) in others {
        let invitation = Invitation {
            cluster: identity.cluster.clone(),
            node: *number,
            members: members.clone(),
        };
        let inviting = peers.call(&peer.peer, Invite(invitation), ANSWER);
        if let Err(error) = inviting.await {
            // Those that were invited already wait: the next try invites them to the same cluster.
            tracing::warn!("`{}` could not be invited: {error}", peer.name);
            return Ok(false);
        }
    }

    let count = members.len();
    let cluster = identity.cluster;
    tracing::info!(cluster.id = cluster, "a cluster of {count} nodes is formed");
    Ok(true)
}

/// Writes down a new cluster before anybody is invited to it: whatever happens then, the next try
/// invites to the same cluster.
fn write_down(own: &OwnIdentity, members: &Founders) -> Result<Identity, Error> {
    let identity = own.current();
    if !identity.cluster.is_empty() {
        return Ok(identity);
    }

    let mut numbers = members.iter();
    let mine = numbers.find(|(_, peer)| peer.disk == identity.disk);
    let founding = Invitation {
        cluster: uuid::Uuid::new_v4().to_string(),
        node: mine.map_or(0, |(node, _)| *node),
        members: members.clone(),
    };
    own.change(|identity| accept(founding, identity))
}
