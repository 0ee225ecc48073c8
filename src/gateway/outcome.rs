//! The outcome of handing one message to a gateway, whatever protocol it speaks.

use std::time::Duration;

/// The messages that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaterScope {
    /// The one that was answered.
    Message,
    /// All messages of the gateway.
    Gateway,
}

/// The part of the sending that halts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HaltScope {
    /// Everything that goes to the gateway.
    Gateway,
    /// The mailing of the message.
    Mailing,
}

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
        /// The messages that the pause is for.
        scope: LaterScope,
    },
    /// The gateway certainly did not take the message, and would not take the next one either.
    Halted {
        /// The part of the sending that halts.
        scope: HaltScope,
    },
    /// Not a byte of the message was written, and none will be.
    NotSent,
    /// The gateway may have taken the message.
    Unsure,
}

impl GatewayOutcome {
    /// True if the next message would not be taken either.
    pub fn halts(self) -> bool {
        matches!(self, Self::Halted { .. })
    }

    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            GatewayOutcome::Done => "done",
            GatewayOutcome::Invalid => "invalid",
            GatewayOutcome::NotTaken { .. } => "not_taken",
            GatewayOutcome::Halted { .. } => "halted",
            GatewayOutcome::NotSent => "not_sent",
            GatewayOutcome::Unsure => "unsure",
        }
    }
}
