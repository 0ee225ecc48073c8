//! The breaker against gateways that lose answers in many ways.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn breaker() -> Breaker {
    Breaker::new(256)
}

fn begin(breaker: &mut Breaker, at: u64) -> Pass {
    breaker
        .may_begin(seconds(at))
        .expect("it is closed, or may be probed")
}

/// Begins a message and notes its result at once; true if the stand changed.
fn one(breaker: &mut Breaker, signal: Signal, at: u64) -> bool {
    let pass = begin(breaker, at);
    breaker.note(pass, signal, seconds(at))
}

/// One that opened at a time.
fn opened(at: u64) -> Breaker {
    let mut breaker = breaker();
    (0..TROUBLE).for_each(|_| {
        one(&mut breaker, Signal::InDoubt, at);
    });
    breaker
}

#[test]
fn it_opens_after_twenty_in_a_row_and_not_before() {
    let mut breaker = breaker();
    for _ in 0..3 {
        for _ in 0..19 {
            assert!(!one(&mut breaker, Signal::Unsent, 1));
        }
        one(&mut breaker, Signal::Clear, 1);
    }
    for n in 0..20 {
        assert_eq!(one(&mut breaker, Signal::Unsent, 1), n == 19);
    }
    assert_eq!(breaker.may_begin(seconds(1)), None);
    assert_eq!(breaker.room(100, seconds(1)), 0);
    assert!(breaker.holds_up(seconds(1)) && !breaker.holds_up(seconds(2)));
}

#[test]
fn one_message_probes_after_pauses_that_grow() {
    let mut breaker = opened(0);
    assert_eq!(breaker.room(100, seconds(1)), 1);
    let probe = begin(&mut breaker, 1);
    assert_eq!(breaker.may_begin(seconds(1)), None);
    breaker.note(probe, Signal::InDoubt, seconds(2));
    assert_eq!(breaker.may_begin(seconds(3)), None);
    let probe = begin(&mut breaker, 4);
    breaker.note(probe, Signal::Unsent, seconds(5));
    assert_eq!(breaker.may_begin(seconds(8)), None);
    begin(&mut breaker, 9);
}

#[test]
fn it_closes_after_ten_probes_in_a_row_that_went_well_and_not_after_fewer() {
    let mut breaker = opened(0);
    for _ in 1..CLOSING {
        assert!(one(&mut breaker, Signal::Clear, 1));
        assert_eq!(
            (breaker.stand(), breaker.room(7, seconds(1))),
            (Stand::Open { until: seconds(1) }, 1)
        );
    }
    one(&mut breaker, Signal::InDoubt, 1);
    assert_eq!(breaker.stand(), Stand::Open { until: seconds(3) });
    for n in 1..=CLOSING {
        one(&mut breaker, Signal::Clear, 3);
        assert_eq!(breaker.stand() == Stand::Closed, n == CLOSING);
    }
    assert_eq!(breaker.room(7, seconds(3)), 7);
    // It is trusted with little at first.
    assert_eq!(breaker.slots(), CREDIT_AGAIN as usize);
}

#[test]
fn requests_that_hang_while_later_ones_go_well_do_not_open_it() {
    let mut breaker = breaker();
    (0..2_000).for_each(|_| {
        one(&mut breaker, Signal::Clear, 1);
    });
    let hanging: Vec<_> = (0..100).map(|_| begin(&mut breaker, 4)).collect();
    (0..200).for_each(|_| {
        one(&mut breaker, Signal::Clear, 5);
    });
    for pass in hanging {
        assert!(!breaker.note(pass, Signal::InDoubt, seconds(14)));
    }
    for n in 0..20 {
        assert_eq!(one(&mut breaker, Signal::InDoubt, 16), n == 19);
    }
}

#[test]
fn what_was_begun_before_says_nothing_of_a_probe() {
    let mut breaker = breaker();
    let early: Vec<_> = (0..3).map(|_| begin(&mut breaker, 0)).collect();
    (0..TROUBLE).for_each(|_| {
        one(&mut breaker, Signal::InDoubt, 0);
    });
    let probe = begin(&mut breaker, 1);
    assert!(!breaker.note(early[0], Signal::InDoubt, seconds(1)));
    assert!(!breaker.note(early[1], Signal::Clear, seconds(1)));
    breaker.lapsed(early[2], seconds(1));
    assert_eq!(
        (breaker.stand(), breaker.may_begin(seconds(9))),
        (Stand::Probing, None)
    );
    breaker.lapsed(probe, seconds(9));
    begin(&mut breaker, 9);
}

/// A gateway: the share of a thousand answers that it loses by the time, and how long it takes until
/// a loss shows.
struct Lossy {
    per_mille: fn(u64) -> u32,
    shows_after_ms: u64,
}

/// The course of a mailing.
#[derive(Debug, Default)]
struct Course {
    begun: u32,
    clear: u32,
    doubts: u32,
    /// Those of the doubts that were probes.
    probes: u32,
    closings: u32,
    ms: u64,
}

/// A postman with 256 slots and 5,000 messages to send.
struct Sending {
    breaker: Breaker,
    rng: StdRng,
    course: Course,
    /// Requests by the time of their result.
    in_flight: BTreeMap<(u64, u64), (Pass, Signal, bool)>,
}

impl Sending {
    fn begin(&mut self, gateway: &Lossy) {
        let ms = self.course.ms;
        while self.in_flight.len() < self.breaker.slots() && self.course.begun < 5_000 {
            let is_probe = self.breaker.stand() != Stand::Closed;
            let Some(pass) = self.breaker.may_begin(Duration::from_millis(ms)) else {
                return;
            };
            let is_lost = self.rng.random_ratio((gateway.per_mille)(ms), 1_000);
            let answered = self.rng.random_range(1..=50);
            let takes = if is_lost {
                gateway.shows_after_ms
            } else {
                answered
            };
            let signal = if is_lost {
                Signal::InDoubt
            } else {
                Signal::Clear
            };
            self.in_flight
                .insert((ms + takes, pass.serial), (pass, signal, is_probe));
            self.course.begun += 1;
        }
    }

    /// Lets time pass until something happens.
    fn wait(&mut self) {
        let result = self
            .in_flight
            .first_key_value()
            .map_or(u64::MAX, |((at, _), _)| *at);
        let probe = match self.breaker.stand() {
            Stand::Open { until } => until.as_millis() as u64,
            Stand::Closed | Stand::Probing => u64::MAX,
        };
        self.course.ms = result.min(probe).max(self.course.ms + 1);
    }

    fn end(&mut self) {
        let now = Duration::from_millis(self.course.ms);
        let later = self.in_flight.split_off(&(self.course.ms + 1, 0));
        let due = std::mem::replace(&mut self.in_flight, later);
        for (pass, signal, is_probe) in due.into_values() {
            let is_lost = signal == Signal::InDoubt;
            self.course.clear += u32::from(!is_lost);
            self.course.doubts += u32::from(is_lost);
            self.course.probes += u32::from(is_lost && is_probe);
            let was_open = self.breaker.stand() != Stand::Closed;
            self.breaker.note(pass, signal, now);
            let is_closed = self.breaker.stand() == Stand::Closed;
            self.course.closings += u32::from(was_open && is_closed);
        }
    }
}

/// Sends 5,000 messages, for so many minutes at most, through a gateway that answers within 50 ms.
fn send(gateway: &Lossy, minutes: u64, seed: u64) -> Course {
    let mut sending = Sending {
        breaker: breaker(),
        rng: StdRng::seed_from_u64(seed),
        course: Course::default(),
        in_flight: BTreeMap::new(),
    };
    let is_over =
        |course: &Course| course.clear + course.doubts == 5_000 || course.ms >= minutes * 60_000;
    while !is_over(&sending.course) {
        sending.begin(gateway);
        sending.wait();
        sending.end();
    }
    sending.course
}

/// Losses show at once, after a while, or when the time for an answer is over.
fn courses(per_mille: fn(u64) -> u32, minutes: u64) -> impl Iterator<Item = Course> {
    let gateways = [1, 500, 10_000].map(|shows_after_ms| Lossy {
        per_mille,
        shows_after_ms,
    });
    let seeds = 0..40;
    gateways
        .into_iter()
        .flat_map(move |gateway| seeds.clone().map(move |seed| send(&gateway, minutes, seed)))
}

#[test]
fn a_gateway_that_loses_half_of_its_answers_or_more_leaves_at_most_100_in_doubt_at_first() {
    let shares: [fn(u64) -> u32; 5] = [|_| 500, |_| 600, |_| 800, |_| 900, |_| 1_000];
    for per_mille in shares {
        // Three such postmen keep within 300 together.
        for course in courses(per_mille, 5) {
            assert!(course.doubts <= 100, "{}: {course:?}", per_mille(0));
        }
        for course in courses(per_mille, 60) {
            assert!(course.doubts <= 200, "{}: {course:?}", per_mille(0));
        }
    }
}

#[test]
fn a_gateway_that_loses_few_answers_is_not_slowed_down() {
    let shares: [fn(u64) -> u32; 4] = [|_| 0, |_| 10, |_| 20, |_| 30];
    for per_mille in shares {
        for course in courses(per_mille, 5) {
            let what = format!("{}: {course:?}", per_mille(0));
            assert_eq!((course.begun, course.closings), (5_000, 0), "{what}");
            // 256 slots of 25 ms each take half a second; losses are waited for besides.
            assert!(course.ms <= 1_500 + 10_000, "{what}");
            assert!(per_mille(0) > 0 || course.ms <= 1_000, "{what}");
        }
    }
}

#[test]
fn whatever_a_gateway_does_one_in_eight_is_in_doubt_and_what_it_was_trusted_with() {
    let shares: [fn(u64) -> u32; 6] = [
        |_| 100,
        |_| 150,
        |_| 200,
        |_| 300,
        // Well and bad in turns.
        |ms| if ms % 400 < 200 { 0 } else { 1_000 },
        |ms| if ms % 6_000 < 3_000 { 20 } else { 700 },
    ];
    for per_mille in shares {
        for course in courses(per_mille, 60) {
            let trusted = CREDIT + course.clear / EARNS + course.closings * CREDIT_AGAIN;
            assert!(course.doubts - course.probes <= trusted, "{course:?}");
        }
    }
}
