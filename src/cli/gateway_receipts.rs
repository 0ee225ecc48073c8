//! Options of `notty gateway` about receipts.

use crate::gateway::practice::ReceiptShares;

/// Receipts go to the URL that a message names, without any option.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Receipts")]
pub(super) struct ReceiptArgs {
    /// Send receipts of messages that name no URL to this one, for providers with one URL an account
    #[arg(long, value_name = "URL")]
    pub(super) receipts_to: Option<String>,
    /// Send the last receipt of a message so long after the answer, in milliseconds
    #[arg(long, value_name = "N", default_value_t = 0)]
    receipt_delay_ms: u64,
    /// Send it up to so much later, each message's at another time, in milliseconds
    #[arg(long, value_name = "N", default_value_t = 0)]
    receipt_spread_ms: u64,
    /// Pause before a receipt that failed is sent again, in milliseconds; each further one is twice as long
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    receipt_again_ms: u64,
    /// Send no receipts for this many of a thousand messages
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    receipt_lost_per_mille: u32,
    /// Report this many of a thousand messages as not delivered
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    receipt_undelivered_per_mille: u32,
    /// Send the last receipt of this many of a thousand messages twice
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    receipt_twice_per_mille: u32,
    /// Send receipts out of order, or two that contradict each other, for this many of a thousand messages
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    receipt_mixed_per_mille: u32,
    /// Send receipts before the answer to the message, for this many of a thousand messages
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    receipt_early_per_mille: u32,
}

impl ReceiptArgs {
    /// The settings that the options make.
    pub(super) fn shares(&self) -> ReceiptShares {
        ReceiptShares {
            delay_ms: self.receipt_delay_ms,
            spread_ms: self.receipt_spread_ms,
            again_ms: self.receipt_again_ms,
            lost_per_mille: self.receipt_lost_per_mille,
            undelivered_per_mille: self.receipt_undelivered_per_mille,
            twice_per_mille: self.receipt_twice_per_mille,
            mixed_per_mille: self.receipt_mixed_per_mille,
            early_per_mille: self.receipt_early_per_mille,
        }
    }
}
