//! Counts of receipts, and of the messages that they are about.

use serde::Serialize;

/// Totals of receipts. `sent` is the sum of `noted`, `given_up` and those that are under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PracticeReceipts {
    /// Receipts that were sent, each counted once however often it was tried.
    pub sent: u64,
    /// Receipts that were answered well.
    pub noted: u64,
    /// Receipts that were refused, or failed at every try.
    pub given_up: u64,
    /// Calls that were made again after one that failed.
    pub repeated: u64,
    /// Messages whose receipts were left out on purpose.
    pub lost: u64,
    /// Messages that were delivered, by the receipts that were answered well.
    pub delivered: u64,
    /// Messages that were not delivered, by the receipts that were answered well.
    pub undelivered: u64,
}

impl PracticeReceipts {
    /// The counts, if there is any.
    pub(in crate::gateway::practice) fn some(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}
