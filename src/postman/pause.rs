//! The pause that a gateway asks for as a whole, not for one message: 429 or 503 with `Retry-After`, or
//! what a profile calls so.
//!
//! While it holds, nothing is begun or leased, and what was not begun is handed back. Requests that were
//! under way when the gateway spoke still arrive. After it sending resumes gently: a few requests in flight
//! at first, twice as many after each moment, until all slots work again. Each postman learns of the pause
//! by its own answers.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use notty_storage::rules;

use crate::gateway::{GatewayOutcome, LaterScope};

/// The longest pause: a gateway that asks for more is asked again after it.
pub(super) const LONGEST: Duration = Duration::from_secs(3_600);
/// Requests in flight right after a pause, at most.
const FIRST_SLOTS: usize = 4;
/// Time after which twice as many may be in flight.
const DOUBLES: Duration = Duration::from_millis(300);
/// Value of the end while there is neither a pause nor a gentle resuming.
const NEVER: u64 = 0;

/// The wish of a gateway in an outcome: no request for so long.
pub(super) fn wish(outcome: GatewayOutcome) -> Option<Duration> {
    match outcome {
        GatewayOutcome::NotTaken {
            retry_after: Some(wish),
            scope: LaterScope::Gateway,
            ..
        } if !wish.is_zero() => Some(wish),
        _ => None,
    }
}

/// A pause of one gateway. Slots read it before each request, so it is a single number.
#[derive(Debug, Default)]
pub(super) struct GatewayPause {
    /// Its end, in milliseconds since the machine started; it stays set while sending resumes.
    ends_at: AtomicU64,
}

impl GatewayPause {
    /// Notes a wish. Returns the length of the pause if no pause held before; a later wish only
    /// lengthens it.
    pub(super) fn note(&self, wish: Duration, now: Duration) -> Option<Duration> {
        let length = wish.min(LONGEST);
        // A part of a millisecond counts as one, so that no pause ends early.
        let until = (now + length).as_micros().div_ceil(1_000) as u64;
        let before = self.ends_at.fetch_max(until, Ordering::Relaxed);
        (before <= millis(now)).then_some(length)
    }

    /// True while nothing may be begun.
    pub(super) fn holds(&self, now: Duration) -> bool {
        rules::is_paused(millis(now) < self.ends_at.load(Ordering::Relaxed))
    }

    /// Requests that may be in flight, of so many slots.
    pub(super) fn slots(&self, slots: usize, now: impl FnOnce() -> Duration) -> usize {
        let until = self.ends_at.load(Ordering::Relaxed);
        if until == NEVER {
            return slots;
        }

        // During the pause too: what may begin right after it is bounded.
        let Some(since) = millis(now()).checked_sub(until) else {
            return slots.min(FIRST_SLOTS);
        };
        let doublings = u32::try_from(since / millis(DOUBLES)).unwrap_or(u32::MAX);
        let permitted = FIRST_SLOTS.saturating_mul(2_usize.saturating_pow(doublings));
        if permitted < slots {
            return permitted;
        }
        // All may work again, unless another pause was noted just now.
        let _ = self
            .ends_at
            .compare_exchange(until, NEVER, Ordering::Relaxed, Ordering::Relaxed);
        slots
    }
}

/// Milliseconds that have passed as a whole.
fn millis(time: Duration) -> u64 {
    time.as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn only_a_pause_of_the_whole_gateway_with_a_time_is_one() {
        let said = |scope, seconds: Option<u64>| {
            wish(GatewayOutcome::NotTaken {
                status: 429,
                retry_after: seconds.map(Duration::from_secs),
                scope,
            })
        };
        assert_eq!(said(LaterScope::Gateway, Some(10)), Some(ms(10_000)));
        assert_eq!(said(LaterScope::Gateway, None), None);
        assert_eq!(said(LaterScope::Gateway, Some(0)), None);
        assert_eq!(said(LaterScope::Message, Some(10)), None);
        assert_eq!(wish(GatewayOutcome::Unsure), None);
    }

    #[test]
    fn a_pause_holds_to_its_end_and_a_later_wish_only_lengthens_it() {
        let pause = GatewayPause::default();
        assert!(!pause.holds(ms(5)));
        assert_eq!(pause.note(ms(1_000), ms(10)), Some(ms(1_000)));
        assert_eq!(pause.note(ms(500), ms(20)), None);
        assert!(pause.holds(ms(1_009)) && !pause.holds(ms(1_010)));
        assert_eq!(pause.note(ms(1_000), ms(30)), None);
        assert!(pause.holds(ms(1_029)) && !pause.holds(ms(1_030)));
        assert_eq!(pause.note(ms(7), ms(2_000)), Some(ms(7)));

        let pause = GatewayPause::default();
        let now = Duration::from_micros(10_300);
        pause.note(ms(1), now);
        assert!(pause.holds(now + Duration::from_micros(999)));
        assert!(!pause.holds(now + ms(2)));
    }

    #[test]
    fn an_absurd_wish_is_bounded() {
        let pause = GatewayPause::default();
        assert_eq!(pause.note(Duration::MAX, ms(0)), Some(LONGEST));
        assert!(!pause.holds(LONGEST));
    }

    #[test]
    fn sending_resumes_with_a_few_and_twice_as_many_after_each_moment() {
        let pause = GatewayPause::default();
        assert_eq!(pause.slots(40, || unreachable!("nothing is noted")), 40);
        pause.note(ms(1_000), ms(0));
        let slots = |now: u64| pause.slots(40, || ms(now));
        assert_eq!([slots(10), slots(1_000), slots(1_299)], [4, 4, 4]);
        assert_eq!([slots(1_300), slots(1_600), slots(1_900)], [8, 16, 32]);
        assert_eq!(slots(2_200), 40);
        assert_eq!(pause.slots(40, || unreachable!("it is over")), 40);

        // Asking for the slots does not end a pause, however few there are.
        pause.note(ms(100), ms(2_500));
        assert_eq!(pause.slots(3, || ms(2_550)), 3);
        assert!(pause.holds(ms(2_550)));

        // Another pause begins anew.
        pause.note(ms(100), ms(3_000));
        assert_eq!([slots(3_100), slots(3_400)], [4, 8]);
    }
}
