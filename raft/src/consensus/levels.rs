//! The level of the cluster, and the writes that must wait for it.
//!
//! A command that older members do not understand is withheld until all of them have agreed on its
//! level. This file keeps that; [`notty_storage::level`] names the level of each command.

use std::sync::Arc;

use notty_storage::{
    Action, Rejection, level::needed_level, query::level::cluster_level, records::ClusterLevel,
};

use crate::{outcome::ProposeError, state::node_state::NodeState};

/// The levels of this node and of its cluster.
pub(crate) struct Levels {
    /// The level that this node understands.
    pub(crate) own: u32,
    pub(crate) state: Arc<NodeState>,
}

impl Levels {
    /// The level that the members have agreed on, as the state here has it. It only rises, so that a state
    /// that lags behind errs on the safe side.
    pub(crate) fn agreed(&self) -> ClusterLevel {
        let view = self.state.view();
        let agreed = self.state.checked(cluster_level(&view.read()));
        agreed.unwrap_or_default()
    }

    /// Withholds an action that a member may not understand.
    pub(crate) fn permit(&self, action: &Action) -> Result<(), ProposeError> {
        let needed = needed_level(action);
        // What every version understands costs no look at the state.
        if needed <= notty_storage::level::FIRST_LEVEL {
            return Ok(());
        }

        let level = self.agreed().level();
        if needed <= level {
            return Ok(());
        }
        Err(ProposeError::Rejected {
            rejection: Rejection::LevelTooLow { needed, level },
            index: self.state.applied_index(),
        })
    }
}
