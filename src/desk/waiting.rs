//! Waiting for messages to send: a call that a node holds until an ask may find something.
//!
//! The node looks at its own state when that changes, and from time to time, because some messages
//! become due by time alone. It answers too early rather than too late: the leader decides what is
//! granted. It answers after some seconds in any case, so that a postman whose node is cut off finds
//! out. A standalone postman needs no other call to be woken, and costs nearly nothing while it waits.

use std::time::Duration;

use notty_storage::model::Epoch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::node::NodeDesk;
use crate::postman::desk::DeskError;

/// Longest time for which a call is held: well below the time that its caller gives it.
pub(super) const HOLD: Duration = Duration::from_secs(4);
/// Time between two looks at a state that does not change.
const TICK: Duration = Duration::from_millis(50);
/// Time between two looks at a state that changes all the time, as in an import.
const BUSY: Duration = Duration::from_millis(5);

impl NodeDesk {
    /// Waits until an ask may find something. Returns the position of the state that promises it.
    pub(super) async fn until_worth_asking(
        &self,
        postman: Epoch,
        gateway: u64,
        seen: Option<u64>,
    ) -> Result<u64, DeskError> {
        let mut changes = self.node.applied_changes();
        let began = Instant::now();
        let ends = began + HOLD;

        loop {
            let looked_at = Instant::now();
            let position = self.node.applied_index();
            // The same state has promised something that the leader did not grant: not at once again.
            let is_news = seen.is_none_or(|seen| position > seen);
            let may_answer = is_news || looked_at >= began + TICK;
            if may_answer && self.is_worth_asking(postman, gateway)? {
                return Ok(position);
            }
            if looked_at >= ends {
                return Ok(position);
            }

            // Whatever becomes due by time alone is seen at the next tick.
            let tick = looked_at + TICK;
            match timeout_at(tick.min(ends), changes.changed()).await {
                // The first change after a quiet time is looked at when it comes.
                Ok(true) => sleep_until(looked_at + BUSY).await,
                // The node is gone, and the call with it.
                Ok(false) => sleep(TICK).await,
                Err(_) => {}
            }
        }
    }
}
