//! Every possible write, and what it is answered.
//!
//! A [`Command`] carries intent and bounds; apply checks it against the state and answers with a
//! [`Reply`] or refuses it with a [`Rejection`]. Both are the same on every node.

use serde::{Deserialize, Serialize};

use crate::{
    limits,
    model::{
        Customer, CustomerId, Epoch, LeaseId, Mailing, MailingId, MailingNumber, MailingSpec,
        MessageId, Phone, PostmanName, Run, SendResult, Timestamp, ZoneNumber,
    },
    records::Cursor,
};

/// What one entry of the log holds: commands that came in together, and the leader's time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The leader's stamp; never before that of an earlier entry.
    pub at: Timestamp,
    /// In the order in which they are applied.
    pub commands: Vec<Command>,
}

/// What a command is answered.
pub type Outcome = Result<Reply, Rejection>;

/// One write, and who answers for repeating it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// What makes a repeat of it recognisable.
    pub origin: Origin,
    /// What it does.
    pub action: Action,
}

/// What makes a repeat of a command recognisable, so that it is executed at most once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// Nothing: the action carries its own id, or checks the state that it expects.
    #[default]
    Itself,
    /// A client's `Idempotency-Key`, bound to route and body.
    Client {
        /// Hash of the key.
        key: [u8; 16],
        /// Hash of route and body.
        request: [u8; 16],
        /// Hash of the token's name: each caller has a share of the keys that are remembered.
        caller: u64,
    },
}

/// What a command may touch at most; the proposer adds these up to fill an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Encoded bytes, about.
    pub bytes: usize,
    /// Customers scanned.
    pub customers: u32,
    /// Batches touched.
    pub batches: u32,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.customers = self.customers.saturating_add(other.customers);
        self.batches = self.batches.saturating_add(other.batches);
    }
}

/// Every possible write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Creates or updates customers, row by row.
    PutCustomers(PutCustomers),
    /// Erases a customer; its messages that wait are cancelled.
    DeleteCustomer {
        /// Whom.
        id: CustomerId,
    },
    /// Cancels messages of deleted customers that their deletion had no room for.
    SweepDeleted {
        /// Batches to touch, at most.
        batches: u32,
    },
    /// Creates a mailing.
    CreateMailing {
        /// Its id.
        id: MailingId,
        /// What its owner decided.
        spec: MailingSpec,
    },
    /// Changes a mailing: all of it before its start, afterwards some of it.
    UpdateMailing {
        /// Which.
        id: MailingId,
        /// The whole of what its owner decided.
        spec: MailingSpec,
    },
    /// Makes a mailing wait.
    PauseMailing {
        /// Which.
        id: MailingId,
    },
    /// Lets a paused mailing go on.
    ResumeMailing {
        /// Which.
        id: MailingId,
        /// Whether its owner accepts duplicates after a restore.
        accept_duplicates: bool,
    },
    /// Stops a mailing for good.
    CancelMailing {
        /// Which.
        id: MailingId,
    },
    /// Hides a mailing at once; what it holds goes bit by bit.
    DeleteMailing {
        /// Which.
        id: MailingId,
    },
    /// The post office: a mailing's start has come.
    StartMailing {
        /// Which.
        mailing: MailingNumber,
    },
    /// The post office: a mailing's end has come.
    EndMailing {
        /// Which.
        mailing: MailingNumber,
    },
    /// The post office: the next batch of a mailing.
    Expand {
        /// Which.
        mailing: MailingNumber,
        /// Where it is believed to stand; refused if it stands elsewhere.
        cursor: Cursor,
        /// Customers to look at, at most.
        scan: u32,
        /// Messages to make, at most: of several batches if they are in the order of customers.
        limit: u16,
    },
    /// The post office: settles messages of a mailing that is over.
    SweepMailing {
        /// Which.
        mailing: MailingNumber,
        /// Batches to touch, at most.
        batches: u32,
    },
    /// The post office: adds a settled mailing's messages to their customers' totals.
    FoldMailing {
        /// Which.
        mailing: MailingNumber,
        /// Batches to touch, at most.
        batches: u32,
        /// Blocks of customers to touch, at most, but for those of one batch.
        blocks: u32,
    },
    /// The post office: drops messages of a folded mailing whose retention is over.
    PurgeMailing {
        /// Which.
        mailing: MailingNumber,
        /// Batches to touch, at most.
        batches: u32,
    },
    /// A postman starts.
    RegisterPostman {
        /// Its name.
        name: PostmanName,
        /// A random number of this start.
        nonce: u64,
    },
    /// A postman asks for messages.
    Grant(Grant),
    /// A postman says what became of messages.
    Report(Report),
    /// The post office: a lease has run out.
    ExpireLease {
        /// Which.
        lease: LeaseId,
    },
    /// The post office: drops changes of customers that every mailing has passed.
    TrimChanges {
        /// Records of them, at most.
        blocks: u32,
    },
    /// The leader: a node with an empty disk is to be taken in, and needs a number.
    AdmitNode {
        /// Its name.
        name: String,
        /// Its disk: a repeat for the same disk gives the same number.
        disk: String,
        /// The highest number among the members, as the leader knows them.
        above: u64,
    },
    /// The leader: a node is to be taken out, for good.
    DismissNode {
        /// Its number.
        node: u64,
        /// Its name.
        name: String,
        /// Its disk.
        disk: String,
    },
    /// An admin: the time is this, whatever earlier entries carried. The one exception to time never
    /// going back.
    SetTime {
        /// The time.
        to: Timestamp,
    },
    /// A postman says where it sends, and whether a message in doubt may go there again.
    DeclareGateway {
        /// The postman's start.
        postman: Epoch,
        /// Hash of the gateway and the account.
        gateway: u64,
        /// For how many milliseconds after the first doubtful try the gateway may get a message again;
        /// none: never.
        repeat_ms: Option<u64>,
    },
}

/// What writing customers does with ids that exist and ids that don't.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PutMode {
    /// New ids only.
    Create,
    /// Known ids only.
    Update,
    /// Both.
    Upsert,
}

/// Customers to write. Words stand once in tables; rows refer to them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PutCustomers {
    /// What to do with ids that exist and ids that don't.
    pub mode: PutMode,
    /// Tags, as written and folded.
    pub tags: Vec<(String, String)>,
    /// Operators, as written and folded.
    pub operators: Vec<(String, String)>,
    /// Time zones.
    pub zones: Vec<String>,
    /// One a customer, at most 1,000.
    pub rows: Vec<CustomerRow>,
}

/// One customer to write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomerRow {
    /// Its id.
    pub id: CustomerId,
    /// Its name.
    pub name: String,
    /// Its phone.
    pub phone: Phone,
    /// Index of its tag.
    pub tag: u16,
    /// Index of its operator.
    pub operator: u16,
    /// Index of its time zone.
    pub zone: Option<u16>,
}

/// A postman's ask, completed by the post office.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// The lease's id.
    pub lease: LeaseId,
    /// Whose messages.
    pub mailing: MailingNumber,
    /// Messages, at most.
    pub limit: u16,
    /// Batches to take them from, at most.
    pub batches: u8,
    /// Batches that may be opened in vain, at most.
    pub barren: u8,
    /// Zones in which the mailing's window is open now; none: every zone.
    pub zones: Option<Vec<ZoneNumber>>,
    /// How long the lease lasts, in milliseconds.
    pub ttl_ms: u64,
    /// Hash of the gateway that the postman sends to: a message in doubt goes to no other.
    pub gateway: u64,
    /// The batch to begin at, where the leader has looked already; none: where the mailing says.
    pub from: Option<u32>,
}

/// What a postman says became of messages of one lease. May be partial, may be repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The lease.
    pub lease: LeaseId,
    /// Its mailing.
    pub mailing: MailingNumber,
    /// Hash of the gateway that they were sent to.
    pub gateway: u64,
    /// Positions and attempts with the same result, in rising order, at most as many as a lease
    /// has.
    pub results: Vec<(SendResult, Vec<Run>)>,
}

/// What a command that was executed is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// Nothing to add.
    Done,
    /// Customers were written.
    Customers {
        /// New ones.
        created: u32,
        /// Changed ones, or written again as they were.
        updated: u32,
        /// Rows refused, by index.
        rejected: Vec<(u32, Rejection)>,
    },
    /// One customer was written; as it is now.
    Customer(Box<Customer>),
    /// A mailing was written; as it is now.
    Mailing(Box<Mailing>),
    /// A mailing looked at customers.
    Expanded {
        /// Where it stands now.
        cursor: Cursor,
        /// Messages made.
        messages: u32,
    },
    /// Batches were swept, folded or purged.
    Swept {
        /// How many.
        batches: u32,
        /// Whether some are left.
        more: bool,
    },
    /// A postman may get leases.
    Registered {
        /// Under this epoch.
        epoch: Epoch,
    },
    /// A lease.
    Granted {
        /// Whose messages.
        mailing: MailingNumber,
        /// When it runs out.
        expires_at: Timestamp,
        /// Which messages.
        runs: Vec<Run>,
    },
    /// A report was taken.
    Reported {
        /// Tokens reported for the first time.
        accepted: u32,
        /// Tokens reported before with the same result.
        repeated: u32,
        /// Tokens that were reported otherwise before.
        conflicts: Vec<MessageId>,
    },
    /// There is no lease, but what was learnt while looking is kept, and the next ask goes on from
    /// there. The lease's number is not used up.
    NothingYet,
    /// A node was admitted.
    Admitted {
        /// Under this number.
        node: u64,
    },
}

/// Why a command was refused. Part of the reply: nothing was changed.
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
        /// The field.
        field: String,
    },
    /// The mailing is over.
    #[error("the mailing is {status}: nothing about its sending can change any more")]
    MailingOver {
        /// How it stands.
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
    /// The state stands elsewhere than the proposer believed.
    #[error("the mailing stands elsewhere")]
    CursorMoved {
        /// Where it stands.
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
        /// Which.
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
}

impl Command {
    /// A command that needs nothing to be recognised by.
    pub fn new(action: Action) -> Self {
        Self {
            origin: Origin::Itself,
            action,
        }
    }

    /// The command with an origin.
    pub fn by(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    /// What it may touch at most.
    pub fn cost(&self) -> Cost {
        let mut cost = self.action.cost();
        cost.bytes += 64;
        cost
    }
}

impl From<Action> for Command {
    fn from(action: Action) -> Self {
        Self::new(action)
    }
}

impl Action {
    fn cost(&self) -> Cost {
        let batches = |batches: u32| Cost {
            batches,
            ..Cost::default()
        };
        match self {
            Action::PutCustomers(put) => put.cost(),
            Action::CreateMailing { spec, .. } | Action::UpdateMailing { spec, .. } => Cost {
                bytes: 1_600 + spec.text.len() + spec.desc.len(),
                ..Cost::default()
            },
            Action::Expand { scan, limit, .. } => {
                let batches = u32::from(*limit)
                    .div_ceil(limits::BATCH_MESSAGES as u32)
                    .max(1);
                Cost {
                    customers: *scan,
                    batches,
                    bytes: 0,
                }
            }
            Action::SweepDeleted { batches: n }
            | Action::SweepMailing { batches: n, .. }
            | Action::FoldMailing { batches: n, .. }
            | Action::PurgeMailing { batches: n, .. } => batches(*n),
            Action::DeleteCustomer { .. } => batches(limits::SWEEP_MAILINGS),
            Action::Grant(grant) => batches(u32::from(grant.batches) + u32::from(grant.barren)),
            Action::ExpireLease { .. } => batches(limits::LEASE_BATCHES.into()),
            Action::Report(report) => report.cost(),
            Action::TrimChanges { blocks } => Cost {
                customers: blocks * limits::CHANGES_PER_BLOCK as u32,
                ..Cost::default()
            },
            _ => Cost::default(),
        }
    }
}

impl PutCustomers {
    fn cost(&self) -> Cost {
        let words = self.tags.iter().chain(&self.operators);
        let words: usize = words
            .map(|(text, folded)| text.len() + folded.len() + 4)
            .sum();
        let rows = self
            .rows
            .iter()
            .map(|row| row.id.as_str().len() + row.name.len() + 20);
        let bytes = words + rows.sum::<usize>() + self.zones.len() * 24;
        Cost {
            bytes,
            customers: self.rows.len() as u32,
            batches: 0,
        }
    }
}

/// Bytes of one encoded run, at most: position, length and attempt.
const RUN_BYTES: usize = 5 + 3 + 3;

impl Report {
    fn cost(&self) -> Cost {
        let runs = self.results.iter().flat_map(|(_, runs)| runs);
        let (mut count, mut batches, mut last) = (0, 0, None);
        for run in runs {
            count += 1;
            let batch = run.first >> limits::BATCH_STRIDE_BITS;
            batches += u32::from(last != Some(batch));
            last = Some(batch);
        }
        Cost {
            bytes: count * RUN_BYTES + 32,
            customers: 0,
            batches: batches.min(limits::ENTRY_BATCHES),
        }
    }
}

impl Rejection {
    /// The stable name that programs see.
    pub fn code(&self) -> &'static str {
        match self {
            Rejection::CustomerExists => "customer_exists",
            Rejection::CustomerNotFound | Rejection::MailingNotFound => "not_found",
            Rejection::CustomerBusy => "customer_busy",
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codec, model::Epoch};

    #[test]
    fn no_report_is_longer_than_it_says() {
        let lease = LeaseId {
            epoch: Epoch(u64::MAX),
            n: u64::MAX,
        };
        let run = Run {
            first: u32::MAX,
            len: u16::MAX,
            attempt: u16::MAX,
        };
        for runs in [1, 100, 1_000] {
            let results = vec![(SendResult::Done, vec![run; runs])];
            let mailing = MailingNumber(u32::MAX);
            let report = Report {
                lease,
                mailing,
                gateway: u64::MAX,
                results,
            };
            let command: Command = Action::Report(report).into();
            let (bytes, said) = (codec::encode(&command).len(), command.cost().bytes);
            assert!(
                bytes <= said,
                "{bytes} bytes of {runs} runs, said to be {said}"
            );
        }
    }
}
