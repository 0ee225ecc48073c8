//! The result of a rule: a reply, a refusal, or a fault of this node.

use crate::{command::Rejection, error::Error};

/// The reason for which a command has no reply: it is refused (the same on every node), or this node
/// is broken.
pub(crate) enum Halt {
    Refused(Rejection),
    Broken(Error),
}

impl From<Rejection> for Halt {
    fn from(rejection: Rejection) -> Self {
        Halt::Refused(rejection)
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Broken(error)
    }
}

/// The result of a rule.
pub(crate) type Ruled<T> = Result<T, Halt>;
