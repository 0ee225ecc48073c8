//! Domain values. Each is valid because it exists: it is built by parsing only, and
//! [`Invalid`] is the one way parsing fails.

mod characters;
mod customer;
mod delivery;
mod filter;
mod id;
mod invalid;
mod lease;
mod mailing;
mod message;
mod receipt;
mod text;
mod timestamp;
mod window;

pub use customer::{Customer, Phone, Seq};
pub use delivery::{DELIVERIES, Delivery, DeliveryCounts, ERROR_CODE_CHARS, ErrorCode};
pub use filter::{Filter, Matcher, fold};
pub use id::{CustomerId, MailingId, MailingNumber};
pub use invalid::Invalid;
pub use lease::{Epoch, LeaseId, PostmanName, Run};
pub use mailing::{AudienceSpan, Mailing, MailingSpec, MailingStatus};
pub use message::{Counts, Message, MessageId, Reason, STATUSES, SendResult, Status};
pub use receipt::{ReceiptNote, ReceiptSecret, ReceiptState};
pub use text::{Desc, MailingText, Name, Word};
pub use timestamp::Timestamp;
pub use window::{SendWindow, ZoneName, ZoneNumber};
