//! Stats: counts of messages by status, of all, of a mailing, of a customer, by tag, operator and day.
//!
//! Counts that the state keeps are read at once. Those of a customer and those with a filter are
//! counted when they are asked for, in parts, on a thread of their own.

use axum::{
    extract::State,
    http::{Method, StatusCode},
};
use notty_storage::{
    Reader,
    model::{Counts, DeliveryCounts, Filter, MailingId, Status},
    query::{
        self,
        filtered::{FilteredCount, StatsFilter},
        stats::CustomerCount,
    },
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api, ApiError, ApiResult,
    code::Code,
    customers::{self, parse_id},
    endpoint::{Effect, Endpoint, endpoint},
    error::InvalidValue,
    input::{Params, PathId},
    reply,
};
use crate::config::Role;

/// One count for each status; every message is in exactly one.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct StatsBody {
    /// Waiting to be sent.
    #[schema(example = 0)]
    created: u64,
    /// Granted to a postman under a lease.
    #[schema(example = 256)]
    sending: u64,
    /// Taken by the gateway; final.
    #[schema(example = 9700)]
    done: u64,
    /// Not taken by the gateway, or in doubt at an idempotent one; will be tried again.
    #[schema(example = 3)]
    failed: u64,
    /// Refused by the gateway for good; final.
    #[schema(example = 40)]
    invalid: u64,
    /// Not sent, because the mailing ended first; final.
    #[schema(example = 0)]
    expired: u64,
    /// Not sent, because the mailing was cancelled or deleted, the customer was deleted, or another
    /// customer's message goes to the same phone; final.
    #[schema(example = 0)]
    cancelled: u64,
    /// Perhaps taken by the gateway, so it is not sent again; final.
    #[schema(example = 1)]
    unconfirmed: u64,
    /// The same messages by delivery, as far as receipts have come.
    delivery: DeliveryBody,
}

/// Counts of messages of which gateways reported later; all of them are `done`.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct DeliveryBody {
    /// Those that reached their phones.
    #[schema(example = 9000)]
    delivered: u64,
    /// Those that did not reach their phones, as far as the gateway knows.
    #[schema(example = 200)]
    undelivered: u64,
}

impl From<DeliveryCounts> for DeliveryBody {
    fn from(counts: DeliveryCounts) -> Self {
        Self {
            delivered: counts.delivered,
            undelivered: counts.undelivered,
        }
    }
}

/// Counts by status and by delivery, of one position.
type BothCounts = (Counts, DeliveryCounts);

impl From<BothCounts> for StatsBody {
    fn from((counts, delivery): BothCounts) -> Self {
        Self {
            created: counts.of(Status::Created),
            sending: counts.of(Status::Sending),
            done: counts.of(Status::Done),
            failed: counts.of(Status::Failed),
            invalid: counts.of(Status::Invalid),
            expired: counts.of(Status::Expired),
            cancelled: counts.of(Status::Cancelled),
            unconfirmed: counts.of(Status::Unconfirmed),
            delivery: delivery.into(),
        }
    }
}

pub(super) fn routes() -> Vec<Endpoint> {
    vec![
        // The first Notty had each of these under other paths, in part under two.
        endpoint!(overall, Role::Reader, Effect::Reads)
            .codes(&[Code::ToBeforeFrom, Code::InvalidDate, Code::InvalidFilter])
            .alias(Method::GET, "/stats/"),
        endpoint!(of_mailing, Role::Reader, Effect::Reads)
            .finds("mailing")
            .alias(Method::GET, "/stats/subscription/{id}")
            .alias(Method::GET, "/stats/subs/{id}"),
        endpoint!(of_customer, Role::Reader, Effect::Reads)
            .finds("customer")
            .alias(Method::GET, "/stats/customer/{id}"),
        endpoint!(stats_of_mailing, Role::Reader, Effect::Reads)
            .finds("mailing")
            .alias(Method::GET, "/sub/{id}/stats")
            .alias(Method::GET, "/subscription/{id}/stats"),
        endpoint!(stats_of_customer, Role::Reader, Effect::Reads)
            .finds("customer")
            .alias(Method::GET, "/customer/{id}/stats"),
    ]
}

/// Parses a date into days since 1970-01-01.
fn parse_day(text: &str) -> Result<i32, InvalidValue> {
    let days = days_since_1970(text);
    days.ok_or_else(|| InvalidValue::new(Code::InvalidDate, "a date is needed, like 2026-11-23"))
}

fn days_since_1970(text: &str) -> Option<i32> {
    let date: jiff::civil::Date = text.parse().ok()?;
    // The parser also takes other forms, years beyond four digits, and a time of day after the date.
    if date.year() < 0 || date.to_string() != text {
        return None;
    }
    let epoch = jiff::civil::date(1970, 1, 1);
    Some(date.since(epoch).ok()?.get_days())
}

/// The filter of a request; `None` if the request has no filter. Rejects a period that ends before
/// it begins.
fn stats_filter(mut params: Params) -> Result<Option<StatsFilter>, ApiError> {
    let tag = params.parse("tag", Filter::parse);
    let operator = params.parse("operator", Filter::parse);
    let from_day = params.parse("from", parse_day);
    let to_day = params.parse("to", parse_day);
    params.finish()?;

    check_period(from_day, to_day)?;

    // A request without a filter needs no count: the state has the numbers of everything ready.
    let has_filter = tag.is_some() || operator.is_some() || from_day.is_some() || to_day.is_some();
    Ok(has_filter.then(|| StatsFilter {
        tag: tag.unwrap_or_default(),
        operator: operator.unwrap_or_default(),
        // No message is older than 1970.
        from_day: from_day.unwrap_or(0),
        to_day: to_day.unwrap_or(i32::MAX),
    }))
}

/// Rejects a period that ends before it begins, which one with an open end never does.
fn check_period(from: Option<i32>, to: Option<i32>) -> Result<(), ApiError> {
    if from.zip(to).is_none_or(|(from, to)| from <= to) {
        return Ok(());
    }
    let detail = "the last day lies before the first";
    Err(ApiError::invalid_field("to", Code::ToBeforeFrom, detail))
}

/// Stats of everything
///
/// `tag` and `operator` are SQL `ILIKE` patterns. They are matched with the customer's tag and
/// operator as they were when the message was created. `from` and `to` are UTC days of the messages'
/// creation, both inclusive.
#[utoipa::path(get, path = "/stats", tag = "stats", operation_id = "getStats",
    params(
        ("tag" = Option<String>, Query,
            description = "Only to customers whose tag matches: an SQL `ILIKE` pattern"),
        ("operator" = Option<String>, Query,
            description = "Only to customers whose operator matches: an SQL `ILIKE` pattern"),
        ("from" = Option<String>, Query, format = Date,
            description = "Only those created on this UTC day or later"),
        ("to" = Option<String>, Query, format = Date,
            description = "Only those created on this UTC day or earlier; not before `from`"),
    ),
    responses((status = 200, body = StatsBody)))]
async fn overall(State(api): State<Api>, params: Params) -> ApiResult {
    let filter = stats_filter(params)?;
    let index = api.position();
    let counts = match filter {
        Some(filter) => {
            let begin = move |reader: &Reader<'_>| Ok(FilteredCount::begin(reader, filter.clone()));
            let count = api.aside(move |api| api.count(begin)).await?;
            (count.counts(), count.delivery())
        }
        // Without a filter the state has the counts ready.
        None => api.ask(|reader| {
            let counts = query::stats::overall(reader)?;
            Ok((counts, query::stats::overall_delivery(reader)?))
        })?,
    };
    Ok(reply(StatusCode::OK, index, &StatsBody::from(counts)))
}

async fn mailing_counts(api: &Api, id: &str) -> ApiResult {
    let id = MailingId::parse(id).map_err(|_| ApiError::not_found("mailing"))?;
    let index = api.position();
    let counts = api.find("mailing", |reader| {
        match query::mailings::number_of(reader, &id)? {
            Some(number) => {
                let counts = query::stats::of_mailing(reader, number)?;
                Ok(counts.zip(query::stats::delivery_of_mailing(reader, number)?))
            }
            None => Ok(None),
        }
    })?;
    Ok(reply(StatusCode::OK, index, &StatsBody::from(counts)))
}

async fn customer_counts(api: &Api, id: &str) -> ApiResult {
    let id = parse_id(id)?;
    let index = api.position();
    let number = api.find("customer", |reader| customers::number(reader, &id))?;
    let begin = move |reader: &Reader<'_>| CustomerCount::begin(reader, number);
    let count = api.aside(move |api| api.count(begin)).await?;
    let counts = (count.counts(), count.delivery());
    Ok(reply(StatusCode::OK, index, &StatsBody::from(counts)))
}

/// Stats of a mailing
#[utoipa::path(get, path = "/stats/mailings/{id}", tag = "stats", operation_id = "getStatsOfMailing",
    params(("id" = String, Path, description = "The mailing's id", example = "spring-sale")),
    responses((status = 200, body = StatsBody)))]
async fn of_mailing(State(api): State<Api>, PathId(id): PathId, params: Params) -> ApiResult {
    params.finish()?;
    mailing_counts(&api, &id).await
}

/// Stats of a customer
#[utoipa::path(get, path = "/stats/customers/{id}", tag = "stats", operation_id = "getStatsOfCustomer",
    params(("id" = String, Path, description = "The customer's id", example = "customer-0000001")),
    responses((status = 200, body = StatsBody)))]
async fn of_customer(State(api): State<Api>, PathId(id): PathId, params: Params) -> ApiResult {
    params.finish()?;
    customer_counts(&api, &id).await
}

/// Stats of a mailing
#[utoipa::path(get, path = "/mailings/{id}/stats", tag = "mailings", operation_id = "getMailingStats",
    params(("id" = String, Path, description = "The mailing's id", example = "spring-sale")),
    responses((status = 200, body = StatsBody)))]
async fn stats_of_mailing(State(api): State<Api>, PathId(id): PathId, params: Params) -> ApiResult {
    params.finish()?;
    mailing_counts(&api, &id).await
}

/// Stats of a customer
#[utoipa::path(get, path = "/customers/{id}/stats", tag = "customers", operation_id = "getCustomerStats",
    params(("id" = String, Path, description = "The customer's id", example = "customer-0000001")),
    responses((status = 200, body = StatsBody)))]
async fn stats_of_customer(
    State(api): State<Api>,
    PathId(id): PathId,
    params: Params,
) -> ApiResult {
    params.finish()?;
    customer_counts(&api, &id).await
}
