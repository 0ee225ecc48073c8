//! The cluster: its nodes, changes of its membership, its leader and its time. Any node can be asked.
//!
//! A change is made by the leader. The node that was asked waits until it sees the change itself, so
//! that the next request to it does not get an answer from before.
//!
//! [`nodes`] adds and removes nodes, [`time`] sets the time, [`postmen`] lists postmen; the view of the
//! whole and the handover of leadership are here.

mod nodes;
mod postmen;
mod seen;
mod time;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use notty_raft::Change;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::{
    nodes::NodeBody,
    postmen::PostmanBody,
    seen::{CHANGE_UNKNOWN, await_seen},
};
use super::{
    Api, ApiError, ApiResult,
    code::Code,
    endpoint::{Effect, Endpoint, Takes, endpoint},
    input::{JsonBody, OptionalJsonBody, Params},
};
use crate::config::Role;

/// The cluster as the node that was asked sees it.
#[derive(Serialize, ToSchema)]
pub(super) struct ClusterBody {
    /// Name of the leader; null while there is none.
    #[schema(example = "notty-0")]
    leader: Option<String>,
    /// Term of the log: it rises with each election.
    #[schema(example = 3)]
    term: u64,
    /// Level of the cluster: all nodes understand it. It rises once all of them run a newer version.
    #[schema(example = 2)]
    level: u32,
    /// All nodes of the cluster.
    nodes: Vec<NodeBody>,
    /// The standalone postmen that asked for messages within the last hour, as far as the leader
    /// knows; by name.
    postmen: Vec<PostmanBody>,
}

/// The node that becomes leader.
#[derive(Deserialize, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body, which is parsed field by field"
)]
pub(super) struct LeaderInput {
    /// Name of the node; absent: of the other nodes, the one with the longest log.
    #[schema(example = "notty-1")]
    name: Option<String>,
}

/// The node that leads now.
#[derive(Serialize, ToSchema)]
pub(super) struct LeaderBody {
    /// Name of the leader.
    #[schema(example = "notty-1")]
    leader: String,
}

pub(super) fn routes() -> Vec<Endpoint> {
    vec![
        endpoint!(cluster, Role::Reader, Effect::ReadsNode),
        nodes::route_of_add(),
        nodes::route_of_remove(),
        endpoint!(transfer_leader, Role::Admin, Effect::ChangesCluster)
            .takes(Takes::OptionalJson)
            .codes(&[Code::WrongType, Code::Missing, Code::NotTransferred])
            .says(Code::Missing, "the name is empty", "a node's name")
            .says(Code::OutcomeUnknown, CHANGE_UNKNOWN, CHANGE_UNKNOWN),
        time::route(),
    ]
}

/// Read the cluster and its nodes
#[utoipa::path(get, path = "/cluster", tag = "node", operation_id = "getCluster",
    responses((status = 200, body = ClusterBody)))]
async fn cluster(State(api): State<Api>, params: Params) -> ApiResult {
    params.finish()?;
    let status = api.node.status();
    let sights = api.node.survey().await;
    let body = ClusterBody {
        leader: status.leader.clone(),
        term: status.term,
        level: api.node.cluster_level(),
        nodes: sights.into_iter().map(NodeBody::from).collect(),
        postmen: postmen::all(&api).await,
    };
    Ok(Json(body).into_response())
}

/// Hand over leadership
///
/// The new leader is the named node, or the one with the longest log. Writes wait for about two seconds
/// meanwhile. Needs the role `admin`. It is safe to repeat a request with a name.
#[utoipa::path(put, path = "/cluster/leader", tag = "node", operation_id = "transferLeadership",
    request_body(content = Option<LeaderInput>),
    responses((status = 200, body = LeaderBody)))]
async fn transfer_leader(
    State(api): State<Api>,
    params: Params,
    body: OptionalJsonBody,
) -> Result<Response, ApiError> {
    params.finish()?;
    let OptionalJsonBody(JsonBody { mut fields, .. }) = body;
    let name = fields.optional_text("name");

    // An empty name is no absent one: a variable that is not set must not move leadership.
    if name.as_ref().is_some_and(String::is_empty) {
        let detail = "a node's name";
        return Err(ApiError::invalid_field("name", Code::Missing, detail));
    }
    let to = fields.finish(Some(name))?;

    let leader = api.node.change(Change::Transfer { to }).await?.name;

    await_seen(|| api.node.status().leader.as_ref() == Some(&leader)).await;
    Ok(Json(LeaderBody { leader }).into_response())
}
