//! Statements of a provider about messages, faults of its calls, and the answer to them.

use notty_storage::model::{ErrorCode, MessageId, ReceiptState};
use thiserror::Error;

use crate::gateway::profile::encode::id_31;

/// Receipts that one call may bring.
pub const RECEIPTS: usize = 1_000;

/// A provider's statement about one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryReceipt {
    /// The message that it speaks of.
    pub subject: ReceiptSubject,
    /// The fate of the message.
    pub state: ReceiptState,
    /// The provider's code for an error, where it was not delivered; empty if it named none.
    pub error: ErrorCode,
}

/// The way in which a receipt names its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptSubject {
    /// The message whose URL was called.
    Url,
    /// Our id. At the URL of another message it proves nothing.
    OwnId(u64),
    /// The number of 31 bits that follows from our id; two messages can have the same.
    OwnId31(u32),
    /// The provider's id, at most 256 bytes.
    ProviderId(String),
}

impl ReceiptSubject {
    /// True if it can name a message, as far as the call of that message's URL shows. A provider's id names
    /// none there: what it stands for is not known.
    pub fn may_be(&self, id: MessageId) -> bool {
        match self {
            Self::Url => true,
            Self::OwnId(own) => *own == id.as_u64(),
            Self::OwnId31(own) => *own == id_31(id.as_u64()),
            Self::ProviderId(_) => false,
        }
    }
}

/// The answer that a provider takes for "noted".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptReply {
    /// The status, from 200 to 299.
    pub status: u16,
    /// The type of the body; `None` if there is no body.
    pub content_type: Option<String>,
    /// The body, to the byte.
    pub body: String,
}

/// The reason why a call is refused. It repeats no value, which might be a phone.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ReceiptCallFault {
    /// The list of receipts is not where the profile says.
    #[error("there is no list of receipts at `{0}`")]
    NoList(String),
    /// A value that each receipt has is not there.
    #[error("a receipt has no `{0}`")]
    Missing(String),
    /// The id cannot be one.
    #[error("a receipt has something in `{0}` that is no id")]
    NoId(String),
    /// More receipts than one call may bring.
    #[error("the call has more than {RECEIPTS} receipts")]
    TooMany,
    /// The signature is missing or wrong.
    #[error("the call is not signed with the secret `{0}`")]
    NotSigned(String),
}
