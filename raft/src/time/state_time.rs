//! The time of the state: that of the last entry, and the number of times that people have set it.

use notty_storage::{Timestamp, query};

use crate::state::node_state::NodeState;

/// The state's time, as this node has applied it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StateTime {
    /// The time of the entry applied last; the beginning of time while the state is empty.
    pub(crate) at: Timestamp,
    /// The number of times that people have set it.
    pub(crate) sets: u64,
}

/// Reads the time of this node's state.
pub(crate) fn state_time(shared: &NodeState) -> StateTime {
    let view = shared.view();
    let reader = view.read();
    let setting = query::time::setting(&reader).unwrap_or_default();
    StateTime {
        at: query::time::at(&reader).unwrap_or_default(),
        sets: setting.count,
    }
}
