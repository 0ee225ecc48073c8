//! The state's own position, its counters of numbers, and the dictionary's words.

use serde::{Deserialize, Serialize};

use crate::{limits::RESTORED_MAILINGS, model::Timestamp};

/// Where the state stands. Rewritten with every entry, in the same sled batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Opaque position of the entry that was applied last; storage knows nothing of its form.
    pub marker: Vec<u8>,
    /// Running hash over everything written so far.
    pub hash: u64,
    /// The time of the entry that was applied last.
    pub at: Timestamp,
    /// How the time was set by people.
    pub set: TimeSetting,
}

/// How often and how far people set the time, after clocks that were wrong.
///
/// The *steady time* is the time less all that it was set by: setting the time does not change it, so
/// it never goes back. Whatever is an age or a pause (leases, retries, kept replies, retention) is
/// measured in it; what people see (a mailing's start and end, days) is in the time itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeSetting {
    /// Milliseconds by which the time was set, in all.
    pub shift_ms: i64,
    /// How often it was set.
    pub count: u64,
    /// The steady time when it was set last.
    pub steady: Timestamp,
    /// The time that it was set to last.
    pub to: Timestamp,
}

impl TimeSetting {
    /// The steady time at a time.
    pub fn steady(&self, at: Timestamp) -> Timestamp {
        at.plus_millis(self.shift_ms.saturating_neg())
    }

    /// The time at a steady time.
    pub fn time(&self, steady: Timestamp) -> Timestamp {
        steady.plus_millis(self.shift_ms)
    }

    /// Whether the time was set since a steady time, or just then: how much time has really passed
    /// since is not known.
    pub fn came_after(&self, steady: Timestamp) -> bool {
        self.count > 0 && steady <= self.steady
    }

    /// Sets the time that is `at` now.
    pub fn set(&mut self, at: Timestamp, to: Timestamp) {
        self.steady = self.steady(at);
        self.shift_ms = self.shift_ms.saturating_add(to.since(at));
        self.count += 1;
        self.to = to;
    }
}

/// Numbers given so far. Each only rises.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// Customers ever created: the next one's number.
    pub customers: u32,
    /// Customers deleted at present.
    pub deleted: u32,
    /// Mailings ever created: the last one's number.
    pub mailings: u32,
    /// The last postman's epoch.
    pub epoch: u64,
    /// Changes of existing customers ever noted: the next one's number.
    pub changes: u64,
    /// Changes below this number have been passed by every open mailing and are gone.
    pub changes_from: u64,
    /// Words in each dictionary, by the number of the kind.
    pub words: [u32; 3],
    /// Clients' keys ever taken: the next one's slot is this modulo the bound.
    pub client_keys: u64,
    /// The oldest client's key that still lives.
    pub client_keys_from: u64,
    /// Second reports of a token that said something else than the first.
    pub conflicts: u64,
    /// Epochs up to this one were given before a restore: they speak for nothing any more.
    pub closed_epochs: u64,
    /// The last mailing's number at each restore; the numbers that follow were passed over.
    pub restored_at: Vec<u32>,
}

impl Numbers {
    /// The number itself, or the first after those that a restore passed over.
    pub fn mailing_from(&self, number: u32) -> u32 {
        self.restored_at.iter().fold(number, |number, last| {
            let passed_over = last + 1..=last + RESTORED_MAILINGS;
            if passed_over.contains(&number) { passed_over.end() + 1 } else { number }
        })
    }
}

/// What a dictionary holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum WordKind {
    /// Tags of customers.
    Tag = 0,
    /// Operators of customers.
    Operator = 1,
    /// Time zones of customers; number 0 means none.
    Zone = 2,
}

/// A word of a dictionary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordRecord {
    /// As it was written first.
    pub text: String,
    /// With its case folded by the proposer.
    pub folded: String,
}
