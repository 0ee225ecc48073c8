//! The nodes of the cluster, and the requests that add and remove one.

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use notty_raft::{Change, ChangeError, Sight};
use notty_storage::model::PostmanName;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::seen::{CHANGE_UNKNOWN, LOOK_PAUSE, SEEN_TIME, await_seen};
use crate::{
    address::{HostPort, HttpUrl},
    api::{
        Api, ApiError, ApiResult,
        code::Code,
        endpoint::{Effect, Endpoint, Takes, endpoint},
        input::{JsonBody, Params, PathId},
    },
    config::Role,
};

/// One node of the cluster.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct NodeBody {
    /// Name of the node.
    #[schema(example = "notty-0")]
    name: String,
    /// Address for its peers; empty on a node by itself.
    #[schema(example = "127.0.0.1:7080")]
    peer: String,
    /// URL for its clients.
    #[schema(example = "http://127.0.0.1:8080")]
    api: String,
    /// Its role: `leader`, `voter` or `learner`.
    #[schema(example = "leader")]
    role: String,
    /// True if the node that was asked reaches it.
    #[schema(example = true)]
    reachable: bool,
    /// The reason why the node that was asked does not reach it; null if it does.
    #[schema(example = "cannot be reached: Connection refused")]
    reason: Option<String>,
    /// Last position of its log, as far as the node that was asked knows.
    #[schema(example = 1234)]
    last_index: u64,
    /// Position that its state reflects, as far as the node that was asked knows.
    #[schema(example = 1234)]
    applied_index: u64,
    /// Version of notty that it runs; null while it does not answer.
    #[schema(example = "0.2.0")]
    version: Option<String>,
}

/// Addresses of a node that is to be added.
#[derive(Deserialize, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body, which is parsed field by field"
)]
pub(in crate::api) struct NodeInput {
    /// Address for its peers: host and port.
    #[schema(example = "10.0.0.4:7080")]
    peer: String,
    /// URL for its clients.
    #[schema(example = "http://10.0.0.4:8080")]
    api: String,
}

impl From<Sight> for NodeBody {
    fn from(seen: Sight) -> Self {
        let member = seen.member;
        let role = match (member.leader, member.voter) {
            (true, _) => "leader",
            (false, true) => "voter",
            (false, false) => "learner",
        };

        Self {
            name: member.peer.name,
            peer: member.peer.peer,
            api: member.peer.api,
            role: role.to_owned(),
            reachable: seen.reachable,
            reason: seen.reason,
            last_index: seen.last_index,
            applied_index: seen.applied_index,
            // Empty while the node does not answer.
            version: Some(seen.version).filter(|version| !version.is_empty()),
        }
    }
}

pub(super) fn route_of_add() -> Endpoint {
    endpoint!(add, Role::Admin, Effect::ChangesCluster)
        .takes(Takes::Json)
        .codes(&[
            Code::InvalidAddress,
            Code::InvalidUrl,
            Code::InvalidName,
            Code::Missing,
            Code::WrongType,
            Code::NodeExists,
            Code::NodeUnreachable,
            Code::NodeNotEmpty,
            Code::Refused,
            Code::ChangeUnderWay,
        ])
        // The only 404 here: a node that nobody knows is what this route adds.
        .says(
            Code::NotFound,
            "the name in the path is not UTF-8",
            "no thing is there with this id",
        )
        .says(Code::OutcomeUnknown, CHANGE_UNKNOWN, CHANGE_UNKNOWN)
}

pub(super) fn route_of_remove() -> Endpoint {
    endpoint!(remove, Role::Admin, Effect::ChangesCluster)
        .codes(&[
            Code::NoMajority,
            Code::LastVoter,
            Code::NotTransferred,
            Code::NodeExists,
            Code::Refused,
            Code::ChangeUnderWay,
        ])
        .says(
            Code::NotFound,
            "no node of the cluster has this name",
            "no node of the cluster is called `notty-3`",
        )
        .says(
            Code::NodeExists,
            "the leader has a new name now, and another node has the same name",
            "`notty-1` is a node of the cluster already, with another disk or at another \
             address; if its disk is lost, remove it first: notty cluster remove notty-1",
        )
        .says(Code::OutcomeUnknown, CHANGE_UNKNOWN, CHANGE_UNKNOWN)
}

/// Add a node to the cluster
///
/// The node must run, with the cluster's secret, under this name, and with an empty data directory. It
/// is added as a learner, and becomes a voter once it has caught up. If that takes longer than ten
/// seconds, the answer has the role `learner`, and the node becomes a voter without a further request.
/// Needs the role `admin`. It is safe to repeat the request.
#[utoipa::path(put, path = "/cluster/nodes/{name}", tag = "node", operation_id = "addNode",
    params(("name" = String, Path, description = "The node's name", example = "notty-3")),
    request_body = NodeInput,
    responses((status = 200, body = NodeBody)))]
async fn add(
    State(api): State<Api>,
    PathId(name): PathId,
    params: Params,
    body: JsonBody,
) -> ApiResult {
    params.finish()?;
    let new_node = parse_node(name, body)?;
    let new_name = new_node.name.clone();
    api.node.change(Change::from(new_node)).await?;

    // The leader has made the change; the answer shows how this node sees the new one.
    match tokio::time::timeout(SEEN_TIME, sight_of(&api, &new_name)).await {
        Ok(node) => Ok(Json(node).into_response()),

        // The change is made, but this node has not seen it. A repeat is harmless.
        Err(_) => Err(ChangeError::Unknown.into()),
    }
}

/// A node that is to be added, as the request gives it.
struct NewNode {
    name: String,
    peer: String,
    api: String,
}

impl From<NewNode> for Change {
    fn from(node: NewNode) -> Self {
        Self::Add {
            name: node.name,
            peer: node.peer,
            api: node.api,
        }
    }
}

fn parse_node(name: String, body: JsonBody) -> Result<NewNode, ApiError> {
    let JsonBody { mut fields, .. } = body;

    // All are taken before any is checked, so that the answer lists the faults of all.
    let name = fields.parse("name", Some(name), PostmanName::parse);
    let peer = fields.text("peer");
    let api = fields.text("api");

    // Only the form is checked here; the change itself finds out if the node answers.
    if let Some(fault) = peer.as_deref().and_then(peer_fault) {
        fields.fault("peer", Code::InvalidAddress, &fault);
    }
    if let Some(Err(fault)) = api.as_deref().map(HttpUrl::parse) {
        let detail = format!("it {fault}; give a URL, like http://10.0.0.4:8080");
        fields.fault("api", Code::InvalidUrl, &detail);
    }

    let node = name.zip(peer).zip(api).map(|((name, peer), api)| NewNode {
        name: name.as_str().to_owned(),
        peer,
        api,
    });
    fields.finish(node)
}

/// The fault of an address for peers, if it has one.
fn peer_fault(peer: &str) -> Option<String> {
    let fault = match HostPort::parse(peer) {
        Ok(address) if address.is_unspecified() => {
            "stands for all addresses of a machine".to_owned()
        }
        Ok(_) => return None,
        Err(fault) => fault,
    };
    Some(format!(
        "it {fault}; give a host and a port, like 10.0.0.4:7080"
    ))
}

/// Waits until this node sees a node of the cluster, and returns what it sees.
async fn sight_of(api: &Api, name: &str) -> NodeBody {
    loop {
        let sights = api.node.survey().await.into_iter();
        let node = sights.map(NodeBody::from).find(|node| node.name == name);
        if let Some(node) = node {
            return node;
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

/// Remove a node from the cluster
///
/// This is final: a node with this disk can never join again. The node hands back its unsent messages,
/// and a leader first hands over its leadership. A node that does not answer is removed too; the
/// messages that it has under lease become `unconfirmed`. Needs the role `admin`. It is safe to repeat the
/// request.
#[utoipa::path(delete, path = "/cluster/nodes/{name}", tag = "node", operation_id = "removeNode",
    params(("name" = String, Path, description = "The node's name", example = "notty-3")),
    responses((status = 204)))]
async fn remove(State(api): State<Api>, PathId(name): PathId, params: Params) -> ApiResult {
    params.finish()?;
    let change = Change::Remove { name: name.clone() };
    api.node.change(change).await?;

    await_seen(|| !has_member(&api, &name)).await;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn has_member(api: &Api, name: &str) -> bool {
    let status = api.node.status();
    status.members.iter().any(|member| member.peer.name == name)
}
