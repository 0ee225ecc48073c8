//! Whether this node's wall clock can be believed, by what the machine itself knows.
//!
//! A wall clock may be set wrong, for a moment or for long. The clock that counts since the machine
//! started cannot be set; so a wall clock that goes another way than that one, by more than some
//! minutes, is *in doubt*, until somebody else agrees with it: the kernel, which knows whether NTP
//! keeps it right, most other nodes ([`crate::clocks`]), or an admin, who sets the cluster's time. It
//! is no longer in doubt, either, once it is back where it was. Where the two clocks stood is kept in
//! a file, so that a process that starts again on the same boot of the machine goes on from there.
//! After another boot the time of the state is all there is to compare with.
//!
//! The judgement is pure ([`Belief`]); [`Trust`] reads the clocks, keeps the file and writes the log.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use notty_storage::{Timestamp, rules};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Clock,
    files::RealFiles,
    log::marks::{load, save},
};

/// How far a wall clock may go another way than the clock that cannot be set before it is in doubt, in
/// milliseconds: five minutes.
pub const JUMP_MS: i64 = 300_000;
/// How long a machine may have been off, in milliseconds, so that its clock is believed after another
/// boot although nobody else agrees with it: three days, which is a long weekend.
pub const OFF_MS: i64 = 3 * 86_400_000;
/// How long the kernel must say that NTP keeps the clock right before it is believed.
const DWELL: Duration = Duration::from_secs(10);
/// How long a clock must run on, after another boot of the machine, before it is believed to be ahead of
/// the cluster's time because the machine was off: a clock that is set wrong for a moment is not.
const STEADY: Duration = Duration::from_secs(30);
/// How far apart two readings of clocks that agree may be, in milliseconds.
const APART_MS: i64 = 2_000;
/// What a wall clock may drift without being in doubt, in milliseconds a second: more than crystals do,
/// and about what NTP corrects while it slews.
const DRIFT_MS: i64 = 1;
/// Between two times that the drift is taken in: less would be rounded away.
const SETTLE: Duration = Duration::from_secs(60);
/// How far the file may be from what is known, in milliseconds.
const KEPT_MS: i64 = 1_000;

/// Why a node does not believe a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockDoubt {
    /// The wall clock was set: by so many milliseconds, against the time since the machine started.
    Jumped(i64),
    /// It is so many milliseconds ahead of the cluster's time, and nothing says how long the machine
    /// was off.
    Ahead(i64),
    /// It is so many milliseconds behind the cluster's time.
    Behind(i64),
    /// This node leads, and most voters have another time.
    Differs,
}

impl ClockDoubt {
    /// Whether somebody else who agrees with the clock would end it.
    pub(crate) fn is_about_the_clock(self) -> bool {
        matches!(self, Self::Jumped(_) | Self::Ahead(_))
    }
}

impl fmt::Display for ClockDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CURE: &str = "until then time stands still: nothing starts, ends, expires or is sent. \
                            Put the clock right (NTP), or, if it is right, run: notty cluster \
                            set-time";
        write!(f, "the clock is in doubt: ")?;
        match self {
            Self::Jumped(ms) => {
                let way = if *ms < 0 { "back" } else { "forward" };
                write!(f, "it was set {way} by {}; {CURE}", Span(*ms))
            }
            Self::Ahead(ms) => write!(
                f,
                "it is {} ahead of the cluster's time, and nothing says whether this machine was off \
                 for so long; {CURE}",
                Span(*ms)
            ),
            Self::Behind(ms) => write!(
                f,
                "it is {} behind the cluster's time; {CURE}, which sets the cluster's time back",
                Span(*ms)
            ),
            Self::Differs => write!(
                f,
                "it is more than 2 s from most voters', and this node leads: nothing starts, ends, \
                 expires or is sent until they agree, or another node leads; put the clock right (NTP)"
            ),
        }
    }
}

/// Milliseconds as people say them.
struct Span(i64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.unsigned_abs().div_ceil(1_000);
        let rounded = |unit: u64| (seconds + unit / 2) / unit;
        match seconds {
            0..120 => write!(f, "{seconds} s"),
            120..7_200 => write!(f, "{} min", rounded(60)),
            7_200..172_800 => write!(f, "{} hours", rounded(3_600)),
            _ => write!(f, "{} days", rounded(86_400)),
        }
    }
}

/// What the clocks say.
#[derive(Clone, Copy, Debug)]
struct Reading {
    wall: Timestamp,
    boot: Duration,
    /// The kernel's time, while NTP keeps it right.
    disciplined: Option<Timestamp>,
}

/// What is known of the state's time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StateTime {
    /// The time of the entry applied last.
    pub(crate) at: Timestamp,
    /// How often people have set it.
    pub(crate) sets: u64,
}

/// Where the two clocks stood when the wall clock was last believed; what the file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Anchor {
    /// Which boot of the machine; 0: not known, and never the same.
    boot_id: u64,
    boot_ms: i64,
    wall: Timestamp,
    /// How often people had set the time.
    sets: u64,
}

impl Anchor {
    fn new(boot_id: u64, (wall, boot): (Timestamp, Duration), sets: u64) -> Self {
        Self {
            boot_id,
            boot_ms: boot.as_millis() as i64,
            wall,
            sets,
        }
    }

    /// What the wall clock should say.
    fn expected(&self, boot: Duration) -> Timestamp {
        self.wall
            .plus_millis(boot.as_millis() as i64 - self.boot_ms)
    }
}

/// What an anchor rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basis {
    /// This boot of the machine.
    Boot,
    /// The time of the state: the machine may have been off since.
    State,
    /// The clock as it was when the process started: the state is empty, and has no time yet.
    Nothing,
}

/// What is believed of the wall clock.
#[derive(Clone, Debug)]
struct Belief {
    anchor: Anchor,
    basis: Basis,
    /// Since when the two clocks have run on together; both clocks then.
    together: (Timestamp, Duration),
    /// Since when the kernel has said the same as the wall clock; both clocks then.
    agreed: Option<(Timestamp, Duration)>,
}

impl Belief {
    /// At the start of a process: from what was kept, or else from the state's time.
    fn open(kept: Option<Anchor>, boot_id: u64, reading: &Reading, state: StateTime) -> Self {
        let here = (reading.wall, reading.boot);
        let same_boot = kept.filter(|kept| kept.boot_id == boot_id && boot_id != 0);
        let (anchor, basis) = match same_boot {
            Some(kept) => (kept, Basis::Boot),
            None if state.at == Timestamp::default() => {
                (Anchor::new(boot_id, here, state.sets), Basis::Nothing)
            }
            None => (
                Anchor::new(boot_id, (state.at, reading.boot), state.sets),
                Basis::State,
            ),
        };
        Self {
            anchor,
            basis,
            together: here,
            agreed: None,
        }
    }

    /// How far the wall clock is from where it should be, in milliseconds.
    fn apart(&self, reading: &Reading) -> i64 {
        reading.wall.since(self.anchor.expected(reading.boot))
    }

    /// Whether it is near enough.
    fn is_near(&self, reading: &Reading) -> bool {
        let was_off = self.basis == Basis::State && self.has_run_on(reading);
        let most = if was_off { OFF_MS } else { JUMP_MS };
        (-JUMP_MS..=most).contains(&self.apart(reading))
    }

    /// Whether what it says counts for others: not while it contradicts its own machine, or the state,
    /// and may be wrong for a moment only.
    fn has_say(&self, reading: &Reading) -> bool {
        self.is_near(reading) || (self.basis == Basis::State && self.has_run_on(reading))
    }

    /// Whether the two clocks have run on together for a while.
    fn has_run_on(&self, reading: &Reading) -> bool {
        let (wall, boot) = self.together;
        let passed = reading.boot.saturating_sub(boot);
        let steady = reading.wall.since(wall) - passed.as_millis() as i64;
        steady.abs() <= APART_MS && passed >= STEADY
    }

    /// The wall clock is right.
    fn confirm(&mut self, reading: &Reading) {
        let here = (reading.wall, reading.boot);
        self.anchor = Anchor::new(self.anchor.boot_id, here, self.anchor.sets);
        (self.basis, self.agreed) = (Basis::Boot, None);
    }

    /// Looks at the clocks: why the wall clock is in doubt, if it is.
    fn look(&mut self, reading: &Reading, state: StateTime) -> Option<ClockDoubt> {
        self.hear_admin(reading, state);
        if self.basis == Basis::Nothing && state.at > Timestamp::default() {
            let wall = (state.at, reading.boot);
            self.anchor = Anchor::new(self.anchor.boot_id, wall, self.anchor.sets);
            self.basis = Basis::State;
        }
        self.note_steps(reading);
        let apart = self.apart(reading);
        if self.is_near(reading) {
            self.settle(reading);
        } else if self.hear_kernel(reading) {
            self.confirm(reading);
        } else if self.basis != Basis::State {
            return Some(ClockDoubt::Jumped(apart));
        } else if apart > 0 {
            return Some(ClockDoubt::Ahead(apart));
        }

        // No clock that agrees with this one would help: only people let time go back.
        let behind = state.at.since(reading.wall);
        (behind > JUMP_MS).then_some(ClockDoubt::Behind(behind))
    }

    /// Begins anew to wait for the clocks to run on together, where the wall clock made a step.
    fn note_steps(&mut self, reading: &Reading) {
        let (wall, boot) = self.together;
        let passed = reading.boot.saturating_sub(boot).as_millis() as i64;
        if (reading.wall.since(wall) - passed).abs() > APART_MS {
            self.together = (reading.wall, reading.boot);
        }
    }

    /// Takes in drift, and an anchor that rested on the state alone.
    fn settle(&mut self, reading: &Reading) {
        self.agreed = None;
        match self.basis {
            Basis::State => return self.confirm(reading),
            Basis::Nothing => return,
            Basis::Boot => {}
        }
        let passed = (reading.boot.as_millis() as i64).saturating_sub(self.anchor.boot_ms);
        if passed < SETTLE.as_millis() as i64 {
            return;
        }
        // Many small steps must not come to a large one: only drift is forgotten.
        let drift = passed / 1_000 * DRIFT_MS;
        let expected = self.anchor.expected(reading.boot);
        let wall = expected.plus_millis(self.apart(reading).clamp(-drift, drift));
        self.anchor = Anchor::new(self.anchor.boot_id, (wall, reading.boot), self.anchor.sets);
    }

    /// Whether the kernel has said for long enough that NTP keeps this very clock right.
    fn hear_kernel(&mut self, reading: &Reading) -> bool {
        let same = reading
            .disciplined
            .is_some_and(|k| k.since(reading.wall).abs() <= APART_MS);
        if !same {
            self.agreed = None;
            return false;
        }
        let (wall, boot) = *self.agreed.get_or_insert((reading.wall, reading.boot));
        let passed = reading.boot.saturating_sub(boot);
        let steady = reading.wall.since(wall) - passed.as_millis() as i64;
        if steady.abs() > APART_MS {
            self.agreed = None;
        }
        steady.abs() <= APART_MS && passed >= DWELL
    }

    /// People have set the time to what this clock says.
    fn hear_admin(&mut self, reading: &Reading, state: StateTime) {
        if state.sets <= self.anchor.sets {
            return;
        }
        self.anchor.sets = state.sets;
        if reading.wall.since(state.at).abs() <= JUMP_MS {
            self.confirm(reading);
        }
    }

    /// People say what time it is: the wall clock is believed if it says the same, and in doubt until
    /// it does if not.
    fn set(&mut self, reading: &Reading, to: Timestamp) {
        let same = reading.wall.since(to).abs() <= JUMP_MS;
        let wall = if same { reading.wall } else { to };
        let here = (wall, reading.boot);
        self.anchor = Anchor::new(self.anchor.boot_id, here, self.anchor.sets);
        (self.basis, self.agreed) = (Basis::Boot, None);
    }
}

/// What a node believes of its own wall clock.
pub(crate) struct Trust {
    clock: Arc<dyn Clock>,
    /// Where the anchor is kept.
    path: PathBuf,
    belief: Mutex<Belief>,
    /// What the file holds.
    kept: Mutex<Option<Anchor>>,
    doubt: Mutex<Option<ClockDoubt>>,
}

impl Trust {
    pub(crate) fn open(clock: Arc<dyn Clock>, path: PathBuf, state: StateTime) -> Arc<Self> {
        let kept = load(&RealFiles, &path).unwrap_or_else(|error| {
            tracing::warn!(%error, "what was kept of the clocks cannot be read, and is written anew");
            None
        });
        let boot_id = clock.boot_id().unwrap_or_default();
        let belief = Belief::open(kept, boot_id, &read(&*clock), state);
        let (belief, kept, doubt) = (Mutex::new(belief), Mutex::new(kept), Mutex::default());
        Arc::new(Self {
            clock,
            path,
            belief,
            kept,
            doubt,
        })
    }

    /// Looks at the clocks, keeps what follows, and says in the log what changed. Reads and writes
    /// files.
    pub(crate) fn look(&self, state: StateTime) -> Option<ClockDoubt> {
        let reading = read(&*self.clock);
        let (doubt, anchor) = {
            let mut belief = self.belief.lock();
            (belief.look(&reading, state), belief.anchor)
        };
        let doubt = doubt.filter(|_| rules::contradicting_clock_is_doubted());
        self.keep(anchor);
        let before = std::mem::replace(&mut *self.doubt.lock(), doubt);
        match (before, doubt) {
            (None, Some(doubt)) => tracing::error!("{doubt}"),
            (Some(_), None) => {
                tracing::info!("the clock of this machine is in doubt no more: time goes on");
            }
            _ => {}
        }
        doubt
    }

    /// Why the clock is in doubt, as of the last look.
    pub(crate) fn doubt(&self) -> Option<ClockDoubt> {
        *self.doubt.lock()
    }

    /// Whether the wall clock is, at this very moment, where it should be.
    pub(crate) fn is_near(&self) -> bool {
        let reading = read_clocks(&*self.clock);
        rules::is_believed(self.belief.lock().is_near(&reading))
    }

    /// Whether what this clock says counts for others.
    pub(crate) fn has_say(&self) -> bool {
        let reading = read_clocks(&*self.clock);
        rules::is_believed(self.belief.lock().has_say(&reading))
    }

    /// Most other nodes have had the same time since a reading of the clocks.
    pub(crate) fn confirm(&self, since: (Timestamp, Duration)) {
        let reading = read_clocks(&*self.clock);
        let passed = reading.boot.saturating_sub(since.1).as_millis() as i64;
        // What they agreed with is what the clock said then.
        if (reading.wall.since(since.0) - passed).abs() <= APART_MS {
            self.belief.lock().confirm(&reading);
        }
    }

    /// People say what time it is.
    pub(crate) fn set(&self, to: Timestamp) {
        self.belief.lock().set(&read_clocks(&*self.clock), to);
    }

    /// Writes the anchor down where the file says something else.
    fn keep(&self, anchor: Anchor) {
        let mut kept = self.kept.lock();
        let as_kept = kept.as_ref().is_some_and(|kept| {
            let boot = Duration::from_millis(anchor.boot_ms.unsigned_abs());
            let apart = anchor.wall.since(kept.expected(boot)).abs();
            kept.boot_id == anchor.boot_id && kept.sets == anchor.sets && apart <= KEPT_MS
        });
        if as_kept {
            return;
        }
        match save(&RealFiles, &self.path, &anchor) {
            Ok(()) => *kept = Some(anchor),
            Err(error) => tracing::debug!(%error, "the clocks' standing could not be written yet"),
        }
    }
}

/// Both clocks, without asking the kernel about NTP.
fn read_clocks(clock: &dyn Clock) -> Reading {
    Reading {
        wall: clock.wall(),
        boot: clock.boot(),
        disciplined: None,
    }
}

fn read(clock: &dyn Clock) -> Reading {
    Reading {
        disciplined: clock.disciplined(),
        ..read_clocks(clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: i64 = 365 * 86_400_000;
    const NOON: i64 = 1_800_000_000_000;

    /// A machine that was up for an hour at noon, and what its process believes.
    struct Machine {
        belief: Belief,
        boot_ms: i64,
        /// How far the wall clock is off.
        off_ms: i64,
        is_disciplined: bool,
        state: StateTime,
    }

    impl Machine {
        fn new() -> Self {
            let here = (Timestamp::from_millis(NOON), Duration::from_secs(3_600));
            let (anchor, basis) = (Anchor::new(7, here, 0), Basis::Boot);
            let belief = Belief {
                anchor,
                basis,
                together: here,
                agreed: None,
            };
            let state = StateTime {
                at: here.0,
                sets: 0,
            };
            Self {
                belief,
                boot_ms: 3_600_000,
                off_ms: 0,
                is_disciplined: false,
                state,
            }
        }

        fn reading(&self) -> Reading {
            let right = Timestamp::from_millis(NOON + self.boot_ms - 3_600_000);
            let wall = right.plus_millis(self.off_ms);
            let boot = Duration::from_millis(self.boot_ms as u64);
            Reading {
                wall,
                boot,
                disciplined: self.is_disciplined.then_some(wall),
            }
        }

        fn look(&mut self) -> Option<ClockDoubt> {
            let reading = self.reading();
            let doubt = self.belief.look(&reading, self.state);
            if doubt.is_none() {
                self.state.at = self.state.at.max(reading.wall);
            }
            doubt
        }

        /// Looks once a second; the doubt in the end.
        fn pass(&mut self, seconds: i64) -> Option<ClockDoubt> {
            let mut doubt = None;
            for _ in 0..seconds {
                self.boot_ms += 1_000;
                doubt = self.look();
            }
            doubt
        }

        /// The process starts again; the machine too, if it has another boot.
        fn restart(&mut self, boot_id: u64) {
            let kept = Some(self.belief.anchor);
            self.belief = Belief::open(kept, boot_id, &self.reading(), self.state);
        }
    }

    #[test]
    fn a_clock_that_was_set_far_is_in_doubt_until_it_is_back() {
        for off in [
            JUMP_MS + 5_000,
            3_600_000,
            YEAR,
            40 * YEAR,
            -JUMP_MS - 5_000,
            -YEAR,
        ] {
            let mut machine = Machine::new();
            assert_eq!(machine.pass(100), None);
            machine.off_ms = off;
            assert!(
                !machine.belief.is_near(&machine.reading()),
                "at once: {off}"
            );
            assert_eq!(machine.pass(4), Some(ClockDoubt::Jumped(off)));
            machine.off_ms = 0;
            assert!(machine.belief.is_near(&machine.reading()), "at once: {off}");
            assert_eq!(machine.pass(1), None, "{off}");
        }
    }

    #[test]
    fn a_clock_that_was_set_a_little_is_believed_and_many_such_steps_are_not() {
        let mut machine = Machine::new();
        for step in 1..=4 {
            machine.off_ms = step * JUMP_MS / 5;
            assert_eq!(machine.pass(5), None, "step {step}");
        }
        machine.off_ms = 6 * JUMP_MS / 5;
        assert!(matches!(machine.pass(5), Some(ClockDoubt::Jumped(_))));
    }

    #[test]
    fn a_clock_that_drifts_for_a_month_is_believed_and_a_jump_after_it_is_not() {
        let mut machine = Machine::new();
        for second in 0..30 * 86_400 / 60 {
            machine.boot_ms += 60_000;
            // 500 parts in a million.
            machine.off_ms += 30;
            assert_eq!(machine.look(), None, "minute {second}");
        }
        machine.off_ms += JUMP_MS + 5_000;
        assert!(matches!(machine.pass(3), Some(ClockDoubt::Jumped(_))));
    }

    #[test]
    fn a_kernel_that_ntp_keeps_right_ends_the_doubt_once_it_has_said_so_for_a_while() {
        let mut machine = Machine::new();
        machine.off_ms = YEAR;
        assert!(machine.pass(3_600).is_some(), "nobody agrees");
        machine.is_disciplined = true;
        assert!(machine.pass(9).is_some(), "not at once");
        assert_eq!(machine.pass(3), None);
        assert_eq!(machine.pass(100), None);
    }

    #[test]
    fn a_kernel_whose_own_time_is_another_has_no_say() {
        let mut machine = Machine::new();
        machine.off_ms = YEAR;
        let right = |machine: &Machine| machine.reading().wall.plus_millis(-YEAR);
        for _ in 0..60 {
            machine.boot_ms += 1_000;
            let reading = Reading {
                disciplined: Some(right(&machine)),
                ..machine.reading()
            };
            assert!(machine.belief.look(&reading, machine.state).is_some());
        }
    }

    #[test]
    fn a_process_that_starts_again_on_the_same_boot_knows_that_the_clock_was_set() {
        let mut machine = Machine::new();
        machine.off_ms = YEAR;
        machine.restart(7);
        assert_eq!(machine.pass(5), Some(ClockDoubt::Jumped(YEAR)));
        // Time that passed meanwhile is no jump.
        machine.off_ms = 0;
        machine.boot_ms += 14 * 86_400_000;
        machine.restart(7);
        assert_eq!(machine.pass(5), None);
    }

    #[test]
    fn after_another_boot_a_few_days_are_believed_and_more_need_a_second_opinion() {
        let mut machine = Machine::new();
        machine.restart(8);
        assert_eq!(machine.pass(1), None, "it was off for a moment");

        let mut machine = Machine::new();
        machine.off_ms = OFF_MS - 60_000;
        machine.restart(8);
        assert!(
            matches!(machine.pass(5), Some(ClockDoubt::Ahead(_))),
            "not at once"
        );
        assert_eq!(machine.pass(40), None);

        // A clock that is wrong for some seconds just then is not believed, also not by others.
        let mut machine = Machine::new();
        machine.off_ms = 3_600_000;
        machine.restart(8);
        assert!(machine.pass(20).is_some());
        assert!(!machine.belief.has_say(&machine.reading()));
        machine.off_ms = 7_200_000;
        assert!(machine.pass(20).is_some());
        assert!(!machine.belief.has_say(&machine.reading()));
        machine.off_ms = 0;
        assert_eq!(machine.pass(1), None);

        let mut machine = Machine::new();
        machine.off_ms = OFF_MS + 10_000;
        machine.restart(8);
        assert!(matches!(machine.pass(5), Some(ClockDoubt::Ahead(_))));
        assert!(!machine.belief.has_say(&machine.reading()));
        assert!(matches!(machine.pass(60), Some(ClockDoubt::Ahead(_))));
        assert!(
            machine.belief.has_say(&machine.reading()),
            "most nodes may have been off for weeks"
        );
        machine.is_disciplined = true;
        assert_eq!(machine.pass(12), None);
    }

    #[test]
    fn an_empty_state_believes_the_clock_that_it_begins_with() {
        let mut machine = Machine::new();
        machine.off_ms = YEAR;
        machine.state = StateTime::default();
        machine.restart(8);
        let empty = StateTime::default();
        assert_eq!(machine.belief.look(&machine.reading(), empty), None);
        assert!(machine.belief.has_say(&machine.reading()));
        machine.off_ms = 2 * YEAR;
        let doubt = machine.belief.look(&machine.reading(), empty);
        assert_eq!(
            doubt,
            Some(ClockDoubt::Jumped(YEAR)),
            "also before the first entry"
        );
        machine.off_ms = YEAR;
        assert_eq!(machine.pass(5), None);
        machine.off_ms = 0;
        assert!(
            matches!(machine.pass(5), Some(ClockDoubt::Jumped(_))),
            "what it began with counts"
        );

        // An empty node that is brought up by others has their time to compare with.
        let mut machine = Machine::new();
        let others = machine.state;
        machine.off_ms = YEAR;
        machine.state = StateTime::default();
        machine.restart(8);
        machine.belief.look(&machine.reading(), others);
        assert!(!machine.belief.has_say(&machine.reading()));
    }

    #[test]
    fn a_clock_behind_the_states_time_is_in_doubt_until_people_set_that() {
        let mut machine = Machine::new();
        machine.state.at = machine.state.at.plus_millis(YEAR);
        machine.is_disciplined = true;
        for boot_id in [7, 8] {
            machine.restart(boot_id);
            assert!(
                matches!(machine.pass(60), Some(ClockDoubt::Behind(_))),
                "boot {boot_id}"
            );
        }
        let now = machine.reading().wall;
        machine.belief.set(&machine.reading(), now);
        machine.state = StateTime { at: now, sets: 1 };
        assert_eq!(machine.pass(5), None);
    }

    #[test]
    fn people_who_set_the_time_to_what_the_clock_says_end_the_doubt_everywhere() {
        // Where they asked, and where it comes by the log.
        let mut machine = Machine::new();
        machine.off_ms = YEAR;
        assert!(machine.pass(5).is_some());
        let now = machine.reading().wall;
        machine.state = StateTime { at: now, sets: 1 };
        assert_eq!(machine.pass(5), None);

        // A clock that says something else is none the better for it.
        let mut machine = Machine::new();
        machine.off_ms = YEAR;
        machine.state = StateTime {
            at: Timestamp::from_millis(NOON),
            sets: 1,
        };
        assert!(matches!(machine.pass(5), Some(ClockDoubt::Jumped(_))));
    }

    #[test]
    fn people_who_set_another_time_than_the_clocks_leave_it_in_doubt_until_it_is_that() {
        let mut machine = Machine::new();
        let other = machine.reading().wall.plus_millis(-2 * JUMP_MS);
        machine.belief.set(&machine.reading(), other);
        machine.state = StateTime { at: other, sets: 1 };
        assert!(matches!(machine.pass(5), Some(ClockDoubt::Jumped(_))));
        machine.off_ms = -2 * JUMP_MS;
        assert_eq!(machine.pass(5), None);
    }

    #[test]
    fn what_is_kept_in_the_file_is_found_by_the_next_process() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("clock");
        let clock = Arc::new(crate::clock::SystemClock);
        let state = StateTime {
            at: clock.wall(),
            sets: 0,
        };
        let trust = Trust::open(clock.clone(), path.clone(), StateTime::default());
        assert_eq!(trust.look(state), None);
        let kept: Option<Anchor> = load(&RealFiles, &path).expect("it is read");
        let kept = kept.expect("it was written");
        assert!(kept.wall.since(clock.wall()).abs() < 60_000);

        // The clock was set back by a year since, by what the file says.
        let ahead = Anchor {
            wall: kept.wall.plus_millis(YEAR),
            ..kept
        };
        save(&RealFiles, &path, &ahead).expect("written");
        let trust = Trust::open(clock.clone(), path.clone(), state);
        assert!(matches!(trust.look(state), Some(ClockDoubt::Jumped(_))));

        // A file that does not check out is as good as none.
        std::fs::write(&path, b"half").expect("written");
        let trust = Trust::open(clock, path, state);
        assert_eq!(trust.look(state), None);
    }
}
