//! The position of a state: the last entry applied to it, and the members of the cluster there.
//!
//! `notty_storage` keeps it with each entry's batch as opaque bytes, the marker. Only this file knows
//! the content of a marker.

use notty_storage::codec;
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    types::{LogId, Membership},
};

/// The last entry applied, and the membership that holds after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) applied: Option<LogId>,
    pub(crate) membership: Membership,
}

impl Position {
    /// Decodes a state's marker. A state to which nothing was applied has none.
    pub(crate) fn from_marker(marker: Option<&[u8]>) -> Result<Self, Error> {
        match marker {
            None | Some([]) => Ok(Self::default()),
            Some(bytes) => Ok(codec::decode(bytes)?),
        }
    }

    pub(crate) fn marker(&self) -> Vec<u8> {
        codec::encode(self)
    }

    pub(crate) fn index(&self) -> Option<u64> {
        self.applied.map(|applied| applied.index)
    }
}
