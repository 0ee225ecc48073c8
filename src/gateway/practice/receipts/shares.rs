//! Faults of receipts, as people ask for them.

use serde::{Deserialize, Serialize};

/// Settings of the receipts. Each share is of a thousand messages and drawn by itself, so that a message may
/// have several faults; the same message has the same ones each time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiptShares {
    /// Time between the answer to a message and its last receipt, in milliseconds.
    pub delay_ms: u64,
    /// The most that is added to the delay, another time for each message, in milliseconds.
    pub spread_ms: u64,
    /// The pause before a call that failed is made again, in milliseconds; each further one is twice as long.
    pub again_ms: u64,
    /// Share of messages without any receipt.
    pub lost_per_mille: u32,
    /// Share of messages that do not reach their phones.
    pub undelivered_per_mille: u32,
    /// Share of messages whose last receipt comes twice.
    pub twice_per_mille: u32,
    /// Share of messages with receipts out of order, or with two that contradict each other.
    pub mixed_per_mille: u32,
    /// Share of messages whose receipts come before the answer to the request.
    pub early_per_mille: u32,
}

impl Default for ReceiptShares {
    fn default() -> Self {
        Self {
            delay_ms: 0,
            spread_ms: 0,
            again_ms: 1_000,
            lost_per_mille: 0,
            undelivered_per_mille: 0,
            twice_per_mille: 0,
            mixed_per_mille: 0,
            early_per_mille: 0,
        }
    }
}

/// The longest delay, spread or first pause: a day.
const LONGEST_MS: u64 = 24 * 60 * 60 * 1_000;

impl ReceiptShares {
    /// Rejects shares of more than all messages, and times that never pass.
    pub(in crate::gateway::practice) fn check(&self) -> Result<(), String> {
        for (name, share) in self.shares() {
            if share > 1_000 {
                return Err(format!(
                    "{name}: {share} of a thousand messages are too many; give at most 1000"
                ));
            }
        }

        // A longer pause is a slip: nobody practises for days.
        for (name, ms) in self.times() {
            if ms > LONGEST_MS {
                return Err(format!(
                    "{name}: {ms} ms is more than a day; give at most {LONGEST_MS}"
                ));
            }
        }
        Ok(())
    }

    fn shares(&self) -> [(&'static str, u32); 5] {
        [
            ("lost_per_mille of receipts", self.lost_per_mille),
            (
                "undelivered_per_mille of receipts",
                self.undelivered_per_mille,
            ),
            ("twice_per_mille of receipts", self.twice_per_mille),
            ("mixed_per_mille of receipts", self.mixed_per_mille),
            ("early_per_mille of receipts", self.early_per_mille),
        ]
    }

    fn times(&self) -> [(&'static str, u64); 3] {
        [
            ("delay_ms of receipts", self.delay_ms),
            ("spread_ms of receipts", self.spread_ms),
            ("again_ms of receipts", self.again_ms),
        ]
    }

    /// True if nothing was asked for.
    pub(in crate::gateway::practice) fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}
