//! The codes of errors that domain values, the state and the cluster return.
//!
//! Rejections and changes are matched exhaustively, so that a new one cannot be without a code.

use notty_raft::ChangeError;
use notty_storage::{Rejection, model::Invalid};

use super::Code;

impl From<&Invalid> for Code {
    fn from(invalid: &Invalid) -> Self {
        Self::named(invalid.code)
            .expect("storage has no code that is unknown here, which a test checks")
    }
}

impl From<&Rejection> for Code {
    fn from(rejection: &Rejection) -> Self {
        match rejection {
            // One code for all things: the path of the request names the thing.
            Rejection::CustomerNotFound | Rejection::MailingNotFound => Self::NotFound,

            Rejection::CustomerExists => Self::CustomerExists,
            Rejection::CustomerBusy => Self::CustomerBusy,
            Rejection::AmbiguousPhone => Self::AmbiguousPhone,
            Rejection::MissingPhone => Self::Missing,
            Rejection::MailingExists => Self::MailingExists,
            Rejection::MailingStarted { .. } => Self::MailingStarted,
            Rejection::MailingOver { .. } => Self::MailingOver,
            Rejection::EndPassed => Self::EndPassed,
            Rejection::TooManyMailings => Self::TooManyMailings,
            Rejection::NoNumbersLeft => Self::NoNumbersLeft,
            Rejection::DuplicatesNotAccepted => Self::DuplicatesNotAccepted,

            // Every write can be rejected for these, whatever it is about.
            Rejection::KeyReused => Self::IdempotencyKeyReused,
            Rejection::TooManyKeys => Self::TooManyKeys,
            Rejection::OutOfBounds { .. } => Self::OutOfBounds,

            // Commands of the post office, of postmen and of nodes: no request proposes these.
            Rejection::NotNow => Self::NotNow,
            Rejection::CursorMoved { .. } => Self::CursorMoved,
            Rejection::NothingToDo => Self::NothingToDo,
            Rejection::Exhausted => Self::Exhausted,
            Rejection::PostmanClosed => Self::PostmanClosed,
            Rejection::PostmanForgotten => Self::PostmanForgotten,
            Rejection::LeaseClosed => Self::LeaseClosed,
            Rejection::LeaseGap { .. } => Self::LeaseGap,
            Rejection::TooManyLeases => Self::TooManyLeases,
            Rejection::NodeDismissed => Self::NodeRemoved,

            // No request needs more than the first level so far.
            Rejection::LevelTooLow { .. } => Self::LevelTooLow,
        }
    }
}

impl From<&ChangeError> for Code {
    fn from(error: &ChangeError) -> Self {
        match error {
            // After a handover the successor makes the change: the client waits for a leader here too.
            ChangeError::NoLeader | ChangeError::HandedOver => Self::NoLeader,
            ChangeError::Busy => Self::ChangeUnderWay,
            ChangeError::Unknown => Self::OutcomeUnknown,

            ChangeError::NotFound(_) => Self::NotFound,
            ChangeError::Exists(_) | ChangeError::FormerName { .. } => Self::NodeExists,
            ChangeError::Unreachable(_) => Self::NodeUnreachable,
            ChangeError::NotEmpty(_) => Self::NodeNotEmpty,

            // The cluster could not go on after the change.
            ChangeError::LastVoter(_) => Self::LastVoter,
            ChangeError::Majority(_) => Self::NoMajority,
            ChangeError::NotTransferred(_) => Self::NotTransferred,
            ChangeError::Refused(_) => Self::Refused,
        }
    }
}
