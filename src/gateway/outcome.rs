//! The outcome of handing one message to a gateway, whatever protocol it speaks.

use std::time::Duration;

/// The outcome of one message's handover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayOutcome {
    /// The gateway took the message.
    Done,
    /// The gateway refused it for good.
    Invalid,
    /// The gateway answered that it did not take the message.
    NotTaken {
        /// The number of its answer: for HTTP, the status.
        status: u16,
        /// The pause that it asked for, if it did.
        retry_after: Option<Duration>,
    },
    /// Not a byte of the message was written, and none will be.
    NotSent,
    /// The gateway may have taken the message.
    Unsure,
}

impl GatewayOutcome {
    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            GatewayOutcome::Done => "done",
            GatewayOutcome::Invalid => "invalid",
            GatewayOutcome::NotTaken { .. } => "not_taken",
            GatewayOutcome::NotSent => "not_sent",
            GatewayOutcome::Unsure => "unsure",
        }
    }
}
