//! Statements of a provider about messages, faults of its calls, and the answer to them.

use thiserror::Error;

/// Receipts that one call may bring.
pub const RECEIPTS: usize = 1_000;

/// A provider's statement about one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryReceipt {
    /// The message that it speaks of.
    pub subject: ReceiptSubject,
    /// The fate of the message.
    pub state: ReceiptState,
    /// The provider's code for an error: at most 16 printable bytes of ASCII, where it was not delivered.
    pub error: Option<String>,
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

/// The fate of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptState {
    /// The phone has it.
    Delivered,
    /// The phone will not get it.
    Undelivered,
    /// The provider has it; the rest is not known yet.
    Progress,
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
pub enum ReceiptFault {
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
