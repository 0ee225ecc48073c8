//! Every possible write, as a type of its own that knows the type of its reply.
//!
//! The table below is the one place that ties a write to its reply. `apply` is checked against it by
//! the compiler, and so is everyone who proposes: a reply of another type cannot be written.

use serde::{Deserialize, Serialize};

use super::{
    kept::KeptFields,
    reply::{
        Admitted, CustomersWritten, Expanded, FromReply, GrantedLease, ReceiptsTaken, Reply,
        Reported, SweptBatches,
    },
    row_phone,
};
use crate::{
    model::{
        Customer, CustomerId, Epoch, LeaseId, Mailing, MailingId, MailingNumber, MailingSpec,
        Phone, PostmanName, ReceiptNote, ReceiptSecret, Run, SendResult, Timestamp, ZoneNumber,
    },
    records::Cursor,
};

/// A write that knows the type of its reply.
pub trait Intent: Into<Action> {
    /// The reply to it, once it was executed.
    type Reply: FromReply;
}

/// An action of any kind has a reply of any kind.
impl Intent for Action {
    type Reply = Reply;
}

/// Declares all actions, each with its number and its reply. A number is the form of the action in the
/// log: it stays, and none is used again.
macro_rules! actions {
    ($($number:literal $action:ident -> $reply:ty;)*) => {
        $crate::numbered! {
            /// Every write that there is.
            #[derive(Clone, Debug, PartialEq)]
            pub enum Action {
                $(#[doc = concat!("See [`", stringify!($action), "`].")] $number $action($action),)*
            }
        }

        $(
            impl From<$action> for Action {
                fn from(action: $action) -> Self {
                    Self::$action(action)
                }
            }

            impl Intent for $action {
                type Reply = $reply;
            }
        )*
    };
}

actions! {
    0 PutCustomers -> CustomersWritten;
    1 PutCustomer -> Box<Customer>;
    2 DeleteCustomer -> ();
    3 SweepDeleted -> SweptBatches;
    4 CreateMailing -> Box<Mailing>;
    5 UpdateMailing -> Box<Mailing>;
    6 PauseMailing -> Box<Mailing>;
    7 ResumeMailing -> Box<Mailing>;
    8 CancelMailing -> Box<Mailing>;
    9 DeleteMailing -> ();
    10 StartMailing -> ();
    11 EndMailing -> ();
    12 Expand -> Expanded;
    13 SweepMailing -> SweptBatches;
    14 FoldMailing -> SweptBatches;
    15 PurgeMailing -> SweptBatches;
    16 RegisterPostman -> Epoch;
    17 Grant -> Option<GrantedLease>;
    18 Report -> Reported;
    19 ExpireLease -> ();
    20 TrimChanges -> SweptBatches;
    21 AdmitNode -> Admitted;
    22 DismissNode -> ();
    23 SetTime -> ();
    24 DeclareGateway -> ();
    25 RaiseLevel -> ();
    26 TryLevel -> ();
    27 TakeReceipts -> ReceiptsTaken;
    28 SetReceiptSecret -> ();
}

/// The leader: all members understand a higher level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaiseLevel {
    /// The level that all of them understand.
    pub to: u32,
    /// The version of notty that proposes it, for people.
    pub version: String,
}

/// Changes nothing, and needs the second level. Tests and the simulation propose it, so that levels
/// are in use before a command needs one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TryLevel {
    /// Any number; nothing depends on it.
    pub nonce: u64,
}

/// Erases a customer; its messages that wait are cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteCustomer {
    /// The id of the customer.
    pub id: CustomerId,
}

/// Cancels messages of deleted customers that their deletion had no room for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepDeleted {
    /// Batches to touch, at most.
    pub batches: u32,
}

/// Creates a mailing that waits for its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateMailing {
    /// The id that it gets.
    pub id: MailingId,
    /// The decisions of its owner.
    pub spec: MailingSpec,
    /// The number that it gets if it is the first of its cluster, drawn at random by the proposer: two
    /// clusters that send to one gateway must not have the same message ids. 0: number 1.
    pub first: u32,
}

/// Changes a mailing: all of it before its start, afterwards some of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateMailing {
    /// The id of the mailing.
    pub id: MailingId,
    /// The decisions of its owner, all of them.
    pub spec: MailingSpec,
}

/// Makes a mailing wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseMailing {
    /// The id of the mailing.
    pub id: MailingId,
}

/// Lets a paused mailing go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeMailing {
    /// The id of the mailing.
    pub id: MailingId,
    /// True if its owner accepts duplicates after a restore.
    pub accept_duplicates: bool,
}

/// Stops a mailing for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelMailing {
    /// The id of the mailing.
    pub id: MailingId,
}

/// Hides a mailing at once; what it holds goes bit by bit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteMailing {
    /// The id of the mailing.
    pub id: MailingId,
}

/// The post office: a mailing's start has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartMailing {
    /// The number of the mailing.
    pub mailing: MailingNumber,
}

/// The post office: a mailing's end has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndMailing {
    /// The number of the mailing.
    pub mailing: MailingNumber,
}

/// The post office: the next batch of a mailing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expand {
    /// The number of the mailing.
    pub mailing: MailingNumber,
    /// The mailing's cursor as the proposer knows it; refused if it differs.
    pub cursor: Cursor,
    /// Customers to look at, at most.
    pub scan: u32,
    /// Messages to make, at most: of several batches if they are in the order of customers.
    pub limit: u16,
}

/// The post office: settles messages of a mailing that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepMailing {
    /// The number of the mailing.
    pub mailing: MailingNumber,
    /// Batches to touch, at most.
    pub batches: u32,
}

/// The post office: adds a settled mailing's messages to their customers' totals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldMailing {
    /// The number of the mailing.
    pub mailing: MailingNumber,
    /// Batches to touch, at most.
    pub batches: u32,
    /// Blocks of customers to touch, at most, but for those of one batch.
    pub blocks: u32,
}

/// The post office: drops messages of a folded mailing whose retention is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeMailing {
    /// The number of the mailing.
    pub mailing: MailingNumber,
    /// Batches to touch, at most.
    pub batches: u32,
}

/// A postman starts, and asks for an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterPostman {
    /// The name of the postman.
    pub name: PostmanName,
    /// A random number of this start.
    pub nonce: u64,
}

/// The post office: a lease has run out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpireLease {
    /// The id of the lease.
    pub lease: LeaseId,
}

/// The post office: drops changes of customers that every mailing has passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrimChanges {
    /// Records to drop, at most.
    pub blocks: u32,
}

/// The leader: a node with an empty disk is to be taken in, and needs a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmitNode {
    /// The name of the node.
    pub name: String,
    /// The node's disk: a repeat for the same disk gives the same number.
    pub disk: String,
    /// The highest number among the members, as the leader knows them.
    pub above: u64,
}

/// The leader: a node is to be taken out, for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DismissNode {
    /// The number of the node.
    pub node: u64,
    /// The name of the node.
    pub name: String,
    /// The disk of the node.
    pub disk: String,
}

/// An admin: the time is this, whatever earlier entries carried. The one exception to time never
/// going back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetTime {
    /// The time from this entry on.
    pub to: Timestamp,
}

/// A postman declares the gateway that it sends to, and for how long that takes repeats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclareGateway {
    /// The epoch of the postman's start.
    pub postman: Epoch,
    /// Hash of the gateway and the account.
    pub gateway: u64,
    /// For how many milliseconds after the first doubtful try the gateway may get a message again;
    /// none: never.
    pub repeat_ms: Option<u64>,
}

/// The ids that a write of customers takes: new ones, known ones, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PutMode {
    /// New ids only: an id that exists is refused.
    Create,
    /// Known ids only: a new id is refused.
    Update,
    /// New ids are created, known ids are updated.
    Upsert,
}

/// Customers to write. Words stand once in tables; rows refer to them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PutCustomers {
    /// The ids that it takes.
    pub mode: PutMode,
    /// Tags, as written and folded.
    pub tags: Vec<(String, String)>,
    /// Operators, as written and folded.
    pub operators: Vec<(String, String)>,
    /// IANA names of time zones.
    pub zones: Vec<String>,
    /// One a customer, at most 1,000.
    pub rows: Vec<CustomerRow>,
}

/// One customer to write by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PutCustomer {
    /// The ids that it takes.
    pub mode: PutMode,
    /// The customer as it will be.
    pub customer: Customer,
    /// Its tag with the case folded.
    pub folded_tag: String,
    /// Its operator with the case folded.
    pub folded_operator: String,
}

/// One of many customers to write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomerRow {
    /// The id of the customer.
    pub id: CustomerId,
    /// True if the customer is known by its phone: the one who holds it, or else a new one, which
    /// gets the id.
    pub by_phone: bool,
    /// The name of the customer.
    pub name: String,
    /// The phone of the customer; none: a customer who exists keeps the phone, and nobody is created.
    #[serde(with = "row_phone")]
    pub phone: Option<Phone>,
    /// Index of its tag in the command's table.
    pub tag: u16,
    /// Index of its operator in the command's table.
    pub operator: u16,
    /// Index of its time zone in the command's table.
    pub zone: Option<u16>,
    /// Fields that stay as they are if the customer exists.
    pub kept: KeptFields,
}

/// A postman's ask, completed by the post office.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// The id of the lease.
    pub lease: LeaseId,
    /// The mailing whose messages are asked for.
    pub mailing: MailingNumber,
    /// Messages to grant, at most.
    pub limit: u16,
    /// Batches to take them from, at most.
    pub batches: u8,
    /// Batches that may be opened in vain, at most.
    pub barren: u8,
    /// Zones in which the mailing's window is open now; none: every zone.
    pub zones: Option<Vec<ZoneNumber>>,
    /// The life of the lease, in milliseconds.
    pub ttl_ms: u64,
    /// Hash of the gateway that the postman sends to: a message in doubt goes to no other.
    pub gateway: u64,
    /// The batch to begin at, where the leader has looked already; none: where the mailing says.
    pub from: Option<u32>,
}

/// A postman's results for messages of one lease. May be partial, may be repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The id of the lease.
    pub lease: LeaseId,
    /// The mailing of the lease.
    pub mailing: MailingNumber,
    /// Hash of the gateway that they were sent to.
    pub gateway: u64,
    /// Positions and attempts with the same result, in rising order, at most as many as a lease
    /// has.
    pub results: Vec<(SendResult, Vec<Run>)>,
}

/// Receipts of gateways, each proven to be its gateway's. They start nothing: they settle what was in
/// doubt, and say what was delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeReceipts {
    /// In the order in which they came, at most 1,000 about at most 50 batches.
    pub receipts: Vec<ReceiptNote>,
}

/// The leader: the secret that receipts are proven by. The first one stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetReceiptSecret {
    /// Random bytes, drawn by the proposer.
    pub secret: ReceiptSecret,
}
