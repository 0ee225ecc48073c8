//! Receipts of the practice gateway: reports about messages that it took, as a provider sends them.
//!
//! [`shares`] has the faults that people ask for, [`plan`] decides which receipts a message gets and when,
//! [`round`] fills them for a message, and [`caller`] makes the calls and repeats them. [`tally`] counts.

mod caller;
mod plan;
mod round;
mod shares;
mod tally;

pub(super) use self::{
    caller::PracticeCaller,
    round::{ReceiptRound, RoundMessage},
};
pub use self::{shares::ReceiptShares, tally::PracticeReceipts};
