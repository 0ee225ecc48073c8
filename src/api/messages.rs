//! Messages: read one, list many.
//!
//! Messages are never written through the API: they follow from mailings, customers and reports.

use axum::{
    extract::State,
    http::{Method, StatusCode},
};
use notty_storage::{
    model::{
        CustomerId, Delivery, MailingId, MailingNumber, Message, MessageId, Reason, Seq, Status,
    },
    query::{self, Page, messages::MessageFilter},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Api, ApiError, ApiParts, ApiResult,
    code::Code,
    customers,
    endpoint::{Effect, Endpoint, endpoint},
    error::InvalidValue,
    input::{Params, PathId, number},
    reply,
    times::time_text,
    to_bodies,
};
use crate::config::Role;

/// The statuses that a message can have.
pub(super) const MESSAGE_STATUSES: &[&str] = &[
    "created",
    "sending",
    "done",
    "failed",
    "invalid",
    "expired",
    "cancelled",
    "unconfirmed",
];

/// The deliveries that a message can have.
pub(super) const MESSAGE_DELIVERIES: &[&str] = &["delivered", "undelivered"];

/// One mailing's text to one customer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct MessageBody {
    /// A 63-bit number, the same that the gateway gets.
    #[schema(example = "4294967296")]
    id: String,
    /// Id of the mailing.
    #[schema(example = "spring-sale")]
    mailing_id: String,
    /// Id of the customer.
    #[schema(example = "customer-0000001")]
    customer_id: String,
    /// The customer's phone when the message was created.
    #[schema(example = "+79161112233")]
    phone: String,
    /// The text of the mailing.
    #[schema(example = "Скидка 20 % на всё до воскресенья!")]
    text: String,
    /// Status: `created`, `sending`, `done`, `failed`, `invalid`, `expired`,
    /// `cancelled` or `unconfirmed`.
    #[schema(example = "done")]
    status: String,
    /// Number of tries. An attempt that was handed back before anything was sent does not count.
    #[schema(example = 1)]
    attempts: u16,
    /// Time of its creation.
    #[schema(format = DateTime, example = "2026-11-23T10:00:00.123Z")]
    created_at: String,
    /// Time of the last change of its status.
    #[schema(format = DateTime, example = "2026-11-23T10:00:01.456Z")]
    updated_at: String,
    /// Time at which it was recorded that the gateway took it; only if it is `done`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, example = "2026-11-23T10:00:01.456Z")]
    sent_at: Option<String>,
    /// The gateway's later word of it: `delivered` to the phone, or `undelivered`; only if a receipt has
    /// come.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "delivered")]
    delivery: Option<String>,
    /// Time at which the delivery was noted, to a quarter of a second, or to a 500th of the time since it
    /// was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, example = "2026-11-23T10:00:05.706Z")]
    delivered_at: Option<String>,
    /// The reason for its status, or for what the gateway did not deliver, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<ReasonBody>,
}

/// The reason for which a message has its status.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ReasonBody {
    /// Stable name of the reason. `duplicate_phone`: another customer of the mailing has the same phone, and
    /// its message is the only one to that phone, whatever becomes of it: if the mailing ends first, it is
    /// `expired`, and this one is `cancelled` all the same. `undelivered`: the gateway took it, and reported
    /// later that it did not reach the phone.
    #[schema(example = "duplicate_phone")]
    code: String,
    /// The same in words.
    #[schema(
        example = "the mailing's one message to this phone is another customer's, sent or not"
    )]
    detail: String,
}

impl ReasonBody {
    /// The reason of a message, if there is one.
    fn of(message: &Message) -> Option<Self> {
        match (message.reason, message.delivery) {
            (Some(reason), _) => Some(reason.into()),
            (None, Some(Delivery::Undelivered)) => Some(Self::undelivered(message)),
            (None, _) => None,
        }
    }

    fn undelivered(message: &Message) -> Self {
        let detail = "the gateway reported that it did not reach the phone";
        let detail = match &message.delivery_error {
            Some(code) => format!("{detail}; its code of the error: {}", code.as_str()),
            None => detail.to_owned(),
        };
        let code = Delivery::Undelivered.name().to_owned();
        Self { code, detail }
    }
}

impl From<Reason> for ReasonBody {
    fn from(reason: Reason) -> Self {
        Self {
            code: reason.code().to_owned(),
            detail: reason.detail().to_owned(),
        }
    }
}

impl From<Message> for MessageBody {
    fn from(message: Message) -> Self {
        let reason = ReasonBody::of(&message);
        Self {
            id: message.id.to_string(),
            mailing_id: message.mailing_id.as_str().to_owned(),
            customer_id: message.customer_id.as_str().to_owned(),
            phone: message.phone.to_string(),
            text: message.text,
            status: message.status.name().to_owned(),
            attempts: message.attempts,
            created_at: time_text(message.created_at),
            updated_at: time_text(message.updated_at),
            sent_at: message.sent_at.map(time_text),
            delivery: message.delivery.map(|delivery| delivery.name().to_owned()),
            delivered_at: message.delivered_at.map(time_text),
            reason,
        }
    }
}

/// A page of messages.
#[derive(Serialize, ToSchema)]
pub(super) struct MessagePage {
    /// Ordered by mailing, and in each mailing by creation.
    items: Vec<MessageBody>,
    /// Value of `after` for the page that follows; null at the end.
    #[schema(example = "4294967396")]
    next: Option<String>,
}

impl From<Page<Message, u64>> for MessagePage {
    fn from(page: Page<Message, u64>) -> Self {
        Self {
            items: to_bodies(page.items),
            next: page.next.map(|id| id.to_string()),
        }
    }
}

pub(super) fn routes() -> Vec<Endpoint> {
    vec![
        endpoint!(read, Role::Reader, Effect::Reads)
            .finds("message")
            .alias(Method::GET, "/message/{id}"),
        endpoint!(list, Role::Reader, Effect::Reads)
            .paged()
            .codes(&[
                Code::InvalidStatus,
                Code::InvalidDelivery,
                Code::InvalidId,
                Code::InvalidLimit,
                Code::InvalidAfter,
                Code::NotFound,
            ])
            .says(
                Code::NotFound,
                "there is no such mailing or customer",
                "no mailing is there with this id",
            )
            .words("status", MESSAGE_STATUSES)
            .words("delivery", MESSAGE_DELIVERIES),
    ]
}

/// Read a message by its id
#[utoipa::path(get, path = "/messages/{id}", tag = "messages", operation_id = "getMessage",
    params(("id" = String, Path, description = "The message's id", example = "4294967296")),
    responses((status = 200, body = MessageBody)))]
async fn read(State(api): State<Api>, PathId(id): PathId, params: Params) -> ApiResult {
    params.finish()?;
    let missing = || ApiError::not_found("message");
    let number = number(&id).and_then(MessageId::from_u64);
    let id = number.ok_or_else(missing)?;

    let index = api.position();
    let found = api.ask(|reader| query::messages::get(reader, id))?;
    let message = found.ok_or_else(missing)?;
    Ok(reply(StatusCode::OK, index, &MessageBody::from(message)))
}

/// List messages
///
/// A page can have fewer items than `limit` although more follow: `next` is null at the end only.
#[utoipa::path(get, path = "/messages", tag = "messages", operation_id = "listMessages",
    params(
        ("mailing" = Option<String>, Query, description = "Only those of the mailing with this id"),
        ("customer" = Option<String>, Query,
            description = "Only those to the customer with this id"),
        ("status" = Option<String>, Query, description = "Only those with this status"),
        ("delivery" = Option<String>, Query, description = "Only those with this delivery"),
    ),
    responses((status = 200, body = MessagePage)))]
async fn list(State(api): State<Api>, mut params: Params) -> ApiResult {
    let mailing = params.parse("mailing", MailingId::parse);
    let customer = params.parse("customer", CustomerId::parse);
    let status = params.parse("status", parse_status);
    let delivery = params.parse("delivery", parse_delivery);
    let limit = params.limit();
    let after = params.after();
    params.finish()?;

    let index = api.position();
    // An unknown mailing or customer gives 404, not an empty page.
    let filter = MessageFilter {
        mailing: mailing.map(|id| mailing_number(&api, &id)).transpose()?,
        customer: customer.map(|id| customer_number(&api, &id)).transpose()?,
        status,
        delivery,
    };

    let from = after.unwrap_or(0);
    let page = api
        .aside(move |api| {
            let gathered = api.gather(limit, from, |reader, from, wanted| {
                query::messages::list(reader, &filter, from, wanted)
            });
            gathered.map(MessagePage::from)
        })
        .await?;
    Ok(reply(StatusCode::OK, index, &page))
}

fn parse_status(text: &str) -> Result<Status, InvalidValue> {
    let detail = "created, sending, done, failed, invalid, expired, cancelled or unconfirmed \
                  is needed";
    Status::from_name(text).ok_or_else(|| InvalidValue::new(Code::InvalidStatus, detail))
}

fn parse_delivery(text: &str) -> Result<Delivery, InvalidValue> {
    let detail = "delivered or undelivered is needed";
    Delivery::from_name(text).ok_or_else(|| InvalidValue::new(Code::InvalidDelivery, detail))
}

fn mailing_number(api: &ApiParts, id: &MailingId) -> Result<MailingNumber, ApiError> {
    api.find("mailing", |reader| query::mailings::number_of(reader, id))
}

fn customer_number(api: &ApiParts, id: &CustomerId) -> Result<Seq, ApiError> {
    api.find("customer", |reader| customers::number(reader, id))
}
