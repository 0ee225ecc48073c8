//! The limit of being woken: a postman that found nothing asks again as soon as its desk knows of more,
//! but not all the time.
//!
//! The desk foresees what an ask will find, and may be wrong: the leader may refuse, because a limit is
//! used up, or another postman was quicker. A state that changes all the time, as in an import, must
//! not have every postman ask all the time.

use std::time::Duration;

/// Time between two asks that no wake suggests.
pub(super) const TICK: Duration = Duration::from_millis(50);
/// Asks by wakes between two ticks, at most.
const WAKES: u8 = 4;

/// The wakes that are left until the next tick.
#[derive(Debug, Default)]
pub(super) struct WakeLimit {
    next_tick: Duration,
    left: u8,
}

impl WakeLimit {
    /// Notes an answer that found nothing. Returns the next tick.
    pub(super) fn found_nothing(&mut self, now: Duration) -> Duration {
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.left = WAKES;
        }
        self.next_tick
    }

    /// True while being woken is a reason to ask.
    pub(super) fn may_wake(&self) -> bool {
        self.left > 0
    }

    /// Notes that the desk woke it.
    pub(super) fn wake(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desk_that_wakes_all_the_time_wakes_a_few_times_a_tick() {
        let mut limit = WakeLimit::default();
        let mut asks = 0;
        let mut ask_after = Duration::ZERO;
        for ms in 0..1_000 {
            let now = Duration::from_millis(ms);
            if now >= ask_after {
                asks += 1;
                let tick = limit.found_nothing(now);
                ask_after = if limit.may_wake() {
                    limit.wake();
                    now
                } else {
                    tick
                };
            }
        }
        let ticks = 1_000 / TICK.as_millis() as u64;
        assert_eq!(asks, ticks * (1 + u64::from(WAKES)));
    }
}
