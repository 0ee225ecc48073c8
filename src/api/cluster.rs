//! The cluster: its nodes, changes of its membership, its leader and its time. Any node can be asked.
//!
//! A change is made by the leader. The node that was asked waits until it sees the change itself, so
//! that the next request to it does not get an answer from before.

mod postmen;

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use notty_raft::{Change, ChangeError, Sight};
use notty_storage::{Timestamp, command::SetTime, model::PostmanName, query};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::postmen::PostmanBody;
use super::{
    Api, ApiError, ApiResult, IdempotencyKey,
    code::Code,
    endpoint::{Effect, Endpoint, Takes, endpoint},
    input::{Fields, JsonBody, OptionalJsonBody, Params, PathId},
    reply,
    times::{parse_time, time_text},
};
use crate::{
    address::{HostPort, HttpUrl},
    config::Role,
};

/// Detail of an answer about a change whose outcome is unknown.
const CHANGE_UNKNOWN: &str = "whether it was done is not known; ask again, a repeat is harmless";
/// Time for the node that was asked to see what the leader has done.
const SEEN_TIME: Duration = Duration::from_secs(3);
/// Pause between two looks at what this node sees.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

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
    /// The postmen without storage that asked for messages within the last hour, as far as the leader
    /// knows; by name.
    postmen: Vec<PostmanBody>,
}

/// One node of the cluster.
#[derive(Serialize, ToSchema)]
pub(super) struct NodeBody {
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
pub(super) struct NodeInput {
    /// Address for its peers: host and port.
    #[schema(example = "10.0.0.4:7080")]
    peer: String,
    /// URL for its clients.
    #[schema(example = "http://10.0.0.4:8080")]
    api: String,
}

/// The node that is to lead.
#[derive(Deserialize, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body, which is parsed field by field"
)]
pub(super) struct LeaderInput {
    /// Name of the node; absent: the node with the most advanced log, other than the present leader.
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
            version: Some(seen.version).filter(|version| !version.is_empty()),
        }
    }
}

/// The time that the cluster is to have.
#[derive(Deserialize, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body, which is parsed field by field"
)]
pub(super) struct TimeInput {
    /// The time; absent: that of the clock of the node that is asked.
    #[schema(format = DateTime, example = "2026-03-02T09:00:00Z")]
    time: Option<String>,
}

/// The time of the cluster, once it was set.
#[derive(Serialize, ToSchema)]
pub(super) struct TimeBody {
    /// Time of the cluster: entries of the log carry it from now on.
    #[schema(format = DateTime, example = "2026-03-02T09:00:00Z")]
    time: String,
    /// Time by the clock of the node that was asked.
    #[schema(format = DateTime, example = "2026-03-02T09:00:00.012Z")]
    clock: String,
    /// The reason why that clock is still in doubt, so that time stands still; null if it is not.
    #[schema(example = "the clock is in doubt: it was set back by 10 min")]
    doubt: Option<String>,
}

pub(super) fn routes() -> Vec<Endpoint> {
    vec![
        endpoint!(cluster, Role::Reader, Effect::ReadsNode),
        route_of_add(),
        route_of_remove(),
        endpoint!(transfer_leader, Role::Admin, Effect::ChangesCluster)
            .takes(Takes::OptionalJson)
            .codes(&[Code::WrongType, Code::Missing, Code::NotTransferred])
            .says(Code::Missing, "the name is empty", "a node's name")
            .says(Code::OutcomeUnknown, CHANGE_UNKNOWN, CHANGE_UNKNOWN),
        // The time is set by a write like any other.
        endpoint!(set_time, Role::Admin, Effect::KeyedWrite)
            .takes(Takes::OptionalJson)
            .codes(&[Code::InvalidTime, Code::WrongType, Code::StorageFault])
            .blames(Code::InvalidTime, "time")
            .blames(Code::WrongType, "time"),
    ]
}

fn route_of_add() -> Endpoint {
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
        .says(
            Code::NotFound,
            "the name in the path is not UTF-8",
            "no thing is there with this id",
        )
        .says(Code::OutcomeUnknown, CHANGE_UNKNOWN, CHANGE_UNKNOWN)
}

fn route_of_remove() -> Endpoint {
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
            "the leader goes by a name now that another node has",
            "`notty-1` is a node of the cluster already, with another disk or at another \
             address; if its disk is lost, remove it first: notty cluster remove notty-1",
        )
        .says(Code::OutcomeUnknown, CHANGE_UNKNOWN, CHANGE_UNKNOWN)
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

/// Add a node to the cluster
///
/// The node must run, with the cluster's secret, under this name, and with an empty data directory. It
/// is added as a learner, and becomes a voter once it has caught up. If that takes longer than ten
/// seconds, the answer has the role `learner`, and the rest happens without a further request. For the
/// role `admin`. A repeat is harmless.
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
/// For good: a node with this disk can never join again. It hands back the messages that it has not
/// sent, and a leader first hands over its leadership. A node that does not answer is removed all the
/// same; the messages that it has under lease become `unconfirmed`. For the role `admin`. A repeat is
/// harmless.
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

/// Hand over leadership
///
/// To the node of a name, or to the one with the most advanced log. Writes wait meanwhile, for about two
/// seconds. For the role `admin`. A repeat with a name is harmless.
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

/// Set the cluster's time
///
/// Back or forward, after a clock was wrong, in one entry of the log. A node needs this if its clock is
/// right and is in doubt all the same: see `GET /readyz`. Leases, pauses before another try, keys of
/// repeats and retention last as long as before. A message that the gateway may have is not repeated
/// there any more. A clock that differs from this time by more than five minutes is in doubt until it
/// agrees. For the role `admin`. A repeat is harmless.
#[utoipa::path(post, path = "/cluster/time", tag = "node", operation_id = "setClusterTime",
    request_body(content = Option<TimeInput>),
    responses((status = 200, body = TimeBody)))]
async fn set_time(
    State(api): State<Api>,
    params: Params,
    key: IdempotencyKey,
    body: OptionalJsonBody,
) -> Result<Response, ApiError> {
    params.finish()?;
    let OptionalJsonBody(JsonBody { mut fields, bytes }) = body;
    let given = check_time(&mut fields);
    let wanted = fields.finish(Some(given))?;

    let to = wanted.unwrap_or_else(|| api.clock.wall());
    let applied = api.write(key.bind(SetTime { to }, &bytes)).await?;
    Ok(reply(StatusCode::OK, applied.index, &compare_times(&api)?))
}

/// The cluster's time and this machine's clock, which is looked at anew: the answer to a new time shows
/// if the clock agrees with it.
fn compare_times(api: &Api) -> Result<TimeBody, ApiError> {
    let doubt = api.node.look_at_clock();
    let time = api.ask(|reader| query::time::at(reader))?;
    Ok(TimeBody {
        time: time_text(time),
        clock: time_text(api.clock.wall()),
        doubt: doubt.map(|doubt| doubt.to_string()),
    })
}

fn check_time(fields: &mut Fields) -> Option<Timestamp> {
    let text = fields.optional_text("time");
    let time = fields.parse("time", text, parse_time)?;
    if time <= Timestamp::default() {
        let detail = "a time after 1970, like 2026-03-02T09:00:00Z";
        fields.fault("time", Code::InvalidTime, detail);
    }
    Some(time)
}

fn has_member(api: &Api, name: &str) -> bool {
    let status = api.node.status();
    status.members.iter().any(|member| member.peer.name == name)
}

/// Waits until this node sees what the leader did: the next answer from here should not contradict
/// it. Gives up after a while, because the change itself is made.
async fn await_seen(is_seen: impl Fn() -> bool) {
    let looking = async {
        while !is_seen() {
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    };
    let _ = tokio::time::timeout(SEEN_TIME, looking).await;
}
