//! Mailings: create, read, list, replace, delete, pause, resume, cancel, preview.

use std::str::FromStr;

use axum::{
    extract::State,
    http::{Method, StatusCode},
};
use notty_storage::{
    Command, Intent, Timestamp,
    command::{
        CancelMailing, CreateMailing, DeleteMailing, PauseMailing, ResumeMailing, UpdateMailing,
    },
    model::{
        Desc, Filter, Mailing, MailingId, MailingNumber, MailingSpec, MailingStatus, MailingText,
        SendWindow, Seq,
    },
    query::{self, customers::CustomerFilter},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    Api, ApiError, ApiParts, ApiResult, IdempotencyKey,
    code::Code,
    customers::CustomerBody,
    done,
    endpoint::{Effect, Endpoint, Takes, endpoint},
    error::InvalidValue,
    input::{Fields, JsonBody, OptionalJsonBody, Params, PathId},
    reply, with_location,
};
use crate::{config::Role, moderation::Moderation, segments};

/// The statuses of a mailing.
pub(super) const MAILING_STATUSES: &[&str] =
    &["scheduled", "active", "paused", "finished", "cancelled"];
/// The path of the preview; a mailing may be called `preview` all the same.
const PREVIEW_PATH: &str = "/mailings/preview";
/// Customers shown by a preview.
const SAMPLE: usize = 5;
/// What an answer of the gateway is taken to need while none was measured, in seconds.
const ASSUMED_LATENCY: f64 = 0.05;

/// The hours of a day in which a mailing may send, in the customer's local time.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "from": "09:00", "to": "21:00" }))]
pub(super) struct WindowBody {
    /// From, inclusive.
    #[schema(example = "09:00")]
    from: String,
    /// To, exclusive; may lie before `from`: then it crosses midnight.
    #[schema(example = "21:00")]
    to: String,
}

/// A mailing.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct MailingBody {
    /// Letters, digits and `-`, up to 64; absent in a create: a UUID is given.
    #[schema(example = "spring-sale")]
    id: String,
    /// For people.
    #[schema(example = "Spring sale, new customers")]
    desc: String,
    /// What is sent: 1 to 1,600 characters.
    #[schema(example = "Скидка 20 % на всё до воскресенья!")]
    text: String,
    /// When sending begins.
    #[schema(format = DateTime, example = "2026-11-23T10:00:00Z")]
    start: String,
    /// When it ends; after `start`.
    #[schema(format = DateTime, example = "2035-11-24T10:00:00Z")]
    end: String,
    /// Which tags, as an SQL `ILIKE` pattern; absent: `%`.
    #[schema(example = "clients.%.new")]
    tag_filter: String,
    /// Which operators, as an SQL `ILIKE` pattern; absent: `%`.
    #[schema(example = "%")]
    operator_filter: String,
    /// Which phones, as an SQL `ILIKE` pattern; absent: `%`.
    #[schema(example = "+7916%")]
    phone_filter: String,
    /// Hours in which to send; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    send_window: Option<WindowBody>,
    /// `scheduled`, `active`, `paused`, `finished` or `cancelled`; read-only.
    #[schema(example = "active")]
    status: String,
    /// Whether every customer that matches now has a final message; read-only.
    #[schema(example = false)]
    caught_up: bool,
    /// When it was created; read-only.
    #[schema(format = DateTime, example = "2026-11-23T09:58:12.345Z")]
    created_at: String,
}

impl From<Mailing> for MailingBody {
    fn from(mailing: Mailing) -> Self {
        let spec = mailing.spec;
        let window = |window: SendWindow| WindowBody {
            from: window.from(),
            to: window.to(),
        };
        Self {
            id: mailing.id.as_str().to_owned(),
            desc: spec.desc,
            text: spec.text,
            start: time_text(spec.start),
            end: time_text(spec.end),
            tag_filter: spec.tag_filter.pattern().to_owned(),
            operator_filter: spec.operator_filter.pattern().to_owned(),
            phone_filter: spec.phone_filter.pattern().to_owned(),
            send_window: spec.send_window.map(window),
            status: mailing.status.name().to_owned(),
            caught_up: mailing.caught_up,
            created_at: time_text(mailing.created_at),
        }
    }
}

/// What a create and a replace take.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the OpenAPI document alone")]
pub(super) struct MailingInput {
    /// Letters, digits and `-`, up to 64; absent in a create: a UUID is given.
    #[schema(example = "spring-sale")]
    id: Option<String>,
    /// For people.
    #[schema(example = "Spring sale, new customers")]
    desc: Option<String>,
    /// What is sent: 1 to 1,600 characters, no explicit language.
    #[schema(example = "Скидка 20 % на всё до воскресенья!")]
    text: String,
    /// When sending begins.
    #[schema(format = DateTime, example = "2030-11-23T10:00:00Z")]
    start: String,
    /// When it ends; after `start`.
    #[schema(format = DateTime, example = "2030-11-24T10:00:00Z")]
    end: String,
    /// Which tags, as an SQL `ILIKE` pattern; absent: `%`.
    #[schema(example = "clients.%.new")]
    tag_filter: Option<String>,
    /// Which operators, as an SQL `ILIKE` pattern; absent: `%`.
    #[schema(example = "%")]
    operator_filter: Option<String>,
    /// Which phones, as an SQL `ILIKE` pattern; absent: `%`.
    #[schema(example = "%")]
    phone_filter: Option<String>,
    /// Hours in which to send; absent: all.
    send_window: Option<WindowBody>,
}

/// What a preview takes: a mailing, whose times may be absent.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the OpenAPI document alone")]
pub(super) struct PreviewInput {
    /// Letters, digits and `-`, up to 64.
    #[schema(example = "spring-sale")]
    id: Option<String>,
    /// For people.
    #[schema(example = "Spring sale, new customers")]
    desc: Option<String>,
    /// What is sent: 1 to 1,600 characters, no explicit language.
    #[schema(example = "Скидка 20 % на всё до воскресенья!")]
    text: String,
    /// When sending begins.
    #[schema(format = DateTime, example = "2030-11-23T10:00:00Z")]
    start: Option<String>,
    /// When it ends; after `start`.
    #[schema(format = DateTime, example = "2030-11-24T10:00:00Z")]
    end: Option<String>,
    /// Which tags, as an SQL `ILIKE` pattern; absent: `%`.
    #[schema(example = "clients.%.new")]
    tag_filter: Option<String>,
    /// Which operators, as an SQL `ILIKE` pattern; absent: `%`.
    #[schema(example = "%")]
    operator_filter: Option<String>,
    /// Which phones, as an SQL `ILIKE` pattern; absent: `%`.
    #[schema(example = "%")]
    phone_filter: Option<String>,
    /// Hours in which to send; absent: all.
    send_window: Option<WindowBody>,
}

/// A page of mailings.
#[derive(Serialize, ToSchema)]
pub(super) struct MailingPage {
    /// In the order of their creation.
    items: Vec<MailingBody>,
    /// What `after` takes for the page that follows; null at the end.
    #[schema(example = "100")]
    next: Option<String>,
}

/// What a mailing would do.
#[derive(Serialize, ToSchema)]
pub(super) struct PreviewBody {
    /// How many customers match now.
    #[schema(example = 1000)]
    customers: u64,
    /// Some of them.
    sample: Vec<CustomerBody>,
    /// How the text goes over the air.
    sms: SmsBody,
    /// How long sending to all of them takes, in seconds, at the rate below; hours in which a
    /// `send_window` is closed come on top.
    #[schema(example = 12.5)]
    seconds: f64,
    /// Messages a second.
    #[schema(example = 80.0)]
    rate: f64,
    /// Where the rate comes from: `rate_limit`, `measured` or `assumed`.
    #[schema(example = "measured")]
    rate_from: String,
}

/// How a text goes over the air.
#[derive(Serialize, ToSchema)]
pub(super) struct SmsBody {
    /// `GSM-7` or `UCS-2`.
    #[schema(example = "UCS-2")]
    encoding: String,
    /// Septets or 16-bit units.
    #[schema(example = 34)]
    units: usize,
    /// SMS for one customer.
    #[schema(example = 1)]
    segments: usize,
    /// Units that fit in one of them.
    #[schema(example = 70)]
    units_per_segment: usize,
    /// SMS for all customers.
    #[schema(example = 1000)]
    total_segments: u64,
}

/// What `resume` takes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the OpenAPI document alone")]
pub(super) struct ResumeInput {
    /// After a restore: go on with the customers that the backup knows no message of, although
    /// some may have got theirs since it was made.
    #[schema(example = false)]
    accept_duplicates: Option<bool>,
}

/// A time as people read it.
pub(super) fn time_text(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.as_millis()) {
        Ok(time) => time.to_string(),
        Err(_) => "9999-12-30T22:00:00Z".to_owned(),
    }
}

pub(super) fn parse_time(text: &str) -> Result<Timestamp, InvalidValue> {
    let detail = "a time with its offset is needed (RFC 3339), like 2026-11-23T10:00:00Z, and not \
                  after 9999-12-30T22:00:00Z";
    let time = jiff::Timestamp::from_str(text)
        .map_err(|_| InvalidValue::new(Code::InvalidTime, detail))?;
    Ok(Timestamp::from_millis(time.as_millisecond()))
}

fn check_window(fields: &mut Fields) -> Option<SendWindow> {
    let Value::Object(mut window) = fields.take("send_window")? else {
        fields.fault(
            "send_window",
            Code::WrongType,
            "an object with from and to is needed",
        );
        return None;
    };
    let mut text = |name: &str| match window.remove(name) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let (from, to) = (text("from"), text("to"));
    for unknown in window.keys() {
        let field = format!("send_window.{unknown}");
        fields.fault(&field, Code::UnknownField, "there is no such field");
    }
    fields.parse("send_window", Some(from), |from| {
        SendWindow::parse(from, &to)
    })
}

fn check_text(fields: &mut Fields, moderation: Option<&Moderation>) -> Option<MailingText> {
    let text = fields.text("text");
    let text = fields.parse("text", text, MailingText::parse)?;
    if let Some(found) = moderation.and_then(|moderation| moderation.find(text.as_str())) {
        let detail = format!("the text has explicit language: `{}`", found.word);
        fields.fault("text", Code::ExplicitLanguage, detail);
        return None;
    }
    Some(text)
}

/// Checks a mailing field by field; its times may be left out of a preview.
fn check(fields: &mut Fields, api: &Api, needs_times: bool) -> Option<MailingSpec> {
    for read_only in ["status", "caught_up", "created_at"] {
        fields.ignore(read_only);
    }
    let desc = fields.optional_text("desc");
    let desc = fields.parse("desc", Some(desc.unwrap_or_default()), Desc::parse);
    let text = check_text(fields, api.moderation.as_ref());
    let mut filter = |name: &str| {
        let pattern = fields.optional_text(name).unwrap_or_else(|| "%".to_owned());
        fields.parse(name, Some(pattern), Filter::parse)
    };
    let (tag, operator) = (filter("tag_filter"), filter("operator_filter"));
    let phone = filter("phone_filter");
    let mut time = |name: &str| {
        let text = if needs_times {
            fields.text(name)
        } else {
            fields.optional_text(name)
        };
        fields.parse(name, text, parse_time)
    };
    let (start, end) = (time("start"), time("end"));
    if let (Some(start), Some(end)) = (start, end)
        && end <= start
    {
        fields.fault(
            "end",
            Code::EndBeforeStart,
            "the end must be after the start",
        );
    }
    let send_window = check_window(fields);
    let otherwise = (!needs_times).then(Timestamp::default);
    Some(MailingSpec {
        desc: desc?.into_string(),
        text: text?.into_string(),
        start: start.or(otherwise)?,
        end: end.or(otherwise)?,
        tag_filter: tag?,
        operator_filter: operator?,
        phone_filter: phone?,
        send_window,
    })
}

fn parse_id(id: &str) -> Result<MailingId, ApiError> {
    // What cannot be an id is not there.
    MailingId::parse(id).map_err(|_| ApiError::not_found("mailing"))
}

/// Has a command on a mailing executed. Returns the mailing as it is then.
async fn write<A: Intent<Reply = Box<Mailing>>>(
    api: &Api,
    command: Command<A>,
) -> Result<(Mailing, u64), ApiError> {
    let applied = api.write(command).await?;
    Ok((*applied.reply, applied.index))
}

/// Faults that the fields of a mailing can have, in a create, a replace and a preview.
const FIELD_FAULTS: &[Code] = &[
    Code::EmptyText,
    Code::EndBeforeStart,
    Code::ExplicitLanguage,
    Code::InvalidFilter,
    Code::InvalidTime,
    Code::InvalidSendWindow,
    Code::TooLong,
    Code::ControlCharacter,
    Code::Missing,
    Code::WrongType,
];

pub(super) fn routes() -> Vec<Endpoint> {
    let mut routes = routes_of_one();
    routes.extend(routes_of_acts());
    routes
}

fn routes_of_one() -> Vec<Endpoint> {
    vec![
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
            .alias(Method::POST, "/sub"),
        endpoint!(list, Role::Reader, Effect::Reads)
            .paged()
            .codes(&[Code::InvalidLimit, Code::InvalidAfter, Code::InvalidStatus])
            .words("status", MAILING_STATUSES),
        endpoint!(read, Role::Reader, Effect::Reads)
            .finds("mailing")
            .alias(Method::GET, "/sub/{id}")
            .word_as_id(PREVIEW_PATH),
        endpoint!(replace, Role::Operator, Effect::KeyedWrite)
            .takes(Takes::Json)
            .finds("mailing")
            .codes(FIELD_FAULTS)
            .codes(&[
                Code::IdMismatch,
                Code::EndPassed,
                Code::MailingStarted,
                Code::MailingOver,
            ])
            .alias(Method::POST, "/sub/{id}")
            .word_as_id(PREVIEW_PATH),
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
            .blames(Code::WrongType, "accept_duplicates"),
        endpoint!(cancel, Role::Operator, Effect::KeyedWrite)
            .takes(Takes::OptionalJson)
            .finds("mailing")
            .codes(&[Code::MailingOver]),
        // It creates nothing, so a reader may ask.
        endpoint!(preview, Role::Reader, Effect::Reads)
            .takes(Takes::Json)
            .codes(FIELD_FAULTS)
            .codes(&[Code::InvalidId]),
    ]
}

/// Create a mailing
///
/// Every customer that the filters match gets its text between start and end, at most once; a
/// customer who comes to match later too.
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
    let given = fields.optional_text("id");
    let id = given.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let id = fields.parse("id", Some(id), MailingId::parse);
    let spec = check(&mut fields, &api, true);
    let (id, spec) = fields.finish(id.zip(spec))?;
    let (mailing, index) = write(&api, key.bind(CreateMailing { id, spec }, &bytes)).await?;
    tracing::info!(mailing.id = %mailing.id, "mailing {} was created", mailing.id);
    let path = format!("/mailings/{}", mailing.id);
    Ok(with_location(
        reply(StatusCode::CREATED, index, &MailingBody::from(mailing)),
        &path,
    ))
}

/// List mailings
#[utoipa::path(get, path = "/mailings", tag = "mailings", operation_id = "listMailings",
    params(
        ("status" = Option<String>, Query, description = "Only those with this status"),
    ),
    responses((status = 200, body = MailingPage)))]
async fn list(State(api): State<Api>, mut params: Params) -> ApiResult {
    let status = params.parse("status", |text| {
        let detail = "scheduled, active, paused, finished or cancelled is needed";
        MailingStatus::from_name(text).ok_or_else(|| InvalidValue::new(Code::InvalidStatus, detail))
    });
    let limit = params.limit();
    let after = params.after();
    params.finish()?;
    let from = MailingNumber(after.unwrap_or(1).try_into().unwrap_or(u32::MAX));
    let index = api.node.applied_index();
    let page = api.ask(|reader| query::mailings::list(reader, status, from, limit))?;
    let items = page.items.into_iter().map(MailingBody::from).collect();
    let next = page.next.map(|number| number.to_string());
    Ok(reply(StatusCode::OK, index, &MailingPage { items, next }))
}

/// Read a mailing
#[utoipa::path(get, path = "/mailings/{id}", tag = "mailings", operation_id = "getMailing",
    params(("id" = String, Path, description = "The mailing's id", example = "spring-sale")),
    responses((status = 200, body = MailingBody)))]
async fn read(State(api): State<Api>, PathId(id): PathId, params: Params) -> ApiResult {
    params.finish()?;
    let id = parse_id(&id)?;
    let index = api.node.applied_index();
    let mailing = api.ask(|reader| query::mailings::get(reader, &id))?;
    let mailing = mailing.ok_or_else(|| ApiError::not_found("mailing"))?;
    Ok(reply(StatusCode::OK, index, &MailingBody::from(mailing)))
}

/// Replace a mailing
///
/// Takes the whole object. Before its start everything may change; after it `desc`, `send_window`
/// and `end`, while that has not passed.
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
    if let Some(given) = fields.optional_text("id")
        && given != id.as_str()
    {
        fields.fault("id", Code::IdMismatch, "differs from the id in the path");
    }
    let spec = check(&mut fields, &api, true);
    let spec = fields.finish(spec)?;
    let (mailing, index) = write(&api, key.bind(UpdateMailing { id, spec }, &bytes)).await?;
    tracing::info!(mailing.id = %mailing.id, "mailing {} was changed", mailing.id);
    Ok(reply(StatusCode::OK, index, &MailingBody::from(mailing)))
}

/// Delete a mailing
///
/// It is hidden at once, its messages that wait are cancelled.
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
/// Within a second nothing more is sent; what is on its way ends.
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
/// One that comes from a backup is resumed only with `accept_duplicates`: messages that the backup
/// knows stay as they are, the others are sent, under ids that were never used.
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
/// For good: what waits is cancelled, what is on its way ends.
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

/// Does one thing to a mailing.
async fn act<A: Intent<Reply = Box<Mailing>>>(
    api: &Api,
    id: &str,
    key: &IdempotencyKey,
    body: OptionalJsonBody,
    what: &str,
    action: impl FnOnce(MailingId) -> A,
) -> ApiResult {
    let OptionalJsonBody(JsonBody { fields, bytes }) = body;
    fields.finish(Some(()))?;
    let id = parse_id(id)?;
    let (mailing, index) = write(api, key.bind(action(id), &bytes)).await?;
    tracing::info!(mailing.id = %mailing.id, "mailing {} was {what}", mailing.id);
    Ok(reply(StatusCode::OK, index, &MailingBody::from(mailing)))
}

/// Preview a mailing
///
/// How many customers it would reach now, some of them, how many SMS the text makes, and how long
/// sending would take. Creates nothing.
#[utoipa::path(post, path = "/mailings/preview", tag = "mailings", operation_id = "previewMailing",
    request_body = PreviewInput,
    responses((status = 200, body = PreviewBody)))]
async fn preview(State(api): State<Api>, params: Params, body: JsonBody) -> ApiResult {
    let JsonBody { mut fields, .. } = body;
    params.finish()?;
    let id = fields.optional_text("id");
    fields.parse("id", id, MailingId::parse);
    let spec = check(&mut fields, &api, false);
    let spec = fields.finish(spec)?;
    let index = api.node.applied_index();
    let filter = CustomerFilter::of(&spec);
    let (customers, sample) = api.aside(move |api| audience(api, &filter)).await?;
    let found = segments::segments(&spec.text);
    let sms = SmsBody {
        encoding: found.encoding.name().to_owned(),
        units: found.units,
        segments: found.segments,
        units_per_segment: found.units_per_segment,
        total_segments: customers * found.segments as u64,
    };
    let (rate, rate_from) = rate(&api);
    let (seconds, rate_from) = (customers as f64 / rate, rate_from.to_owned());
    let body = PreviewBody {
        customers,
        sample,
        sms,
        seconds,
        rate,
        rate_from,
    };
    Ok(reply(StatusCode::OK, index, &body))
}

/// How many customers match now, and some of them; part by part.
fn audience(api: &ApiParts, filter: &CustomerFilter) -> Result<(u64, Vec<CustomerBody>), ApiError> {
    let (mut customers, mut from) = (0, Some(Seq(0)));
    let mut sample = Vec::new();
    while let Some(seq) = from {
        let (found, next) =
            api.ask(|reader| query::customers::count_matching(reader, filter, seq))?;
        if found > 0 && sample.len() < SAMPLE {
            let wanted = SAMPLE - sample.len();
            let page = api.ask(|reader| query::customers::list(reader, filter, seq, wanted))?;
            sample.extend(page.items.into_iter().map(CustomerBody::from));
        }
        customers += found;
        from = next;
    }
    sample.truncate(SAMPLE);
    Ok((customers, sample))
}

/// Messages a second to reckon with, and where that comes from.
fn rate(api: &Api) -> (f64, &'static str) {
    let measured = api.metrics.sending.mean_latency();
    let latency = measured.unwrap_or(ASSUMED_LATENCY).max(0.000_1);
    let rate = api.capacity.concurrency as f64 / latency;
    let limit = f64::from(api.capacity.rate_limit);
    if limit > 0.0 && limit < rate {
        (limit, "rate_limit")
    } else {
        (
            rate,
            if measured.is_some() {
                "measured"
            } else {
                "assumed"
            },
        )
    }
}
