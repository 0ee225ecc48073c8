//! The judgement of this node's wall clock, by what the machine itself knows.
//!
//! A wall clock may be set wrong, for a moment or for long. The clock that counts since the machine
//! started cannot be set; so a wall clock that goes another way than that one, by more than some
//! minutes, is *in doubt*, until another source agrees with it: the kernel, which knows whether NTP
//! keeps it right, most other nodes (`comparison`), or an admin, who sets the cluster's time. The doubt
//! also ends once the clock is back at the expected time. The expectation rests on an anchor: both
//! clocks at the moment when the wall clock was last believed. After another boot of the machine the
//! time of the state is all there is to compare with.
//!
//! The judgement is pure: readings come as arguments. [`super::trust`] reads the clocks and keeps the
//! anchor.

#[cfg(test)]
mod tests;

use std::time::Duration;

use notty_storage::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    doubt::ClockDoubt,
    moment::{APART_MS, ClockMoment},
    state_time::StateTime,
};

/// Step of a wall clock from which on it is in doubt, in milliseconds: five minutes.
pub const JUMP_MS: i64 = 300_000;
/// Time for which a machine may have been off, in milliseconds, so that its clock is believed after
/// another boot although no other source agrees with it: three days, which is a long weekend.
pub const OFF_MS: i64 = 3 * 86_400_000;
/// Time for which the kernel must report that NTP keeps the clock right before it is believed.
const DWELL: Duration = Duration::from_secs(10);
/// Time for which a clock must run on, after another boot of the machine, before it is believed to be
/// ahead of the cluster's time because the machine was off: a clock that is set wrong for a moment is
/// not.
const STEADY: Duration = Duration::from_secs(30);
/// Drift of a wall clock that does not count, in milliseconds a second: more than that of crystals,
/// and about what NTP corrects while it slews.
const DRIFT_MS: i64 = 1;
/// Time between two moves of the anchor along with the drift: less would be rounded away.
const SETTLE: Duration = Duration::from_secs(60);
/// Error of a kept anchor that needs no correction, in milliseconds.
const KEPT_MS: i64 = 1_000;

/// A reading of all clocks of the machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockReading {
    pub(super) moment: ClockMoment,
    /// The kernel's time, while NTP keeps it right.
    pub(super) disciplined: Option<Timestamp>,
}

/// Both clocks at the moment when the wall clock was last believed, as the file keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Anchor {
    /// The boot of the machine; 0 if it is unknown, and then never the same as another.
    boot_id: u64,
    boot_ms: i64,
    pub(super) wall: Timestamp,
    /// The number of times that people had set the time.
    sets: u64,
}

impl Anchor {
    /// The time that the wall clock should have.
    fn expected(&self, boot: Duration) -> Timestamp {
        self.wall
            .plus_millis(boot.as_millis() as i64 - self.boot_ms)
    }

    /// True if a kept anchor leads to the same judgement as this one.
    pub(super) fn is_kept_as(&self, kept: &Anchor) -> bool {
        let boot = Duration::from_millis(self.boot_ms.unsigned_abs());
        let apart = self.wall.since(kept.expected(boot)).abs();
        kept.boot_id == self.boot_id && kept.sets == self.sets && apart <= KEPT_MS
    }
}

/// The source of an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basis {
    /// A reading on this boot of the machine.
    Boot,
    /// The time of the state: the machine may have been off since.
    State,
    /// The clock at the start of the process: the state is empty, and has no time yet.
    Nothing,
}

/// The present belief in the wall clock.
#[derive(Clone, Debug)]
pub(super) struct Belief {
    pub(super) anchor: Anchor,
    basis: Basis,
    /// The moment since which the two clocks have run on together.
    together: ClockMoment,
    /// The moment since which the kernel has had the same time as the wall clock.
    agreed: Option<ClockMoment>,
}

impl Belief {
    /// The belief at the start of a process: from the kept anchor, or else from the state's time.
    pub(super) fn open(
        kept: Option<Anchor>,
        boot_id: u64,
        reading: &ClockReading,
        state: StateTime,
    ) -> Self {
        let now = reading.moment;
        let fresh = Anchor {
            boot_id,
            boot_ms: now.boot.as_millis() as i64,
            wall: now.wall,
            sets: state.sets,
        };

        let same_boot = kept.filter(|kept| kept.boot_id == boot_id && boot_id != 0);
        let (anchor, basis) = match same_boot {
            Some(kept) => (kept, Basis::Boot),
            None if state.at == Timestamp::default() => (fresh, Basis::Nothing),
            None => {
                let wall = state.at;
                (Anchor { wall, ..fresh }, Basis::State)
            }
        };
        Self {
            anchor,
            basis,
            together: now,
            agreed: None,
        }
    }

    /// Milliseconds by which the wall clock is ahead of the expected time.
    fn apart(&self, now: ClockMoment) -> i64 {
        now.wall.since(self.anchor.expected(now.boot))
    }

    /// True if the wall clock is close enough to the expected time.
    pub(super) fn is_near(&self, now: &ClockMoment) -> bool {
        let may_have_been_off = self.basis == Basis::State && self.has_run_on(*now);
        let most = if may_have_been_off { OFF_MS } else { JUMP_MS };
        (-JUMP_MS..=most).contains(&self.apart(*now))
    }

    /// True if other nodes may count this clock: not while it contradicts its own machine, or the
    /// state, and may be wrong for a moment only.
    pub(super) fn has_say(&self, now: &ClockMoment) -> bool {
        self.is_near(now) || (self.basis == Basis::State && self.has_run_on(*now))
    }

    /// True if the two clocks have run on together for a while.
    fn has_run_on(&self, now: ClockMoment) -> bool {
        now.is_steady_since(self.together) && now.passed_since(self.together) >= STEADY
    }

    /// Moves the anchor to a moment, with the time that the wall clock should have there.
    fn anchor_at(&mut self, boot: Duration, wall: Timestamp) {
        self.anchor.boot_ms = boot.as_millis() as i64;
        self.anchor.wall = wall;
    }

    /// Believes the wall clock from now on.
    pub(super) fn confirm(&mut self, now: ClockMoment) {
        self.anchor_at(now.boot, now.wall);
        self.basis = Basis::Boot;
        self.agreed = None;
    }

    /// Judges a reading, and returns the doubt that it leaves.
    pub(super) fn look(&mut self, reading: &ClockReading, state: StateTime) -> Option<ClockDoubt> {
        let now = reading.moment;
        self.follow_setting(now, state);
        if self.basis == Basis::Nothing && state.at > Timestamp::default() {
            // The state has come to a time, which is better than the clock alone.
            self.anchor_at(now.boot, state.at);
            self.basis = Basis::State;
        }
        self.note_step(now);

        let apart = self.apart(now);
        if self.is_near(&now) {
            self.settle(now);
        } else if self.kernel_agrees(reading) {
            self.confirm(now);
        } else if self.basis != Basis::State {
            return Some(ClockDoubt::Jumped(apart));
        } else if apart > 0 {
            return Some(ClockDoubt::Ahead(apart));
        }

        // No clock that agrees with this one would help: only people let time go back.
        let behind = state.at.since(now.wall);
        (behind > JUMP_MS).then_some(ClockDoubt::Behind(behind))
    }

    /// Starts to wait anew for the clocks to run on together, if the wall clock made a step.
    fn note_step(&mut self, now: ClockMoment) {
        if !now.is_steady_since(self.together) {
            self.together = now;
        }
    }

    /// Moves the anchor of a clock that is near: along with its drift, or off the state's time.
    fn settle(&mut self, now: ClockMoment) {
        self.agreed = None;
        match self.basis {
            Basis::State => return self.confirm(now),
            Basis::Nothing => return,
            Basis::Boot => {}
        }

        let passed = (now.boot.as_millis() as i64).saturating_sub(self.anchor.boot_ms);
        if passed < SETTLE.as_millis() as i64 {
            return;
        }

        // Many small steps must not come to a large one: only drift is forgotten.
        let drift = passed / 1_000 * DRIFT_MS;
        let expected = self.anchor.expected(now.boot);
        let wall = expected.plus_millis(self.apart(now).clamp(-drift, drift));
        self.anchor_at(now.boot, wall);
    }

    /// True if the kernel has reported for long enough that NTP keeps this very clock right.
    fn kernel_agrees(&mut self, reading: &ClockReading) -> bool {
        let now = reading.moment;
        let agrees_now = reading
            .disciplined
            .is_some_and(|kernel| kernel.since(now.wall).abs() <= APART_MS);
        if !agrees_now {
            self.agreed = None;
            return false;
        }

        // A step in between: both may have been set together, and wrong.
        let since = *self.agreed.get_or_insert(now);
        if !now.is_steady_since(since) {
            self.agreed = None;
            return false;
        }
        now.passed_since(since) >= DWELL
    }

    /// Follows people who have set the state's time: the clock is believed if it has that time.
    fn follow_setting(&mut self, now: ClockMoment, state: StateTime) {
        if state.sets <= self.anchor.sets {
            return;
        }
        self.anchor.sets = state.sets;
        if now.wall.since(state.at).abs() <= JUMP_MS {
            self.confirm(now);
        }
    }

    /// Takes the time from people. The wall clock is believed if it has that time, and otherwise in
    /// doubt until it does.
    pub(super) fn set(&mut self, now: ClockMoment, to: Timestamp) {
        let has_it = now.wall.since(to).abs() <= JUMP_MS;
        let wall = if has_it { now.wall } else { to };
        self.anchor_at(now.boot, wall);
        self.basis = Basis::Boot;
        self.agreed = None;
    }
}
