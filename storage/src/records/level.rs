//! The level at which the cluster stands.

use serde::{Deserialize, Serialize};

use crate::level::FIRST_LEVEL;

/// The level that all members have agreed on. It only rises.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterLevel {
    /// The level; 0 where none was agreed on.
    level: u32,
    /// The version of notty that raised it; older ones may not know what the state holds.
    pub version: String,
}

impl ClusterLevel {
    /// The level.
    pub fn level(&self) -> u32 {
        self.level.max(FIRST_LEVEL)
    }

    /// Raises it; false if it is as high already.
    pub(crate) fn raise(&mut self, to: u32, version: &str) -> bool {
        let rises = to > self.level();
        if rises {
            self.level = to;
            version.clone_into(&mut self.version);
        }
        rises
    }
}
