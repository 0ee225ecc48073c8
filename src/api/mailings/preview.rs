//! The preview of a mailing: the customers that it would reach now, the SMS of its text, and the time
//! that sending would take. It writes nothing.

use axum::{extract::State, http::StatusCode};
use notty_storage::{
    model::{MailingId, MailingSpec, Seq},
    query::{self, customers::CustomerFilter},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    bodies::PreviewInput,
    check::{FIELD_FAULTS, PeriodRule, check},
};
use crate::{
    api::{
        Api, ApiError, ApiParts, ApiResult, Code,
        customers::CustomerBody,
        endpoint::{Effect, Endpoint, Takes, endpoint},
        input::{JsonBody, Params},
        reply, to_bodies,
    },
    config::Role,
    moderation::Moderation,
    segments::{self, Segments},
};

/// Customers that a preview shows.
const SAMPLE: usize = 5;
/// Time of an answer of the gateway that is assumed before one was measured, in seconds.
const ASSUMED_LATENCY: f64 = 0.05;
/// The shortest time of an answer that an estimate is based on, in seconds.
const LEAST_LATENCY: f64 = 0.000_1;

/// The effect of a mailing if it started now.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct PreviewBody {
    /// Number of customers that match now.
    #[schema(example = 1000)]
    customers: u64,
    /// Up to 5 of these customers.
    sample: Vec<CustomerBody>,
    /// The SMS that the text needs.
    sms: SmsBody,
    /// Time for sending to all of them at the rate of `rate`, in seconds. Hours in which the `send_window`
    /// is closed are not counted.
    #[schema(example = 12.5)]
    seconds: f64,
    /// Messages a second that the estimate is based on.
    #[schema(example = 80.0)]
    rate: f64,
    /// Source of the rate: `rate_limit`, `measured` or `assumed`.
    #[schema(example = "measured")]
    rate_from: String,
}

/// The SMS that a text makes.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct SmsBody {
    /// Encoding of the text: `GSM-7` or `UCS-2`.
    #[schema(example = "UCS-2")]
    encoding: String,
    /// Length of the text in septets or 16-bit units.
    #[schema(example = 34)]
    units: usize,
    /// Number of SMS for one customer.
    #[schema(example = 1)]
    segments: usize,
    /// Units that fit in one SMS of this text.
    #[schema(example = 70)]
    units_per_segment: usize,
    /// Number of SMS for all customers together.
    #[schema(example = 1000)]
    total_segments: u64,
}

impl SmsBody {
    fn of(segments: &Segments, customers: u64) -> Self {
        Self {
            encoding: segments.encoding.name().to_owned(),
            units: segments.units,
            segments: segments.segments,
            units_per_segment: segments.units_per_segment,
            total_segments: customers * segments.segments as u64,
        }
    }
}

pub(super) fn route() -> Endpoint {
    // It writes nothing, so a reader may ask.
    endpoint!(preview, Role::Reader, Effect::Reads)
        .takes(Takes::Json)
        .codes(FIELD_FAULTS)
        .codes(&[Code::InvalidId])
}

/// Preview a mailing
///
/// The number of customers that it would reach now, some of them, the number of SMS that the text makes,
/// and the time that sending would take. Creates nothing.
#[utoipa::path(post, path = "/mailings/preview", tag = "mailings", operation_id = "previewMailing",
    request_body = PreviewInput,
    responses((status = 200, body = PreviewBody)))]
async fn preview(State(api): State<Api>, params: Params, body: JsonBody) -> ApiResult {
    params.finish()?;
    let spec = parse_spec(body, api.moderation.as_ref())?;

    let index = api.position();
    let filter = CustomerFilter::of(&spec);
    // Looks at all customers, for which neither entries nor other requests wait.
    let audience = api.aside(move |api| audience(api, &filter)).await?;

    let rate = rate(&api);
    let body = PreviewBody {
        customers: audience.customers,
        sample: audience.sample,
        sms: SmsBody::of(&segments::segments(&spec.text), audience.customers),
        seconds: audience.customers as f64 / rate.per_second,
        rate: rate.per_second,
        rate_from: rate.source.to_owned(),
    };
    Ok(reply(StatusCode::OK, index, &body))
}

fn parse_spec(body: JsonBody, moderation: Option<&Moderation>) -> Result<MailingSpec, ApiError> {
    let JsonBody { mut fields, .. } = body;
    // Checked as in a create, although nothing is created under it.
    let id = fields.optional_text("id");
    fields.parse("id", id, MailingId::parse);
    let checked = check(&mut fields, moderation, PeriodRule::Optional);
    fields.finish(checked)
}

/// The customers that match now.
struct MatchingCustomers {
    customers: u64,
    sample: Vec<CustomerBody>,
}

/// Counts the customers that match, in parts, so that the state is released between them.
fn audience(api: &ApiParts, filter: &CustomerFilter) -> Result<MatchingCustomers, ApiError> {
    let mut customers = 0;
    let mut sample = Vec::new();
    let mut from = Some(Seq(0));

    // Nothing holds the state still between two parts: a customer that is written meanwhile may count.
    while let Some(seq) = from {
        let (found, next) =
            api.ask(|reader| query::customers::count_matching(reader, filter, seq))?;

        // The sample comes from the first parts that have matches. Count and list look through the same
        // customers from a number on, so that nobody is in the sample twice.
        if found > 0 && sample.len() < SAMPLE {
            let wanted = SAMPLE - sample.len();
            sample.extend(some_of(api, filter, seq, wanted)?);
        }

        customers += found;
        from = next;
    }
    Ok(MatchingCustomers { customers, sample })
}

/// Up to so many of the customers of one part.
fn some_of(
    api: &ApiParts,
    filter: &CustomerFilter,
    from: Seq,
    wanted: usize,
) -> Result<Vec<CustomerBody>, ApiError> {
    let page = api.ask(|reader| query::customers::list(reader, filter, from, wanted))?;
    Ok(to_bodies(page.items))
}

/// A rate of sending.
struct Rate {
    per_second: f64,
    source: &'static str,
}

/// The rate of sending that can be expected: the configured limit, or what the gateway's latency
/// allows if that is less.
fn rate(api: &Api) -> Rate {
    let possible = possible_rate(api);
    let limit = f64::from(api.capacity.rate_limit);
    if limit > 0.0 && limit < possible.per_second {
        return Rate {
            per_second: limit,
            source: "rate_limit",
        };
    }
    possible
}

/// The rate that the gateway's latency allows with as many requests in flight as are configured.
fn possible_rate(api: &Api) -> Rate {
    let measured = api.metrics.sending.mean_latency();
    let latency = measured.unwrap_or(ASSUMED_LATENCY).max(LEAST_LATENCY);
    Rate {
        per_second: api.capacity.concurrency as f64 / latency,
        source: measured.map_or("assumed", |_| "measured"),
    }
}
