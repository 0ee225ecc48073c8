//! Commands: every possible write, its bounds, and the reply to it.
//!
//! A [`Command`] carries intent and bounds; apply checks it against the state and returns a
//! [`Reply`] or refuses it with a [`Rejection`]. Both are the same on every node. The log and the
//! calls between nodes carry the enums [`Action`] and [`Reply`]; whoever proposes has the type of its
//! action, and so the type of the reply ([`Intent`]).

mod action;
mod cost;
mod kept;
mod numbered;
mod rejection;
mod reply;
mod row_phone;

use serde::{Deserialize, Serialize};

pub use action::{
    Action, AdmitNode, CancelMailing, CreateMailing, CustomerRow, DeclareGateway, DeleteCustomer,
    DeleteMailing, DismissNode, EndMailing, Expand, ExpireLease, FoldMailing, Grant, Intent,
    PauseMailing, PurgeMailing, PutCustomer, PutCustomers, PutMode, RaiseLevel, RegisterPostman,
    Report, ResumeMailing, SetReceiptSecret, SetTime, StartMailing, SweepDeleted, SweepMailing,
    TakeReceipts, TrimChanges, TryLevel, UpdateMailing,
};
pub use cost::Cost;
pub use kept::KeptFields;
pub use rejection::Rejection;
pub use reply::{
    Admitted, CustomersWritten, Expanded, FromReply, GrantedLease, ReceiptRefusal, ReceiptsTaken,
    Reply, Reported, SweptBatches,
};

use crate::model::Timestamp;

/// One entry of the log: commands that came in together, and the leader's time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The leader's stamp; never before that of an earlier entry.
    pub at: Timestamp,
    /// In the order in which they are applied.
    pub commands: Vec<Command>,
}

/// The reply to a command, or why it was refused.
pub type Outcome = Result<Reply, Rejection>;

/// One write, and who answers for repeating it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command<A = Action> {
    /// Makes a repeat of it recognisable.
    pub origin: Origin,
    /// The write and its bounds.
    pub action: A,
}

/// Makes a repeat of a command recognisable, so that it is executed at most once.
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
    /// An import, which numbers its commands, so that it can repeat one whose outcome it lost.
    Import {
        /// Drawn at random for each import.
        import: [u8; 16],
        /// Rises by one with each command of the import.
        n: u32,
    },
}

impl<A> Command<A> {
    /// A command that needs nothing to be recognised by.
    pub fn new(action: A) -> Self {
        Self {
            origin: Origin::Itself,
            action,
        }
    }

    /// The command with an origin.
    pub fn by(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }
}

impl<A: Intent> Command<A> {
    /// The command as the log carries it.
    pub fn erase(self) -> Command {
        Command {
            origin: self.origin,
            action: self.action.into(),
        }
    }
}

impl Command {
    /// Bounds on the work of the command.
    pub fn cost(&self) -> Cost {
        let mut cost = self.action.cost();
        cost.bytes += cost::ORIGIN_BYTES;
        cost
    }
}

impl<A: Intent> From<A> for Command {
    fn from(action: A) -> Self {
        Command::new(action).erase()
    }
}
