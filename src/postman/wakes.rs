//! The waiting of a postman that was told "nothing to send": it asks again at once when the state
//! has changed, and from time to time in any case, because some messages become due by time alone.

use std::time::Duration;

/// Between two asks that nothing but time suggests.
const TICK: Duration = Duration::from_millis(50);
/// Asks by changes between two ticks, at most. A mailing that is created changes the state several
/// times before its messages can be granted; a state that changes all the time, as in an import,
/// must not have every postman ask all the time.
const ASKS_BY_CHANGES: u8 = 4;

/// The waiting of a postman with nothing to send.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    /// True from an answer that found nothing until the next ask.
    is_waiting: bool,
    next_tick: Duration,
    asks_left: u8,
}

impl Wakes {
    /// Notes an answer that found nothing; when to ask again if nothing changes.
    pub(super) fn wait(&mut self, now: Duration) -> Duration {
        self.is_waiting = true;
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.asks_left = ASKS_BY_CHANGES;
        }
        self.next_tick
    }

    /// Notes that something is asked.
    pub(super) fn asked(&mut self) {
        self.is_waiting = false;
    }

    /// True while a change of the state is a reason to ask.
    pub(super) fn is_open(&self) -> bool {
        self.is_waiting && self.asks_left > 0
    }

    /// Notes that the state has changed.
    pub(super) fn wake(&mut self) {
        self.is_waiting = false;
        self.asks_left -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_changes_all_the_time_wakes_a_few_times_a_tick() {
        let mut wakes = Wakes::default();
        let mut asks = 0;
        let mut ask_after = Duration::ZERO;
        for ms in 0..1_000 {
            let now = Duration::from_millis(ms);
            if wakes.is_open() {
                wakes.wake();
                ask_after = now;
            }
            if now >= ask_after {
                wakes.asked();
                asks += 1;
                ask_after = wakes.wait(now);
            }
        }
        let ticks = 1_000 / TICK.as_millis() as u64;
        assert_eq!(asks, ticks * (1 + u64::from(ASKS_BY_CHANGES)));
    }

    #[test]
    fn only_a_postman_that_found_nothing_is_woken() {
        let mut wakes = Wakes::default();
        assert!(!wakes.is_open());
        assert_eq!(
            wakes.wait(Duration::from_secs(1)),
            Duration::from_secs(1) + TICK
        );
        assert!(wakes.is_open());
        wakes.asked();
        assert!(!wakes.is_open());
    }
}
