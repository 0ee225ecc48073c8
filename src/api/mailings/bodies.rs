//! The bodies of requests and answers about mailings.
//!
//! Inputs exist for the OpenAPI document alone: requests are parsed field by field in
//! [`check`](mod@super::check), so that all faults are found at once.

use notty_storage::{
    model::{Mailing, MailingNumber, SendWindow},
    query::Page,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::{times::time_text, to_bodies};

/// The hours of a day in which a mailing may send, in the customer's local time.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "from": "09:00", "to": "21:00" }))]
pub(in crate::api) struct WindowBody {
    /// Start of the window, inclusive.
    #[schema(example = "09:00")]
    from: String,
    /// End of the window, exclusive; if it lies before `from`, the window crosses midnight.
    #[schema(example = "21:00")]
    to: String,
}

impl From<SendWindow> for WindowBody {
    fn from(window: SendWindow) -> Self {
        Self {
            from: window.from(),
            to: window.to(),
        }
    }
}

/// A text that is sent to all customers that match, between start and end.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::api) struct MailingBody {
    /// Id of 1 to 64 letters and digits of any script, and `-_.@+`; absent in a create: a UUID is generated.
    #[schema(example = "spring-sale")]
    id: String,
    /// Description for people; it is not sent.
    #[schema(example = "Spring sale, new customers")]
    desc: String,
    /// The text that is sent: 1 to 1,600 characters.
    #[schema(example = "Скидка 20 % на всё до воскресенья!")]
    text: String,
    /// Time at which sending begins.
    #[schema(format = DateTime, example = "2026-11-23T10:00:00Z")]
    start: String,
    /// Time at which sending ends; after `start`.
    #[schema(format = DateTime, example = "2035-11-24T10:00:00Z")]
    end: String,
    /// SQL `ILIKE` pattern that the customer's tag must match; absent: `%`, which matches all.
    #[schema(example = "clients.%.new")]
    tag_filter: String,
    /// SQL `ILIKE` pattern that the customer's operator must match; absent: `%`.
    #[schema(example = "%")]
    operator_filter: String,
    /// SQL `ILIKE` pattern that the customer's phone must match; absent: `%`.
    #[schema(example = "+7916%")]
    phone_filter: String,
    /// Hours in which messages may be sent; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    send_window: Option<WindowBody>,
    /// `until_end`: customers who begin to match while it is active get it too. `at_start`: only customers
    /// who match when it starts.
    #[schema(example = "until_end")]
    audience: String,
    /// True if a phone gets one message at most: further customers with it get a message that is
    /// `cancelled` from the beginning, with the reason `duplicate_phone`.
    #[schema(example = true)]
    unique_phones: bool,
    /// Status: `scheduled`, `active`, `paused`, `finished` or `cancelled`; read-only.
    #[schema(example = "active")]
    status: String,
    /// True if every customer that matches now has a final message; read-only.
    #[schema(example = false)]
    caught_up: bool,
    /// Time of its creation; read-only.
    #[schema(format = DateTime, example = "2026-11-23T09:58:12.345Z")]
    created_at: String,
}

impl From<Mailing> for MailingBody {
    fn from(mailing: Mailing) -> Self {
        let spec = mailing.spec;
        Self {
            id: mailing.id.as_str().to_owned(),
            desc: spec.desc,
            text: spec.text,
            start: time_text(spec.start),
            end: time_text(spec.end),
            tag_filter: spec.tag_filter.pattern().to_owned(),
            operator_filter: spec.operator_filter.pattern().to_owned(),
            phone_filter: spec.phone_filter.pattern().to_owned(),
            send_window: spec.send_window.map(WindowBody::from),
            audience: spec.audience.name().to_owned(),
            unique_phones: spec.unique_phones,
            status: mailing.status.name().to_owned(),
            caught_up: mailing.caught_up,
            created_at: time_text(mailing.created_at),
        }
    }
}

/// The body of a create and of a replace.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the OpenAPI document alone")]
pub(in crate::api) struct MailingInput {
    /// Id of 1 to 64 letters and digits of any script, and `-_.@+`; absent in a create: a UUID is generated.
    #[schema(example = "spring-sale")]
    id: Option<String>,
    /// Description for people; it is not sent.
    #[schema(example = "Spring sale, new customers")]
    desc: Option<String>,
    /// The text that is sent: 1 to 1,600 characters, without explicit language.
    #[schema(example = "Скидка 20 % на всё до воскресенья!")]
    text: String,
    /// Time at which sending begins.
    #[schema(format = DateTime, example = "2030-11-23T10:00:00Z")]
    start: String,
    /// Time at which sending ends; after `start`.
    #[schema(format = DateTime, example = "2030-11-24T10:00:00Z")]
    end: String,
    /// SQL `ILIKE` pattern that the customer's tag must match; absent: `%`, which matches all.
    #[schema(example = "clients.%.new")]
    tag_filter: Option<String>,
    /// SQL `ILIKE` pattern that the customer's operator must match; absent: `%`.
    #[schema(example = "%")]
    operator_filter: Option<String>,
    /// SQL `ILIKE` pattern that the customer's phone must match; absent: `%`.
    #[schema(example = "%")]
    phone_filter: Option<String>,
    /// Hours in which messages may be sent; absent: all.
    send_window: Option<WindowBody>,
    /// `until_end`: customers who begin to match while it is active get it too. `at_start`: only customers
    /// who match when it starts. Absent: `until_end`.
    #[schema(example = "at_start")]
    audience: Option<String>,
    /// True if a phone gets one message at most, however many customers have it; absent: true.
    #[schema(example = true)]
    unique_phones: Option<bool>,
}

/// The body of a preview: a mailing whose times may be absent.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the OpenAPI document alone")]
pub(in crate::api) struct PreviewInput {
    /// Id of 1 to 64 letters and digits of any script, and `-_.@+`.
    #[schema(example = "spring-sale")]
    id: Option<String>,
    /// Description for people; it is not sent.
    #[schema(example = "Spring sale, new customers")]
    desc: Option<String>,
    /// The text that is sent: 1 to 1,600 characters, without explicit language.
    #[schema(example = "Скидка 20 % на всё до воскресенья!")]
    text: String,
    /// Time at which sending begins.
    #[schema(format = DateTime, example = "2030-11-23T10:00:00Z")]
    start: Option<String>,
    /// Time at which sending ends; after `start`.
    #[schema(format = DateTime, example = "2030-11-24T10:00:00Z")]
    end: Option<String>,
    /// SQL `ILIKE` pattern that the customer's tag must match; absent: `%`, which matches all.
    #[schema(example = "clients.%.new")]
    tag_filter: Option<String>,
    /// SQL `ILIKE` pattern that the customer's operator must match; absent: `%`.
    #[schema(example = "%")]
    operator_filter: Option<String>,
    /// SQL `ILIKE` pattern that the customer's phone must match; absent: `%`.
    #[schema(example = "%")]
    phone_filter: Option<String>,
    /// Hours in which messages may be sent; absent: all.
    send_window: Option<WindowBody>,
    /// `until_end`: customers who begin to match while it is active get it too. `at_start`: only customers
    /// who match when it starts. Absent: `until_end`.
    #[schema(example = "at_start")]
    audience: Option<String>,
    /// True if a phone gets one message at most, however many customers have it; absent: true.
    #[schema(example = true)]
    unique_phones: Option<bool>,
}

/// A page of mailings.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct MailingPage {
    /// Mailings in the order of their creation.
    items: Vec<MailingBody>,
    /// Value of `after` for the page that follows; null at the end.
    #[schema(example = "100")]
    next: Option<String>,
}

impl From<Page<Mailing, MailingNumber>> for MailingPage {
    fn from(page: Page<Mailing, MailingNumber>) -> Self {
        Self {
            items: to_bodies(page.items),
            next: page.next.map(|number| number.to_string()),
        }
    }
}

/// The body of a resume.
#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the OpenAPI document alone")]
pub(in crate::api) struct ResumeInput {
    /// After a restore: true to go on with customers for whom the backup has no message, although some
    /// may have got one after the backup was made.
    #[schema(example = false)]
    accept_duplicates: Option<bool>,
}
