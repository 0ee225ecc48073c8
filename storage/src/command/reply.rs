//! Replies to commands: one type for each kind, and the enum that the log carries.
//!
//! The table below declares the enum and both ways between it and the types. It knows nothing of
//! commands: `action.rs` says which command has which reply.

use serde::{Deserialize, Serialize};

use super::rejection::Rejection;
use crate::{
    model::{Customer, Epoch, Mailing, MailingNumber, MessageId, Run, Timestamp},
    records::Cursor,
};

/// A reply in its own type.
pub trait FromReply: Into<Reply> {
    /// Takes it out of the enum; `None` if that holds a reply of another type.
    fn from_reply(reply: Reply) -> Option<Self>;
}

impl FromReply for Reply {
    fn from_reply(reply: Reply) -> Option<Self> {
        Some(reply)
    }
}

/// Declares all replies with their numbers and types. As for actions, a number stays.
macro_rules! replies {
    ($($(#[$doc:meta])* $number:literal $reply:ident($own:ty);)*) => {
        $crate::numbered! {
            /// The reply to a command that was executed.
            #[derive(Clone, Debug, PartialEq)]
            pub enum Reply {
                $($(#[$doc])* $number $reply($own),)*
            }
        }

        $(
            impl From<$own> for Reply {
                fn from(own: $own) -> Self {
                    Self::$reply(own)
                }
            }

            impl FromReply for $own {
                fn from_reply(reply: Reply) -> Option<Self> {
                    match reply {
                        Reply::$reply(own) => Some(own),
                        _ => None,
                    }
                }
            }
        )*
    };
}

replies! {
    /// There is nothing to add.
    0 Done(());
    /// Many customers were written.
    1 Customers(CustomersWritten);
    /// One customer was written; as it is now.
    2 Customer(Box<Customer>);
    /// A mailing was written; as it is now.
    3 Mailing(Box<Mailing>);
    /// A mailing looked at customers.
    4 Expanded(Expanded);
    /// Batches were swept, folded or purged.
    5 Swept(SweptBatches);
    /// A postman may get leases under this epoch.
    6 Registered(Epoch);
    /// A lease. `None`: there is none, but what was learnt while looking is kept, and the next ask
    /// goes on from there. The lease's number is not used up.
    7 Granted(Option<GrantedLease>);
    /// A report was taken.
    8 Reported(Reported);
    /// A node was admitted.
    9 Admitted(Admitted);
    /// Receipts were taken, or refused one by one.
    10 Receipts(ReceiptsTaken);
}

/// The reply to a write of many customers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomersWritten {
    /// Customers that are new.
    pub created: u32,
    /// Changed ones, or written again as they were.
    pub updated: u32,
    /// Rows refused, by index.
    pub rejected: Vec<(u32, Rejection)>,
    /// Mailings that are being sent and that new or changed ones of these customers now match, with
    /// their number; for 100 mailings at most.
    pub live: Vec<(MailingNumber, u32)>,
}

/// The reply to an expansion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expanded {
    /// The mailing's cursor after it.
    pub cursor: Cursor,
    /// Messages that it made.
    pub messages: u32,
}

/// The reply to a sweep, a fold or a purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweptBatches {
    /// Batches that were touched.
    pub batches: u32,
    /// True if some are left.
    pub more: bool,
}

/// The reply to a grant that found messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GrantedLease {
    /// The mailing whose messages they are.
    pub mailing: MailingNumber,
    /// The steady time at which it runs out.
    pub expires_at: Timestamp,
    /// The messages with their attempts.
    pub runs: Vec<Run>,
}

/// The reply to a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reported {
    /// Tokens reported for the first time.
    pub accepted: u32,
    /// Tokens reported before with the same result.
    pub repeated: u32,
    /// Tokens that were reported otherwise before.
    pub conflicts: Vec<MessageId>,
}

/// The reply to the admission of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admitted {
    /// The number that the node was given.
    pub node: u64,
}

/// The reply to receipts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptsTaken {
    /// Those that settled something, or said what was not known.
    pub taken: u32,
    /// Those that said what was known, or less.
    pub repeated: u32,
    /// Those that cannot be true, by index.
    pub refused: Vec<(u32, ReceiptRefusal)>,
}

/// The reason for which a receipt changes nothing although its gateway sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReceiptRefusal {
    /// There is no such message.
    Unknown,
    /// The message was dropped after its time.
    Purged,
    /// The message was never given to anyone who could send it.
    NeverSent,
    /// The message was given up for good, without doubt: the gateway cannot have it.
    NotTaken,
}

impl ReceiptRefusal {
    /// The stable name that programs see.
    pub const fn code(self) -> &'static str {
        match self {
            ReceiptRefusal::Unknown => "unknown_message",
            ReceiptRefusal::Purged => "purged",
            ReceiptRefusal::NeverSent => "never_sent",
            ReceiptRefusal::NotTaken => "not_taken",
        }
    }
}
