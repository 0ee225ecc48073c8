//! Kept replies to the last commands of an import.

use serde::{Deserialize, Serialize};

use crate::command::Outcome;

/// The import that a slot belongs to, and replies to its last commands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImportReplies {
    /// The number that was drawn for the import.
    pub import: [u8; 16],
    /// By the numbers of the commands, in the order of their execution.
    pub replies: Vec<(u32, Outcome)>,
}

impl ImportReplies {
    /// The highest number among the replies.
    pub fn newest(&self) -> Option<u32> {
        self.replies.iter().map(|(n, _)| *n).max()
    }
}
