//! Mailings: create, read, list, replace, delete, pause, resume, cancel.
//!
//! Their bodies are in [`bodies`], the checks of their fields in [`check`](mod@check) and
//! [`read_only`]. The [`preview`] shows what a mailing would do.

mod bodies;
mod check;
mod preview;
mod read_only;

use axum::{
    extract::State,
    http::{Method, StatusCode},
    response::Response,
};
use notty_storage::{
    Command, Intent,
    command::{
        CancelMailing, CreateMailing, DeleteMailing, PauseMailing, ResumeMailing, UpdateMailing,
    },
    limits,
    model::{Mailing, MailingId, MailingNumber, MailingStatus},
    query,
};

use self::{
    bodies::{MailingBody, MailingInput, MailingPage, ResumeInput},
    check::{FIELD_FAULTS, PeriodRule, check},
};
use super::{
    Api, ApiError, ApiResult, IdempotencyKey,
    code::Code,
    done,
    endpoint::{Effect, Endpoint, Takes, endpoint},
    error::InvalidValue,
    input::{Fields, JsonBody, OptionalJsonBody, Params, PathId, new_id},
    reply, with_location,
};
use crate::config::Role;

/// The statuses that a mailing can have.
pub(super) const MAILING_STATUSES: &[&str] =
    &["scheduled", "active", "paused", "finished", "cancelled"];
/// The path of the preview; a mailing may have the id `preview` all the same.
const PREVIEW_PATH: &str = "/mailings/preview";

pub(super) fn routes() -> Vec<Endpoint> {
    let mut routes = routes_of_one();
    routes.extend(routes_of_acts());
    routes
}

fn route_of_create() -> Endpoint {
    endpoint!(create, Role::Operator, Effect::KeyedWrite)
        .takes(Takes::Json)
        .codes(FIELD_FAULTS)
        .codes(&[
            Code::InvalidId,
            Code::EndPassed,
            Code::MailingExists,
            Code::TooManyMailings,
            Code::NoNumbersLeft,
        ])
        .alias(Method::POST, "/sub")
}

fn route_of_replace() -> Endpoint {
    endpoint!(replace, Role::Operator, Effect::KeyedWrite)
        .takes(Takes::Json)
        .finds("mailing")
        .codes(FIELD_FAULTS)
        .codes(&[
            Code::IdMismatch,
            Code::ReadOnly,
            Code::EndPassed,
            Code::MailingStarted,
            Code::MailingOver,
        ])
        .alias(Method::POST, "/sub/{id}")
        .word_as_id(PREVIEW_PATH)
}

fn route_of_resume() -> Endpoint {
    endpoint!(resume, Role::Operator, Effect::KeyedWrite)
        .takes(Takes::OptionalJson)
        .finds("mailing")
        .codes(&[
            Code::WrongType,
            Code::MailingOver,
            Code::DuplicatesNotAccepted,
            Code::NoNumbersLeft,
        ])
        .says(
            Code::WrongType,
            "`accept_duplicates` is not true or false",
            "true or false is needed",
        )
        .blames(Code::WrongType, "accept_duplicates")
}

fn routes_of_one() -> Vec<Endpoint> {
    vec![
        route_of_create(),
        endpoint!(list, Role::Reader, Effect::Reads)
            .paged()
            .codes(&[Code::InvalidLimit, Code::InvalidAfter, Code::InvalidStatus])
            .words("status", MAILING_STATUSES),
        // A mailing may have the id `preview`, although another route ends in that word.
        endpoint!(read, Role::Reader, Effect::Reads)
            .finds("mailing")
            .alias(Method::GET, "/sub/{id}")
            .word_as_id(PREVIEW_PATH),
        route_of_replace(),
        endpoint!(remove, Role::Operator, Effect::Writes)
            .finds("mailing")
            .alias(Method::DELETE, "/sub/{id}")
            .word_as_id(PREVIEW_PATH),
    ]
}

fn routes_of_acts() -> Vec<Endpoint> {
    vec![
        endpoint!(pause, Role::Operator, Effect::KeyedWrite)
            .takes(Takes::OptionalJson)
            .finds("mailing")
            .codes(&[Code::MailingOver]),
        route_of_resume(),
        endpoint!(cancel, Role::Operator, Effect::KeyedWrite)
            .takes(Takes::OptionalJson)
            .finds("mailing")
            .codes(&[Code::MailingOver]),
        preview::route(),
    ]
}

/// Create a mailing
///
/// Every customer that the filters match gets its text between start and end, at most once. A customer
/// that matches only later gets it too, unless `audience` is `at_start`. A phone gets one message, however
/// many customers have it, unless `unique_phones` is false.
#[utoipa::path(post, path = "/mailings", tag = "mailings", operation_id = "createMailing",
    request_body = MailingInput,
    responses((status = 201, body = MailingBody)))]
async fn create(
    State(api): State<Api>,
    key: IdempotencyKey,
    params: Params,
    body: JsonBody,
) -> ApiResult {
    let JsonBody { mut fields, bytes } = body;
    params.finish()?;

    // Both are checked before either can end the request: the answer lists the faults of both.
    let id = check_id(&mut fields);
    let spec = check(&mut fields, api.moderation.as_ref(), PeriodRule::Needed);
    let (id, spec) = fields.finish(id.zip(spec))?;

    // Counts for the first mailing of a cluster alone, whose number is drawn.
    let first = rand::random_range(1..=limits::FIRST_MAILINGS);
    let create = CreateMailing { id, spec, first };
    let (mailing, index) = write(&api, key.bind(create, &bytes)).await?;
    tracing::info!(mailing.id = %mailing.id, "mailing {} was created", mailing.id);

    let id = mailing.id.clone();
    let response = reply(StatusCode::CREATED, index, &MailingBody::from(mailing));
    Ok(with_location(response, "/mailings", id.as_str()))
}

/// The id of a new mailing: the given one, or else a new UUID.
fn check_id(fields: &mut Fields) -> Option<MailingId> {
    let given = fields.optional_text("id");
    let id = given.unwrap_or_else(new_id);
    fields.parse("id", Some(id), MailingId::parse)
}

/// List mailings, in the order of their creation
#[utoipa::path(get, path = "/mailings", tag = "mailings", operation_id = "listMailings",
    params(
        ("status" = Option<String>, Query, description = "Only those with this status"),
    ),
    responses((status = 200, body = MailingPage)))]
async fn list(State(api): State<Api>, mut params: Params) -> ApiResult {
    let status = params.parse("status", parse_status);
    let limit = params.limit();
    // The first mailing has the number 1.
    let from = MailingNumber(params.after_or(1));
    params.finish()?;

    let index = api.position();
    let page = api.ask(|reader| query::mailings::list(reader, status, from, limit))?;
    Ok(reply(StatusCode::OK, index, &MailingPage::from(page)))
}

fn parse_status(text: &str) -> Result<MailingStatus, InvalidValue> {
    let detail = "scheduled, active, paused, finished or cancelled is needed";
    MailingStatus::from_name(text).ok_or_else(|| InvalidValue::new(Code::InvalidStatus, detail))
}

/// Read a mailing by its id
#[utoipa::path(get, path = "/mailings/{id}", tag = "mailings", operation_id = "getMailing",
    params(("id" = String, Path, description = "The mailing's id", example = "spring-sale")),
    responses((status = 200, body = MailingBody)))]
async fn read(State(api): State<Api>, PathId(id): PathId, params: Params) -> ApiResult {
    params.finish()?;
    let id = parse_id(&id)?;
    let index = api.position();
    let mailing = api.find("mailing", |reader| query::mailings::get(reader, &id))?;
    Ok(reply(StatusCode::OK, index, &MailingBody::from(mailing)))
}

/// Replace a mailing
///
/// The body is the whole object. Before the start everything may change. After it, `desc`, `send_window` and
/// `end` may change, as long as the end has not passed. A read-only field may be sent with its present
/// value.
#[utoipa::path(put, path = "/mailings/{id}", tag = "mailings", operation_id = "replaceMailing",
    params(("id" = String, Path, description = "The mailing's id", example = "spring-sale")),
    request_body = MailingInput,
    responses((status = 200, body = MailingBody)))]
async fn replace(
    State(api): State<Api>,
    PathId(id): PathId,
    key: IdempotencyKey,
    params: Params,
    body: JsonBody,
) -> ApiResult {
    let JsonBody { mut fields, bytes } = body;
    params.finish()?;

    let id = parse_id(&id)?;
    check_same_id(&mut fields, &id);

    // Compared with the mailing as it is before this write.
    read_only::check(&api, &id, &key, &mut fields).await?;
    let checked = check(&mut fields, api.moderation.as_ref(), PeriodRule::Needed);
    let spec = fields.finish(checked)?;

    let (mailing, index) = write(&api, key.bind(UpdateMailing { id, spec }, &bytes)).await?;
    Ok(logged_reply(mailing, index, "changed"))
}

/// Rejects another id than that of the path: the body may repeat it, but a mailing keeps its id.
fn check_same_id(fields: &mut Fields, id: &MailingId) {
    if let Some(given) = fields.optional_text("id")
        && given != id.as_str()
    {
        fields.fault_of_other_id();
    }
}

/// Delete a mailing
///
/// The mailing is hidden at once, and its waiting messages are cancelled.
#[utoipa::path(delete, path = "/mailings/{id}", tag = "mailings", operation_id = "deleteMailing",
    params(("id" = String, Path, description = "The mailing's id", example = "spring-sale")),
    responses((status = 204, description = "Deleted")))]
async fn remove(State(api): State<Api>, PathId(id): PathId, params: Params) -> ApiResult {
    params.finish()?;
    let id = parse_id(&id)?;
    let applied = api
        .write(Command::new(DeleteMailing { id: id.clone() }))
        .await?;
    tracing::info!(mailing.id = %id, "mailing {id} was deleted");
    Ok(done(applied.index))
}

/// Pause a mailing
///
/// Within a second nothing more is sent. Requests to the gateway that are in flight still end.
#[utoipa::path(post, path = "/mailings/{id}/pause", tag = "mailings", operation_id = "pauseMailing",
    params(("id" = String, Path, description = "The mailing's id", example = "spring-sale")),
    responses((status = 200, body = MailingBody)))]
async fn pause(
    State(api): State<Api>,
    PathId(id): PathId,
    key: IdempotencyKey,
    params: Params,
    body: OptionalJsonBody,
) -> ApiResult {
    params.finish()?;
    act(&api, &id, &key, body, "paused", |id| PauseMailing { id }).await
}

/// Resume a mailing
///
/// A mailing from a backup is resumed only with `accept_duplicates`. Messages that the backup has stay as
/// they are; all others are sent, under ids that were never used.
#[utoipa::path(post, path = "/mailings/{id}/resume", tag = "mailings", operation_id = "resumeMailing",
    params(("id" = String, Path, description = "The mailing's id", example = "spring-sale")),
    request_body = Option<ResumeInput>,
    responses((status = 200, body = MailingBody)))]
async fn resume(
    State(api): State<Api>,
    PathId(id): PathId,
    key: IdempotencyKey,
    params: Params,
    mut body: OptionalJsonBody,
) -> ApiResult {
    params.finish()?;
    // Without a word from the client, nobody gets a message twice.
    let accept = body.0.fields.optional_bool("accept_duplicates");
    let accept_duplicates = accept.unwrap_or(false);

    let resume = |id| ResumeMailing {
        id,
        accept_duplicates,
    };
    act(&api, &id, &key, body, "resumed", resume).await
}

/// Cancel a mailing
///
/// This is final: waiting messages are cancelled. Requests to the gateway that are in flight still end.
#[utoipa::path(post, path = "/mailings/{id}/cancel", tag = "mailings", operation_id = "cancelMailing",
    params(("id" = String, Path, description = "The mailing's id", example = "spring-sale")),
    responses((status = 200, body = MailingBody)))]
async fn cancel(
    State(api): State<Api>,
    PathId(id): PathId,
    key: IdempotencyKey,
    params: Params,
    body: OptionalJsonBody,
) -> ApiResult {
    params.finish()?;
    act(&api, &id, &key, body, "cancelled", |id| CancelMailing {
        id,
    })
    .await
}

/// Executes an action on a mailing, and logs it with a word like `paused`. Options in the body were
/// taken before; any other field is refused.
async fn act<A: Intent<Reply = Box<Mailing>>>(
    api: &Api,
    id: &str,
    key: &IdempotencyKey,
    body: OptionalJsonBody,
    done: &str,
    action: impl FnOnce(MailingId) -> A,
) -> ApiResult {
    let OptionalJsonBody(JsonBody { fields, bytes }) = body;

    // Faults of the options that the caller took are reported here too.
    fields.finish(Some(()))?;
    let id = parse_id(id)?;

    let (mailing, index) = write(api, key.bind(action(id), &bytes)).await?;
    Ok(logged_reply(mailing, index, done))
}

/// Logs a write to a mailing with a word like `paused`, and answers with the mailing.
fn logged_reply(mailing: Mailing, index: u64, done: &str) -> Response {
    tracing::info!(mailing.id = %mailing.id, "mailing {} was {done}", mailing.id);
    reply(StatusCode::OK, index, &MailingBody::from(mailing))
}

/// Parses the id in a path. A text that cannot be an id is answered with 404: no mailing has it.
fn parse_id(id: &str) -> Result<MailingId, ApiError> {
    MailingId::parse(id).map_err(|_| ApiError::not_found("mailing"))
}

/// Executes a command on a mailing. Returns the mailing as it is afterwards, and the position.
async fn write<A: Intent<Reply = Box<Mailing>>>(
    api: &Api,
    command: Command<A>,
) -> Result<(Mailing, u64), ApiError> {
    let written = api.write(command).await;
    // An end that has passed by the cluster's time alone is nothing that its owner could see.
    let applied = written.map_err(|error| error.explained_by(api.node.time_lead()))?;
    Ok((*applied.reply, applied.index))
}
