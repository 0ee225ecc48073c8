//! How a node comes to belong to a cluster: by forming it with the others, once, or by being
//! taken in.
//!
//! A cluster is formed when all nodes that are expected answer and all are empty. The first of them
//! by name founds it: it writes down the cluster's id and who has which number, invites the others,
//! and only then lets raft begin. It may die at any moment and does the same again. A node with an
//! empty directory whose peers belong to a cluster already waits to be taken in: it must not vote
//! under a number that it had before it lost its disk.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use notty_storage::rules;

use crate::{
    data_dir::{DataDir, Identity},
    error::Error,
    front::Front,
    peers::{
        client::{CallError, Peers},
        protocol::{Invitation, Request, Response, Standing},
    },
    types::{NodeId, Peer},
};

/// Between two looks at the peers.
const LOOK: Duration = Duration::from_millis(300);
/// How long a peer may take to answer.
const ANSWER: Duration = Duration::from_secs(2);

/// Who is to form a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// This node.
    pub(crate) me: Peer,
    /// All nodes that are configured, this one among them.
    pub(crate) nodes: Vec<Peer>,
    /// How many form the cluster.
    pub(crate) count: usize,
}

/// What a node became.
pub(crate) struct Became {
    pub(crate) identity: Identity,
    /// The first members, if this node founded the cluster and raft must begin with them.
    pub(crate) founders: Option<BTreeMap<NodeId, Peer>>,
}

/// Waits until this node belongs to a cluster.
pub(crate) async fn become_member(
    data_dir: &DataDir,
    front: &Arc<Front>,
    peers: &Arc<Peers>,
    expected: &Expected,
    mut identity: Identity,
) -> Result<Became, Error> {
    let mut invitations = front.invitations();
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        let invited = invitations.borrow_and_update().clone();
        if let Some(Invitation {
            cluster,
            node,
            members,
        }) = invited
        {
            identity = Identity {
                cluster,
                node,
                inviters: members,
                ..identity
            };
            data_dir.keep(&identity)?;
            front.identify(&identity);
            return Ok(Became {
                identity,
                founders: None,
            });
        }
        if !rules::empty_disk_waits()
            && let Some(identity) = take_place(peers, expected, &identity).await
        {
            data_dir.keep(&identity)?;
            front.identify(&identity);
            return Ok(Became {
                identity,
                founders: None,
            });
        }
        match look_round(peers, expected, &identity).await {
            Ok(members) if is_founder(expected) => {
                let founded = found(data_dir, front, peers, &mut identity, &members).await?;
                if founded {
                    return Ok(Became {
                        identity,
                        founders: Some(members),
                    });
                }
            }
            Ok(_) => {}
            Err(why) if why != told => {
                tracing::info!("not a member of a cluster yet: {why}");
                told = why;
            }
            Err(_) => {}
        }
        tokio::select! {
            _ = ticks.tick() => {}
            _ = invitations.changed() => {}
        }
    }
}

/// The place that this node had before it lost its disk. Only a simulation that leaves the rule out
/// takes it.
async fn take_place(peers: &Peers, expected: &Expected, identity: &Identity) -> Option<Identity> {
    let mut names: Vec<_> = expected.nodes.iter().map(|node| &node.name).collect();
    names.sort();
    let node = names.iter().position(|name| **name == expected.me.name)? as NodeId + 1;
    for peer in expected
        .nodes
        .iter()
        .filter(|peer| peer.name != expected.me.name)
    {
        let standing = identify(peers, &peer.peer).await.ok();
        if let Some(cluster) = standing.and_then(|standing| standing.cluster) {
            return Some(Identity {
                cluster,
                node,
                ..identity.clone()
            });
        }
    }
    None
}

pub(crate) fn is_founder(expected: &Expected) -> bool {
    expected.nodes.iter().map(|node| &node.name).min() == Some(&expected.me.name)
}

/// Who could form a cluster now, by the numbers that they would have; or why nobody can.
async fn look_round(
    peers: &Peers,
    expected: &Expected,
    identity: &Identity,
) -> Result<BTreeMap<NodeId, Peer>, String> {
    let mut found = vec![Peer {
        disk: identity.disk.clone(),
        ..expected.me.clone()
    }];
    for peer in expected
        .nodes
        .iter()
        .filter(|peer| peer.name != expected.me.name)
    {
        let standing = identify(peers, &peer.peer).await.map_err(|error| {
            format!(
                "{} of {} nodes are there: {error}",
                found.len(),
                expected.count
            )
        })?;
        if standing.name != peer.name {
            let (there, wanted) = (&standing.name, &peer.name);
            return Err(format!("{} is `{there}`, not `{wanted}`", peer.peer));
        }
        match standing.cluster {
            Some(cluster) if cluster != identity.cluster => {
                return Err(format!(
                    "`{}` belongs to a cluster already, and this data directory is empty; waiting to \
                     be taken in by `notty cluster add {me} …`, said to any of its nodes. If {me} was \
                     a member, put its data back, or first `notty cluster remove {me}`: nobody takes \
                     part under a name that had another disk",
                    peer.name,
                    me = expected.me.name
                ));
            }
            _ => found.push(Peer {
                disk: standing.disk,
                ..peer.clone()
            }),
        }
    }
    if found.len() < expected.count {
        return Err(format!(
            "{} of {} nodes are configured",
            found.len(),
            expected.count
        ));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((1..).zip(found).collect())
}

pub(crate) async fn identify(peers: &Peers, address: &str) -> Result<Standing, CallError> {
    match peers.call(address, &Request::Identify, ANSWER).await? {
        Response::Standing(standing) => Ok(standing),
        _ => Err(CallError::Refused {
            address: address.to_owned(),
            what: "it did not say who it is".to_owned(),
        }),
    }
}

/// Invites all others; false if one could not be invited, which is tried again.
async fn found(
    data_dir: &DataDir,
    front: &Front,
    peers: &Peers,
    identity: &mut Identity,
    members: &BTreeMap<NodeId, Peer>,
) -> Result<bool, Error> {
    let mine = members.iter().find(|(_, peer)| peer.disk == identity.disk);
    let node = mine.map_or(0, |(node, _)| *node);
    if identity.cluster.is_empty() {
        // Written down first: whatever happens now, the next try invites to the same cluster.
        identity.cluster = uuid::Uuid::new_v4().to_string();
        identity.node = node;
        identity.inviters = members.clone();
        data_dir.keep(identity)?;
        front.identify(identity);
    }
    for (number, peer) in members.iter().filter(|(number, _)| **number != node) {
        let invitation = Invitation {
            cluster: identity.cluster.clone(),
            node: *number,
            members: members.clone(),
        };
        if let Err(error) = peers
            .call(&peer.peer, &Request::Form(invitation), ANSWER)
            .await
        {
            tracing::warn!("`{}` could not be invited: {error}", peer.name);
            return Ok(false);
        }
    }
    tracing::info!(
        cluster.id = identity.cluster,
        "a cluster of {} nodes is formed",
        members.len()
    );
    Ok(true)
}
