//! The cluster: who belongs to it, and changes of that. Any node can be asked.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use notty_raft::{Change, Sight};
use notty_storage::{Timestamp, command::SetTime, model::PostmanName, query};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Answer, Api, ApiError, IdempotencyKey,
    code::Code,
    endpoint::{Effect, Endpoint, Takes, endpoint},
    error::Fault,
    input::{JsonBody, OptionalJsonBody, Params, PathId},
    mailings::{parse_time, time_text},
    reply,
};
use crate::config::Role;

/// Said of a change of the cluster whose outcome is not known.
const CHANGE_UNKNOWN: &str = "whether it was done is not known; ask again, a repeat is harmless";
/// How long the node that was asked may take to see what the leader has done.
const SEEN: Duration = Duration::from_secs(3);
/// Between two looks whether it does.
const LOOK: Duration = Duration::from_millis(20);

/// The cluster.
#[derive(Serialize, ToSchema)]
pub(super) struct ClusterBody {
    /// The leader's name; null while there is none.
    #[schema(example = "notty-0")]
    leader: Option<String>,
    /// The term.
    #[schema(example = 3)]
    term: u64,
    /// Its nodes.
    nodes: Vec<NodeBody>,
}

/// A node of the cluster.
#[derive(Serialize, ToSchema)]
pub(super) struct NodeBody {
    /// Its name.
    #[schema(example = "notty-0")]
    name: String,
    /// Where its peers reach it; empty on a node by itself.
    #[schema(example = "127.0.0.1:7080")]
    peer: String,
    /// Where clients reach it.
    #[schema(example = "http://127.0.0.1:8080")]
    api: String,
    /// `leader`, `voter` or `learner`.
    #[schema(example = "leader")]
    role: String,
    /// Whether this node reaches it.
    #[schema(example = true)]
    reachable: bool,
    /// The last position of its log, as far as this node knows.
    #[schema(example = 1234)]
    last_index: u64,
    /// The position that its state reflects, as far as this node knows.
    #[schema(example = 1234)]
    applied_index: u64,
}

/// Where a node to be taken in is.
#[derive(Deserialize, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body, which is parsed field by field"
)]
pub(super) struct NodeInput {
    /// Where its peers reach it: host and port.
    #[schema(example = "10.0.0.4:7080")]
    peer: String,
    /// Where clients reach it.
    #[schema(example = "http://10.0.0.4:8080")]
    api: String,
}

/// Who is to lead.
#[derive(Deserialize, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body, which is parsed field by field"
)]
pub(super) struct LeaderInput {
    /// Its name; absent: the node that has most, other than the present leader.
    #[schema(example = "notty-1")]
    name: Option<String>,
}

/// Who leads now.
#[derive(Serialize, ToSchema)]
pub(super) struct LeaderBody {
    /// Its name.
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
            last_index: seen.last_index,
            applied_index: seen.applied_index,
        }
    }
}

/// What time it is.
#[derive(Deserialize, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body, which is parsed field by field"
)]
pub(super) struct TimeInput {
    /// The time; absent: what the clock of the node that is asked says.
    #[schema(format = DateTime, example = "2026-03-02T09:00:00Z")]
    time: Option<String>,
}

/// The time of the cluster.
#[derive(Serialize, ToSchema)]
pub(super) struct TimeBody {
    /// What entries carry from now on.
    #[schema(format = DateTime, example = "2026-03-02T09:00:00Z")]
    time: String,
    /// The clock of the node that was asked.
    #[schema(format = DateTime, example = "2026-03-02T09:00:00.012Z")]
    clock: String,
    /// Why that clock is still in doubt, so that time stands still; null where it is not.
    #[schema(example = "the clock is in doubt: it was set back by 10 min")]
    doubt: Option<String>,
}

pub(super) fn routes() -> Vec<Endpoint> {
    vec![
        endpoint!(cluster, Role::Reader, Effect::ReadsNode),
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
            .says(Code::OutcomeUnknown, CHANGE_UNKNOWN, CHANGE_UNKNOWN),
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
            .says(Code::OutcomeUnknown, CHANGE_UNKNOWN, CHANGE_UNKNOWN),
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

/// The cluster
#[utoipa::path(get, path = "/cluster", tag = "node", operation_id = "getCluster",
    responses((status = 200, body = ClusterBody)))]
async fn cluster(State(api): State<Api>, params: Params) -> Answer {
    params.finish()?;
    let status = api.node.status();
    let nodes = api
        .node
        .survey()
        .await
        .into_iter()
        .map(NodeBody::from)
        .collect();
    let body = ClusterBody {
        leader: status.leader.clone(),
        term: status.term,
        nodes,
    };
    Ok(Json(body).into_response())
}

/// Take a node into the cluster
///
/// It must run, with the cluster's secret, under this name, and with an empty data directory. It
/// comes as a learner and votes once it has caught up: if that takes longer than ten seconds the
/// answer says `learner`, and it goes on by itself. For the role `admin`. A repeat is harmless.
#[utoipa::path(put, path = "/cluster/nodes/{name}", tag = "node", operation_id = "addNode",
    params(("name" = String, Path, description = "The node's name", example = "notty-3")),
    request_body = NodeInput,
    responses((status = 200, body = NodeBody)))]
async fn add(
    State(api): State<Api>,
    PathId(name): PathId,
    params: Params,
    body: JsonBody,
) -> Answer {
    params.finish()?;
    let JsonBody { mut fields, .. } = body;
    let name = fields.parse("name", Some(name), PostmanName::parse);
    let (peer, client) = (fields.text("peer"), fields.text("api"));
    if peer.as_ref().is_some_and(|peer| !is_host_and_port(peer)) {
        fields.fault(
            "peer",
            Code::InvalidAddress,
            "a host and a port, like 10.0.0.4:7080",
        );
    }
    let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
    if client.as_ref().is_some_and(|url| !is_url(url)) {
        fields.fault("api", Code::InvalidUrl, "a URL, like http://10.0.0.4:8080");
    }
    let asked = fields.finish(name.zip(peer).zip(client))?;
    let ((name, peer), client) = asked;
    let name = name.as_str().to_owned();
    let change = Change::Add {
        name: name.clone(),
        peer,
        api: client,
    };
    api.node.change(change).await?;
    let looking = async {
        loop {
            let seen = api.node.survey().await.into_iter();
            if let Some(node) = seen.map(NodeBody::from).find(|node| node.name == name) {
                return node;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    match tokio::time::timeout(SEEN, looking).await {
        Ok(node) => Ok(Json(node).into_response()),
        Err(_) => Err(notty_raft::ChangeError::Unknown.into()),
    }
}

/// Take a node out of the cluster
///
/// For good: its disk never comes back. It hands back what it has to send, and a leader hands over
/// first; a node that does not answer is taken out all the same, and what it had under lease becomes
/// `unconfirmed`. For the role `admin`. A repeat is harmless.
#[utoipa::path(delete, path = "/cluster/nodes/{name}", tag = "node", operation_id = "removeNode",
    params(("name" = String, Path, description = "The node's name", example = "notty-3")),
    responses((status = 204)))]
async fn remove(State(api): State<Api>, PathId(name): PathId, params: Params) -> Answer {
    params.finish()?;
    api.node
        .change(Change::Remove { name: name.clone() })
        .await?;
    await_seen(|| {
        api.node
            .status()
            .members
            .iter()
            .all(|member| member.peer.name != name)
    })
    .await;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Hand leadership over
///
/// To a node by name, or to the one that has most. Writes wait meanwhile, for about two seconds. For
/// the role `admin`. A repeat with a name is harmless.
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
    let to = fields.optional_text("name");
    if to.as_ref().is_some_and(String::is_empty) {
        return Err(ApiError::invalid(vec![Fault::new(
            "name",
            Code::Missing,
            "a node's name",
        )]));
    }
    let to = fields.finish(Some(to))?;
    let leader = api.node.change(Change::Transfer { to }).await?.name;
    await_seen(|| api.node.status().leader.as_ref() == Some(&leader)).await;
    Ok(Json(LeaderBody { leader }).into_response())
}

/// Set the cluster's time
///
/// Back or forward, after a clock that was wrong, in one entry. It is what a node needs whose clock is
/// right and in doubt all the same: see `GET /readyz`. Leases, pauses before another try, keys of repeats
/// and retention last as long as before; what a gateway may have is not repeated there any more. A clock
/// that differs from this time by more than five minutes is in doubt until it agrees. For the role
/// `admin`. A repeat is harmless.
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
    let text = fields.optional_text("time");
    let had = text.is_some();
    let time = fields.parse("time", text, parse_time);
    if time.is_some_and(|time| time <= Timestamp::default()) {
        fields.fault(
            "time",
            Code::InvalidTime,
            "a time after 1970, like 2026-03-02T09:00:00Z",
        );
    }
    let time = fields.finish((time.is_some() || !had).then_some(time))?;

    let to = time.unwrap_or_else(|| api.clock.wall());
    let applied = api.write(key.bind(SetTime { to }, &bytes)).await?;
    let doubt = api.node.look_at_clock();
    let time = api.ask(|reader| query::time::at(reader))?;
    let body = TimeBody {
        time: time_text(time),
        clock: time_text(api.clock.wall()),
        doubt: doubt.map(|doubt| doubt.to_string()),
    };
    Ok(reply(StatusCode::OK, applied.index, &body))
}

/// Waits until this node sees what the leader did; who asks it next should not be told otherwise.
async fn await_seen(seen: impl Fn() -> bool) {
    let looking = async {
        while !seen() {
            tokio::time::sleep(LOOK).await;
        }
    };
    let _ = tokio::time::timeout(SEEN, looking).await;
}

fn is_host_and_port(address: &str) -> bool {
    let parts = address.rsplit_once(':');
    parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}
