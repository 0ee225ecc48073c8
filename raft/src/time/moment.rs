//! Both clocks of a machine, read together.
//!
//! The wall clock can be set, the boot clock cannot. Two readings of both show a step of the wall
//! clock: the time that it gained or lost against the boot clock in between.

use std::time::Duration;

use notty_storage::Timestamp;

use super::clock::Clock;

/// Difference between clocks that agree, at most, in milliseconds.
pub(crate) const APART_MS: i64 = 2_000;

/// A reading of both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClockMoment {
    pub(super) wall: Timestamp,
    /// Time since the machine started.
    pub(super) boot: Duration,
}

impl ClockMoment {
    pub(super) fn now(clock: &dyn Clock) -> Self {
        Self {
            wall: clock.wall(),
            boot: clock.boot(),
        }
    }

    /// Time since an earlier moment of the same boot, by the clock that cannot be set.
    pub(super) fn passed_since(self, earlier: ClockMoment) -> Duration {
        self.boot.saturating_sub(earlier.boot)
    }

    /// Milliseconds that the wall clock has gained since an earlier moment, or lost, if negative.
    pub(super) fn step_since(self, earlier: ClockMoment) -> i64 {
        let passed = self.passed_since(earlier).as_millis() as i64;
        self.wall.since(earlier.wall) - passed
    }

    /// True if the wall clock was not set since an earlier moment.
    pub(super) fn is_steady_since(self, earlier: ClockMoment) -> bool {
        self.step_since(earlier).abs() <= APART_MS
    }
}
