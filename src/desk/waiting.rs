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
use crate::postman::desk::{DeskError, SendableWork};

/// Longest time for which a call is held: well below the time that its caller gives it.
pub(super) const HOLD: Duration = Duration::from_secs(4);
/// Time between two looks at a state that does not change.
const TICK: Duration = Duration::from_millis(50);
/// Changes between two ticks that are looked at when they come. A new mailing is three: it is created,
/// started and expanded, and only then has it something to send.
const AT_ONCE: u8 = 4;
/// Time between two looks once these are used up: the state changes all the time, as in an import.
const BUSY: Duration = Duration::from_millis(20);

/// The pace of looking at a state that changes.
struct LookPace {
    /// The end of the present tick, when the looks at once are given anew.
    tick_ends: Instant,
    at_once: u8,
}

impl LookPace {
    fn new(now: Instant) -> Self {
        Self {
            tick_ends: now + TICK,
            at_once: AT_ONCE,
        }
    }

    /// The time to look at a change, after a look.
    fn next_look(&mut self, looked_at: Instant, now: Instant) -> Instant {
        if now >= self.tick_ends {
            *self = Self::new(now);
        }
        if self.at_once == 0 {
            return looked_at + BUSY;
        }
        self.at_once -= 1;
        now
    }
}

impl NodeDesk {
    /// Waits until an ask may find something. Returns the position of the state that promises it.
    pub(super) async fn until_worth_asking(
        &self,
        postman: Epoch,
        work: SendableWork,
        seen: Option<u64>,
    ) -> Result<u64, DeskError> {
        let mut changes = self.node.applied_changes();
        let began = Instant::now();
        let ends = began + HOLD;
        let mut pace = LookPace::new(began);

        loop {
            let looked_at = Instant::now();
            let position = self.node.applied_index();
            // The same state has promised something that the leader did not grant: not at once again.
            let is_news = seen.is_none_or(|seen| position > seen);
            let may_answer = is_news || looked_at >= began + TICK;
            if may_answer && self.is_worth_asking(postman, &work)? {
                return Ok(position);
            }
            if looked_at >= ends {
                return Ok(position);
            }

            // Whatever becomes due by time alone is seen at the next tick.
            let tick = looked_at + TICK;
            match timeout_at(tick.min(ends), changes.changed()).await {
                Ok(true) => sleep_until(pace.next_look(looked_at, Instant::now())).await,
                // The node is gone, and the call with it.
                Ok(false) => sleep(TICK).await,
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changes_of_a_new_mailing_are_looked_at_at_once_and_those_of_an_import_are_not() {
        let began = Instant::now();
        let mut pace = LookPace::new(began);
        let after = |ms| began + Duration::from_millis(ms);
        for ms in 1..=u64::from(AT_ONCE) {
            assert_eq!(pace.next_look(after(ms - 1), after(ms)), after(ms));
        }

        // More of them wait, until the next tick.
        let last = after(u64::from(AT_ONCE));
        assert_eq!(pace.next_look(last, last), last + BUSY);
        assert_eq!(pace.next_look(last, began + TICK), began + TICK);
    }

    #[test]
    fn a_state_that_changes_all_the_time_is_looked_at_a_few_times_a_tick() {
        let began = Instant::now();
        let mut pace = LookPace::new(began);
        let mut looked_at = began;
        let mut looks = 0;
        while looked_at < began + TICK * 20 {
            looked_at = pace.next_look(looked_at, looked_at + Duration::from_millis(1));
            looks += 1;
        }
        assert!(looks <= 20 * (u32::from(AT_ONCE) + 3), "{looks}");
    }
}
