//! Messages: one, a list.

use axum::{
    extract::State,
    http::{Method, StatusCode},
};
use notty_storage::{
    model::{CustomerId, MailingId, Message, MessageId, Status},
    query::{self, messages::MessageFilter},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Answer, Api, ApiError, ApiParts,
    code::Code,
    customers,
    endpoint::{Effect, Endpoint, endpoint},
    error::Wrong,
    input::{Params, PathId, number},
    mailings::time_text,
    reply,
};
use crate::config::Role;

/// The statuses of a message.
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
/// Parts of a list that one answer looks at, at most.
const PARTS: usize = 50;

/// A message.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct MessageBody {
    /// A 63-bit number, the same that the gateway gets.
    #[schema(example = "4294967296")]
    id: String,
    /// Its mailing.
    #[schema(example = "spring-sale")]
    mailing_id: String,
    /// Its customer.
    #[schema(example = "customer-0000001")]
    customer_id: String,
    /// The phone that it was expanded with.
    #[schema(example = "+79161112233")]
    phone: String,
    /// What it says.
    #[schema(example = "Скидка 20 % на всё до воскресенья!")]
    text: String,
    /// What has become of it: `created`, `sending`, `done`, `failed`, `invalid`, `expired`,
    /// `cancelled` or `unconfirmed`.
    #[schema(example = "done")]
    status: String,
    /// Tries, without what was handed back untried.
    #[schema(example = 1)]
    attempts: u16,
    /// When it was expanded.
    #[schema(format = DateTime, example = "2026-11-23T10:00:00.123Z")]
    created_at: String,
    /// When its status last changed.
    #[schema(format = DateTime, example = "2026-11-23T10:00:01.456Z")]
    updated_at: String,
    /// When the gateway's taking it was recorded; only if it is `done`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, example = "2026-11-23T10:00:01.456Z")]
    sent_at: Option<String>,
}

impl From<Message> for MessageBody {
    fn from(message: Message) -> Self {
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
        }
    }
}

/// A page of messages.
#[derive(Serialize, ToSchema)]
pub(super) struct MessagePage {
    /// In the order of their mailings, and of their making in each.
    items: Vec<MessageBody>,
    /// What `after` takes for the page that follows; null at the end.
    #[schema(example = "4294967396")]
    next: Option<String>,
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
            .words("status", MESSAGE_STATUSES),
    ]
}

/// Read a message
#[utoipa::path(get, path = "/messages/{id}", tag = "messages", operation_id = "getMessage",
    params(("id" = String, Path, description = "The message's id", example = "4294967296")),
    responses((status = 200, body = MessageBody)))]
async fn read(State(api): State<Api>, PathId(id): PathId, params: Params) -> Answer {
    params.finish()?;
    let id = number(&id).and_then(MessageId::from_u64);
    let id = id.ok_or_else(|| ApiError::not_found("message"))?;
    let index = api.node.applied_index();
    let message = api.ask(|reader| query::messages::get(reader, id))?;
    let message = message.ok_or_else(|| ApiError::not_found("message"))?;
    Ok(reply(StatusCode::OK, index, &MessageBody::from(message)))
}

/// List messages
///
/// A page may hold fewer than asked for and still have a next.
#[utoipa::path(get, path = "/messages", tag = "messages", operation_id = "listMessages",
    params(
        ("mailing" = Option<String>, Query, description = "Only those of the mailing with this id"),
        ("customer" = Option<String>, Query,
            description = "Only those to the customer with this id"),
        ("status" = Option<String>, Query, description = "Only those with this status"),
    ),
    responses((status = 200, body = MessagePage)))]
async fn list(State(api): State<Api>, mut params: Params) -> Answer {
    let mailing = params.parse("mailing", MailingId::parse);
    let customer = params.parse("customer", CustomerId::parse);
    let status = params.parse("status", |text| {
        let detail = "created, sending, done, failed, invalid, expired, cancelled or unconfirmed \
                      is needed";
        Status::from_name(text).ok_or_else(|| Wrong::new(Code::InvalidStatus, detail))
    });
    let limit = params.limit();
    let after = params.after();
    params.finish()?;
    let index = api.node.applied_index();
    let mut filter = MessageFilter {
        mailing: None,
        customer: None,
        status,
    };
    if let Some(id) = mailing {
        let number = api.ask(|reader| query::mailings::number_of(reader, &id))?;
        filter.mailing = Some(number.ok_or_else(|| ApiError::not_found("mailing"))?);
    }
    if let Some(id) = customer {
        let number = api.ask(|reader| customers::number(reader, &id))?;
        filter.customer = Some(number.ok_or_else(|| ApiError::not_found("customer"))?);
    }
    let from = after.unwrap_or(0);
    let page = api
        .aside(move |api| gather(api, &filter, from, limit))
        .await?;
    Ok(reply(StatusCode::OK, index, &page))
}

/// A page of messages, part by part.
fn gather(
    api: &ApiParts,
    filter: &MessageFilter,
    mut from: u64,
    limit: usize,
) -> Result<MessagePage, ApiError> {
    let (mut items, mut next) = (Vec::new(), None);
    for _ in 0..PARTS {
        let wanted = limit - items.len();
        let page = api.ask(|reader| query::messages::list(reader, filter, from, wanted))?;
        items.extend(page.items.into_iter().map(MessageBody::from));
        next = page.next;
        match page.next {
            Some(id) if items.len() < limit => from = id,
            _ => break,
        }
    }
    Ok(MessagePage {
        items,
        next: next.map(|id| id.to_string()),
    })
}
