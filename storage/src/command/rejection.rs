//! Reasons for which a command is refused.
//!
//! A rejection is a reply and no error: it is the same on every node, and a repeat of the command gets
//! it again. What is wrong with one node alone is [`crate::Error`].

use serde::{Deserialize, Serialize};

use crate::{limits, records::Cursor};

/// The reason for which a command was refused; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    /// A customer with this id exists.
    #[error("a customer with this id exists")]
    CustomerExists,
    /// No customer has this id.
    #[error("no customer has this id")]
    CustomerNotFound,
    /// The customer was deleted and its messages are still being cancelled; try again.
    #[error("the customer was just deleted, its messages are being cancelled; try again")]
    CustomerBusy,
    /// A mailing with this id exists.
    #[error("a mailing with this id exists")]
    MailingExists,
    /// No mailing has this id.
    #[error("no mailing has this id")]
    MailingNotFound,
    /// A field cannot change any more.
    #[error("the mailing has started: {field} cannot change any more")]
    MailingStarted {
        /// The name of the field.
        field: String,
    },
    /// The mailing is over.
    #[error("the mailing is {status}: nothing about its sending can change any more")]
    MailingOver {
        /// The status of the mailing.
        status: String,
    },
    /// The end has passed.
    #[error("the end lies in the past")]
    EndPassed,
    /// Too many mailings are open.
    #[error(
        "{} mailings are open: finish, cancel or delete some first",
        limits::OPEN_MAILINGS
    )]
    TooManyMailings,
    /// The time for it has not come, or has passed.
    #[error("not at this time")]
    NotNow,
    /// The mailing has another cursor than the proposer expected.
    #[error("the mailing stands elsewhere")]
    CursorMoved {
        /// The cursor of the mailing.
        cursor: Cursor,
    },
    /// Nothing is left to do.
    #[error("nothing to do")]
    NothingToDo,
    /// The mailing has no positions left.
    #[error("the mailing has no message numbers left")]
    Exhausted,
    /// The postman was closed by a newer one of its name, or is unknown.
    #[error("the postman is closed: a newer one of its name has registered, or it is unknown")]
    PostmanClosed,
    /// The lease is closed.
    #[error("the lease is closed")]
    LeaseClosed,
    /// The lease does not follow the postman's last one.
    #[error("the lease does not follow the postman's last, which is {last}")]
    LeaseGap {
        /// The postman's last lease.
        last: u64,
    },
    /// The postman has too many leases open.
    #[error("the postman has {} leases open", limits::POSTMAN_LEASES)]
    TooManyLeases,
    /// The key was used with another request.
    #[error("the Idempotency-Key was used with another request")]
    KeyReused,
    /// The caller's share of the keys that are remembered is used up.
    #[error(
        "too many Idempotency-Keys of this caller's last 24 hours are remembered; try again later, \
         or without a key"
    )]
    TooManyKeys,
    /// The command breaks a bound.
    #[error("out of bounds: {what}")]
    OutOfBounds {
        /// The bound that it breaks.
        what: String,
    },
    /// The mailing comes from a backup, and duplicates were not accepted.
    #[error(
        "the mailing comes from a backup, and whom it reached after that is not known: to send to \
         those that it knows no message of, resume it with accept_duplicates: true"
    )]
    DuplicatesNotAccepted,
    /// The node was taken out of the cluster before.
    #[error(
        "this node was removed from the cluster before; it can come back with an empty data \
         directory"
    )]
    NodeDismissed,
    /// The postman had nothing to send for long, and many others have registered since.
    #[error(
        "the postman is not known any more: {} others got something to send, or registered, \
             since it did",
        limits::POSTMEN
    )]
    PostmanForgotten,
    /// All numbers of mailings were given, and message ids with them.
    #[error(
        "no numbers are left for mailings, and so no message ids: begin with an empty data directory"
    )]
    NoNumbersLeft,
    /// The cluster stands at a lower level than the command needs.
    #[error(
        "this needs level {needed}, and the cluster stands at level {level}: upgrade all nodes first"
    )]
    LevelTooLow {
        /// The level that the command needs.
        needed: u32,
        /// The level of the cluster.
        level: u32,
    },
    /// Several customers have the phone by which a row knows its customer.
    #[error("several customers have this phone: give the id of the one that is meant")]
    AmbiguousPhone,
    /// A row has no phone, and its id is that of no customer.
    #[error(
        "no customer has this id, and a new one needs a phone: correct the id, or add the phone"
    )]
    MissingPhone,
}

impl Rejection {
    /// The stable name that programs see.
    pub fn code(&self) -> &'static str {
        match self {
            Rejection::CustomerExists => "customer_exists",
            Rejection::CustomerNotFound | Rejection::MailingNotFound => "not_found",
            Rejection::CustomerBusy => "customer_busy",
            Rejection::AmbiguousPhone => "ambiguous_phone",
            Rejection::MissingPhone => "missing",

            Rejection::MailingExists => "mailing_exists",
            Rejection::MailingStarted { .. } => "mailing_started",
            Rejection::MailingOver { .. } => "mailing_over",
            Rejection::EndPassed => "end_passed",
            Rejection::TooManyMailings => "too_many_mailings",
            Rejection::NotNow => "not_now",

            Rejection::CursorMoved { .. } => "cursor_moved",
            Rejection::NothingToDo => "nothing_to_do",
            Rejection::Exhausted => "exhausted",
            Rejection::PostmanClosed => "postman_closed",
            Rejection::PostmanForgotten => "postman_forgotten",
            Rejection::LeaseClosed => "lease_closed",
            Rejection::LeaseGap { .. } => "lease_gap",
            Rejection::TooManyLeases => "too_many_leases",

            Rejection::KeyReused => "idempotency_key_reused",
            Rejection::TooManyKeys => "too_many_keys",
            Rejection::OutOfBounds { .. } => "out_of_bounds",
            Rejection::DuplicatesNotAccepted => "duplicates_not_accepted",
            Rejection::NodeDismissed => "node_removed",
            Rejection::NoNumbersLeft => "no_numbers_left",
            Rejection::LevelTooLow { .. } => "level_too_low",
        }
    }
}
