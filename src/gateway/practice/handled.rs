//! The end of a request that was noted: its answer, and the receipts of its message before or after.

use std::io;

use tokio::net::TcpStream;

use super::{
    Act, Practice,
    perform::{perform, wait},
    receipts::ReceiptRound,
};

/// A request that was noted.
pub(super) struct HandledRequest {
    pub(super) act: Act,
    /// The answer comes so much later, in milliseconds.
    pub(super) latency_ms: u64,
    /// The receipts of the message, if it was taken and has a place for them.
    pub(super) round: Option<ReceiptRound>,
}

/// Acts on a request, and begins the receipts of its message; false if the connection ends with it.
pub(super) async fn finish(
    practice: &Practice,
    stream: &mut TcpStream,
    handled: HandledRequest,
) -> io::Result<bool> {
    let HandledRequest {
        act,
        latency_ms,
        round,
    } = handled;

    // A request without an answer can last for long: its receipts do not wait for the end of it.
    let has_end = act.answers();
    let later = begin_before(practice, round, has_end).await;
    wait(latency_ms).await;
    let goes_on = perform(stream, act).await;

    // Also if the client has gone meanwhile: the message was taken.
    if let Some(round) = later {
        practice.receipts.begin(round);
    }
    goes_on
}

/// Begins receipts that do not wait for the answer. Returns those that do.
async fn begin_before(
    practice: &Practice,
    round: Option<ReceiptRound>,
    has_end: bool,
) -> Option<ReceiptRound> {
    let round = round?;
    if round.is_early() {
        practice.receipts.begin_early(round).await;
        return None;
    }

    // A request that gets no answer has its receipts all the same: the message was taken.
    if !has_end {
        practice.receipts.begin(round);
        return None;
    }

    Some(round)
}
