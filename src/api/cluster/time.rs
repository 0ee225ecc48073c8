//! The cluster's time, which a request can set after a clock was wrong.

use axum::{extract::State, http::StatusCode, response::Response};
use notty_storage::{Timestamp, command::SetTime, query};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::{
        Api, ApiError, IdempotencyKey,
        code::Code,
        endpoint::{Effect, Endpoint, Takes, endpoint},
        input::{Fields, JsonBody, OptionalJsonBody, Params},
        reply,
        times::{parse_time, time_text},
    },
    config::Role,
};

/// The new time of the cluster.
#[derive(Deserialize, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the body, which is parsed field by field"
)]
pub(in crate::api) struct TimeInput {
    /// The time; absent: that of the clock of the node that is asked.
    #[schema(format = DateTime, example = "2026-03-02T09:00:00Z")]
    time: Option<String>,
}

/// The time of the cluster, after it was set.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct TimeBody {
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

pub(super) fn route() -> Endpoint {
    // The time is set by a write like any other.
    endpoint!(set_time, Role::Admin, Effect::KeyedWrite)
        .takes(Takes::OptionalJson)
        .codes(&[Code::InvalidTime, Code::WrongType, Code::StorageFault])
        .blames(Code::InvalidTime, "time")
        .blames(Code::WrongType, "time")
}

/// Set the cluster's time
///
/// Sets the time back or forward, after a clock was wrong. A node needs this if its clock is correct and is
/// still in doubt: see `GET /readyz`. Leases, pauses before another try, kept `Idempotency-Key`s and
/// retention last as long as before. A message that the gateway may have is not repeated there any more.
/// A clock that differs from this time by more than five minutes is in doubt until it agrees. Needs the
/// role `admin`. It is safe to repeat the request.
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

    // An operator who names no time trusts the clock of the node that is asked.
    let to = wanted.unwrap_or_else(|| api.clock.wall());
    let applied = api.write(key.bind(SetTime { to }, &bytes)).await?;

    // Only now: the clock's doubt may have ended with the new time.
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
