//! The cluster: who belongs to it, and changes of that. Any node can be asked.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use notty_raft::{Change, Sight};
use notty_storage::{Action, Timestamp, model::PostmanName, query};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Answer, Api, ApiError, IdempotencyKey, Problem,
    code::Code,
    error::Fault,
    input::{JsonBody, OptionalJsonBody, Params, PathId},
    mailings::{parse_time, time_text},
    reply,
};

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
#[expect(dead_code, reason = "describes the body, which is parsed field by field")]
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
#[expect(dead_code, reason = "describes the body, which is parsed field by field")]
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
#[expect(dead_code, reason = "describes the body, which is parsed field by field")]
pub(super) struct TimeInput {
    /// The time; absent: what the clock of the node that is asked says.
    #[schema(example = "2026-03-02T09:00:00Z")]
    time: Option<String>,
}

/// The time of the cluster.
#[derive(Serialize, ToSchema)]
pub(super) struct TimeBody {
    /// What entries carry from now on.
    #[schema(example = "2026-03-02T09:00:00Z")]
    time: String,
    /// The clock of the node that was asked.
    #[schema(example = "2026-03-02T09:00:00.012Z")]
    clock: String,
    /// Why that clock is still in doubt, so that time stands still; null where it is not.
    #[schema(example = "the clock is in doubt: it was set back by 10 min")]
    doubt: Option<String>,
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(cluster))
        .routes(routes!(add, remove))
        .routes(routes!(transfer_leader))
        .routes(routes!(set_time))
}

/// The cluster
#[utoipa::path(get, path = "/cluster", tag = "node",
    responses(
        (status = 200, body = ClusterBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    ))]
async fn cluster(State(api): State<Api>, params: Params) -> Answer {
    params.finish()?;
    let status = api.node.status();
    let nodes = api.node.survey().await.into_iter().map(NodeBody::from).collect();
    let body = ClusterBody { leader: status.leader.clone(), term: status.term, nodes };
    Ok(Json(body).into_response())
}

/// Take a node into the cluster
///
/// It must run, with the cluster's secret, under this name, and with an empty data directory. It
/// comes as a learner and votes once it has caught up: if that takes longer than ten seconds the
/// answer says `learner`, and it goes on by itself. For the role `admin`. A repeat is harmless.
#[utoipa::path(put, path = "/cluster/nodes/{name}", tag = "node",
    params(("name" = String, Path, description = "The node's name", example = "notty-3")),
    request_body = NodeInput,
    responses(
        (status = 200, body = NodeBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
        (status = 504, body = Problem, content_type = "application/problem+json"),
    ))]
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
        fields.fault("peer", Code::InvalidAddress, "a host and a port, like 10.0.0.4:7080");
    }
    let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
    if client.as_ref().is_some_and(|url| !is_url(url)) {
        fields.fault("api", Code::InvalidUrl, "a URL, like http://10.0.0.4:8080");
    }
    let asked = fields.finish(name.zip(peer).zip(client))?;
    let ((name, peer), client) = asked;
    let name = name.as_str().to_owned();
    let change = Change::Add { name: name.clone(), peer, api: client };
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
#[utoipa::path(delete, path = "/cluster/nodes/{name}", tag = "node",
    params(("name" = String, Path, description = "The node's name", example = "notty-3")),
    responses(
        (status = 204),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
        (status = 504, body = Problem, content_type = "application/problem+json"),
    ))]
async fn remove(State(api): State<Api>, PathId(name): PathId, params: Params) -> Answer {
    params.finish()?;
    api.node.change(Change::Remove { name: name.clone() }).await?;
    await_seen(|| api.node.status().members.iter().all(|member| member.peer.name != name)).await;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Hand leadership over
///
/// To a node by name, or to the one that has most. Writes wait meanwhile, for about two seconds. For
/// the role `admin`. A repeat with a name is harmless.
#[utoipa::path(put, path = "/cluster/leader", tag = "node",
    request_body(content = Option<LeaderInput>),
    responses(
        (status = 200, body = LeaderBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
        (status = 504, body = Problem, content_type = "application/problem+json"),
    ))]
async fn transfer_leader(
    State(api): State<Api>,
    params: Params,
    body: OptionalJsonBody,
) -> Result<Response, ApiError> {
    params.finish()?;
    let OptionalJsonBody(JsonBody { mut fields, .. }) = body;
    let to = fields.optional_text("name");
    if to.as_ref().is_some_and(String::is_empty) {
        return Err(ApiError::invalid(vec![Fault::new("name", Code::Missing, "a node's name")]));
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
#[utoipa::path(post, path = "/cluster/time", tag = "node",
    request_body(content = Option<TimeInput>),
    responses(
        (status = 200, body = TimeBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
        (status = 500, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
        (status = 504, body = Problem, content_type = "application/problem+json"),
    ))]
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
        fields.fault("time", Code::InvalidTime, "a time after 1970, like 2026-03-02T09:00:00Z");
    }
    let time = fields.finish((time.is_some() || !had).then_some(time))?;

    let to = time.unwrap_or_else(|| api.clock.wall());
    let applied = api.write(key.bind(Action::SetTime { to }, &bytes)).await?;
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
