//! The version of notty that a process of a test runs: the present one, or the one before it.

use std::process::Command;

use super::{notty, process::clean};

/// A version of notty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Release {
    /// The one that is tested.
    #[default]
    Present,
    /// The present one, which uses its latest level as soon as it may.
    Eager,
    /// The one before: the binary that `NOTTY_OLD_BIN` names, or the present one at a lower level.
    Older,
}

impl Release {
    /// A command of this version, without arguments.
    pub fn command(self) -> Command {
        let mut command = match (self, std::env::var_os("NOTTY_OLD_BIN")) {
            (Self::Older, Some(binary)) => clean(Command::new(binary)),
            _ => notty(),
        };
        match self {
            Self::Present => {}
            Self::Eager => drop(command.env("NOTTY_TEST_LEVEL", "3")),
            Self::Older => drop(command.env("NOTTY_TEST_LEVEL", "1")),
        }
        command
    }
}
