//! Receipts in notty's own protocol, which are those of the built-in profile `notty`.

use std::sync::LazyLock;

use super::{
    ReceiptShares,
    receipts::{ReceiptRound, RoundMessage},
};
use crate::gateway::profile::{PracticeReceipt, Profile, built_in};

static OWN: LazyLock<Profile> =
    LazyLock::new(|| built_in::find("notty").expect("a test reads each built-in profile"));

/// The receipts of a message that asked for them.
pub(super) fn round(url: &str, id: u64, shares: &ReceiptShares) -> Option<ReceiptRound> {
    let message = RoundMessage {
        profile: &OWN,
        number: id,
        url: url.to_owned(),
        shares,
    };
    // The URL names the message, and nothing in the calls does.
    ReceiptRound::of(message, |receipt: &PracticeReceipt| {
        Some(receipt.filled_for_nobody())
    })
}
