//! A machine whose clock drifts, jumps and starts again, and the doubts that follow.

use super::*;

const YEAR: i64 = 365 * 86_400_000;
const NOON: i64 = 1_800_000_000_000;

/// A machine that was up for an hour at noon, and what its process believes.
struct Machine {
    belief: Belief,
    boot_ms: i64,
    /// Error of the wall clock, in milliseconds.
    off_ms: i64,
    is_disciplined: bool,
    state: StateTime,
}

impl Machine {
    fn new() -> Self {
        let noon = ClockMoment {
            wall: Timestamp::from_millis(NOON),
            boot: Duration::from_secs(3_600),
        };
        let belief = Belief {
            anchor: Anchor {
                boot_id: 7,
                boot_ms: 3_600_000,
                wall: noon.wall,
                sets: 0,
            },
            basis: Basis::Boot,
            together: noon,
            agreed: None,
        };
        let state = StateTime {
            at: noon.wall,
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

    fn now(&self) -> ClockMoment {
        self.reading().moment
    }

    fn reading(&self) -> ClockReading {
        let right = Timestamp::from_millis(NOON + self.boot_ms - 3_600_000);
        let wall = right.plus_millis(self.off_ms);
        let boot = Duration::from_millis(self.boot_ms as u64);
        ClockReading {
            moment: ClockMoment { wall, boot },
            disciplined: self.is_disciplined.then_some(wall),
        }
    }

    fn look(&mut self) -> Option<ClockDoubt> {
        let reading = self.reading();
        let doubt = self.belief.look(&reading, self.state);
        if doubt.is_none() {
            self.state.at = self.state.at.max(reading.moment.wall);
        }
        doubt
    }

    /// Looks once a second; returns the doubt at the end.
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
        assert!(!machine.belief.is_near(&machine.now()), "at once: {off}");
        assert_eq!(machine.pass(4), Some(ClockDoubt::Jumped(off)));
        machine.off_ms = 0;
        assert!(machine.belief.is_near(&machine.now()), "at once: {off}");
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
    let right = |machine: &Machine| machine.now().wall.plus_millis(-YEAR);
    for _ in 0..60 {
        machine.boot_ms += 1_000;
        let reading = ClockReading {
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
    assert!(!machine.belief.has_say(&machine.now()));
    machine.off_ms = 7_200_000;
    assert!(machine.pass(20).is_some());
    assert!(!machine.belief.has_say(&machine.now()));
    machine.off_ms = 0;
    assert_eq!(machine.pass(1), None);

    let mut machine = Machine::new();
    machine.off_ms = OFF_MS + 10_000;
    machine.restart(8);
    assert!(matches!(machine.pass(5), Some(ClockDoubt::Ahead(_))));
    assert!(!machine.belief.has_say(&machine.now()));
    assert!(matches!(machine.pass(60), Some(ClockDoubt::Ahead(_))));
    assert!(
        machine.belief.has_say(&machine.now()),
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
    assert!(machine.belief.has_say(&machine.now()));
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
    assert!(!machine.belief.has_say(&machine.now()));
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
    let now = machine.now().wall;
    machine.belief.set(machine.now(), now);
    machine.state = StateTime { at: now, sets: 1 };
    assert_eq!(machine.pass(5), None);
}

#[test]
fn people_who_set_the_time_to_what_the_clock_says_end_the_doubt_everywhere() {
    // Where they asked, and where it comes by the log.
    let mut machine = Machine::new();
    machine.off_ms = YEAR;
    assert!(machine.pass(5).is_some());
    let now = machine.now().wall;
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
    let other = machine.now().wall.plus_millis(-2 * JUMP_MS);
    machine.belief.set(machine.now(), other);
    machine.state = StateTime { at: other, sets: 1 };
    assert!(matches!(machine.pass(5), Some(ClockDoubt::Jumped(_))));
    machine.off_ms = -2 * JUMP_MS;
    assert_eq!(machine.pass(5), None);
}
