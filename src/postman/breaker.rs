//! The breaker: a gateway in trouble must not burn a mailing.
//!
//! It opens after 20 unsure or unsent results in a row, when 20 of the last 100 requests were left in
//! doubt, and when its credit is used up. Then nothing more is begun or leased, and one message at a
//! time probes: after pauses that grow from 1 to 60 seconds while probes fail, one right after the
//! other while they go well. Ten in a row close it.
//!
//! The credit is the number of requests that may still end in doubt: one less with each that does, one
//! more with every eighth that goes well. It bounds the requests in flight too, since each of them may
//! be lost. So a gateway that loses answers from the first message on, or goes bad and well in turns,
//! costs 64 messages and one in eight of those that it answers, however the losses are spread. Credit
//! grows while less than one in nine is lost: a gateway that loses a few percent is not slowed down.
//!
//! "Last" and "in a row" mean the order in which requests began. A request that hangs gets its result
//! long after later ones went well, and says nothing of the gateway as it is now; nor does a request
//! from before the breaker opened. The share is taken in the order of results besides, and must be
//! reached in both: losses that show at once are ahead of answers that take their time in the one
//! order, and the losses of ten seconds come together in the other.

use std::{collections::VecDeque, time::Duration};

use notty_storage::rules;

/// Results in a row that open it.
const TROUBLE: u32 = 20;
/// Requests of which the share in doubt is taken. Fewer, and a gateway that loses 2 % would open it
/// now and then; more, and the trouble of an hour ago would count on a slow day.
const LAST: u32 = 100;
/// Requests in doubt, of the last, that open it: at half lost it takes 40 results to reach them, at 2 %
/// they come together once in 10^14 windows.
const DOUBTS: u32 = 20;
/// Credit at the start: so little that three postmen that begin at a bad gateway leave 300 messages in
/// doubt at most, so much that a good one soon has all of its slots busy.
const CREDIT: u32 = 64;
/// Credit after it was open, as many as have just gone well.
const CREDIT_AGAIN: u32 = CLOSING;
/// Requests that must go well for one more of credit.
const EARNS: u32 = 8;
/// Probes in a row that must go well before it closes: with half of the answers lost, ten do so once in
/// a thousand times.
const CLOSING: u32 = 10;
/// The first pause before a probe.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause before a probe.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Requests whose results are remembered: the last ones with a result are found among them, while many
/// later ones still wait for theirs.
const REMEMBERED: usize = 1_024;

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// All is well.
    Closed,
    /// Nothing is begun before a time.
    Open {
        /// When the next probe may be begun, since the machine started.
        until: Duration,
    },
    /// One message is on its way to see.
    Probing,
}

/// Permission to begin a message; its result comes back with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Its place in the order of beginning.
    serial: u64,
}

/// The result of a request, as far as the breaker must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The gateway answered clearly, whatever it said.
    Clear,
    /// The gateway may have the message.
    InDoubt,
    /// Nothing was written to the gateway.
    Unsent,
}

/// The breaker's memory of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It is on its way, or was never begun.
    Nothing,
    Was(Outcome),
}

/// The breaker of one postman.
#[derive(Debug)]
pub struct Breaker {
    stand: Stand,
    /// Slots of the postman.
    slots: u32,
    /// The next pass.
    next: u64,
    /// The first pass that counts: what began before it opened says nothing.
    since: u64,
    /// The latest pass that went well.
    well: Option<u64>,
    /// Results of trouble in a row.
    trouble: u32,
    /// Results by pass, in a ring.
    known: Box<[Known; REMEMBERED]>,
    /// The last results in the order in which they came.
    latest: VecDeque<Outcome>,
    /// Requests that may still end in doubt.
    credit: u32,
    /// Requests that went well and are not part of the credit yet.
    earned: u32,
    /// The pass of the probe that counts.
    probe: u64,
    /// Probes that went well in a row.
    probed: u32,
    pause: Duration,
}

impl Breaker {
    /// Closed, for a postman with so many slots.
    pub fn new(slots: usize) -> Self {
        Self {
            stand: Stand::Closed,
            slots: u32::try_from(slots).unwrap_or(u32::MAX),
            next: 0,
            since: 0,
            well: None,
            trouble: 0,
            known: Box::new([Known::Nothing; REMEMBERED]),
            latest: VecDeque::with_capacity(LAST as usize),
            credit: CREDIT,
            earned: 0,
            probe: 0,
            probed: 0,
            pause: FIRST_PAUSE,
        }
    }

    /// How it stands.
    pub fn stand(&self) -> Stand {
        self.stand
    }

    /// Requests that may be in flight at once: no more than may end in doubt.
    pub fn slots(&self) -> usize {
        // A probe needs one.
        self.credit.clamp(1, self.slots.max(1)) as usize
    }

    /// How many messages may be leased now: as many as wanted, one to probe with, or none.
    pub fn room(&self, wanted: u16, now: Duration) -> u16 {
        match self.stand {
            Stand::Closed => wanted,
            Stand::Open { until } if now >= until => wanted.min(1),
            Stand::Open { .. } | Stand::Probing => 0,
        }
    }

    /// Whether what waits for a slot is to be handed back: nothing of it may be begun soon.
    pub fn holds_up(&self, now: Duration) -> bool {
        match self.stand {
            Stand::Closed => false,
            // The first of what waits is the probe.
            Stand::Open { until } => now < until,
            Stand::Probing => true,
        }
    }

    /// Permits a message to begin now, or not; while it is open, the first to ask becomes the probe.
    pub fn may_begin(&mut self, now: Duration) -> Option<Pass> {
        match self.stand {
            Stand::Closed => Some(self.pass()),
            Stand::Open { until } if now >= until => {
                let pass = self.pass();
                self.stand = Stand::Probing;
                self.probe = pass.serial;
                Some(pass)
            }
            Stand::Open { .. } | Stand::Probing => None,
        }
    }

    fn pass(&mut self) -> Pass {
        let serial = self.next;
        self.next += 1;
        self.set_known(serial, Known::Nothing);
        Pass { serial }
    }

    fn set_known(&mut self, serial: u64, known: Known) {
        self.known[(serial % REMEMBERED as u64) as usize] = known;
    }

    /// Notes a result; true if the stand changed.
    pub fn note(&mut self, pass: Pass, outcome: Outcome, now: Duration) -> bool {
        let Pass { serial } = pass;
        if serial < self.since {
            return false;
        }
        if self.stand != Stand::Closed {
            return self.stand == Stand::Probing
                && serial == self.probe
                && self.note_probe(outcome, now);
        }
        // A slower one's place may have been taken by now.
        if self.next - serial <= REMEMBERED as u64 {
            self.set_known(serial, Known::Was(outcome));
        }
        if self.latest.len() == LAST as usize {
            self.latest.pop_front();
        }
        self.latest.push_back(outcome);

        if outcome == Outcome::Clear {
            self.note_clear(serial);
            return false;
        }
        // What began before the latest that went well is in no row with what comes now.
        let in_a_row = self.well.is_none_or(|well| well < serial);
        self.trouble += u32::from(in_a_row);
        let mut opens = self.trouble >= TROUBLE;
        if outcome == Outcome::InDoubt && rules::doubts_count_as_shares() {
            self.credit = self.credit.saturating_sub(1);
            opens |= self.credit == 0 || self.has_share_in_doubt();
        }
        opens && self.open(now)
    }

    fn note_clear(&mut self, serial: u64) {
        self.well = self.well.max(Some(serial));
        self.trouble = 0;
        self.earned += 1;
        if self.earned == EARNS {
            self.earned = 0;
            // All slots may hang while nothing else is sent, as at the end of a mailing.
            self.credit = (self.credit + 1).min(self.slots.saturating_add(CREDIT));
        }
        // It has been well for long: the next trouble is another one.
        if self.credit >= CREDIT {
            self.pause = FIRST_PAUSE;
        }
    }

    /// True if too many of the last requests with a result are in doubt.
    fn has_share_in_doubt(&self) -> bool {
        let in_doubt = |outcome: &Outcome| *outcome == Outcome::InDoubt;
        if self
            .latest
            .iter()
            .filter(|outcome| in_doubt(outcome))
            .count()
            < DOUBTS as usize
        {
            return false;
        }

        let oldest = self.since.max(self.next.saturating_sub(REMEMBERED as u64));
        let results = (oldest..self.next).rev().filter_map(|serial| {
            match self.known[(serial % REMEMBERED as u64) as usize] {
                Known::Was(outcome) => Some(outcome),
                Known::Nothing => None,
            }
        });
        results.take(LAST as usize).filter(in_doubt).count() >= DOUBTS as usize
    }

    fn note_probe(&mut self, outcome: Outcome, now: Duration) -> bool {
        if outcome != Outcome::Clear {
            return self.open(now);
        }
        self.probed += 1;
        if self.probed < CLOSING {
            self.stand = Stand::Open { until: now };
            return true;
        }
        self.stand = Stand::Closed;
        (self.trouble, self.credit, self.earned) = (0, CREDIT_AGAIN, 0);
        (self.since, self.well) = (self.next, None);
        true
    }

    fn open(&mut self, now: Duration) -> bool {
        self.stand = Stand::Open {
            until: now + self.pause,
        };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        (self.since, self.probed) = (self.next, 0);
        self.latest.clear();
        true
    }

    /// A message that never began: if it was the probe, another may be.
    pub fn lapsed(&mut self, pass: Pass, now: Duration) {
        if self.stand == Stand::Probing && pass.serial == self.probe {
            self.stand = Stand::Open { until: now };
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn one(breaker: &mut Breaker, outcome: Outcome, at: u64) -> bool {
        let pass = begin(breaker, at);
        breaker.note(pass, outcome, seconds(at))
    }

    /// One that opened at a time.
    fn opened(at: u64) -> Breaker {
        let mut breaker = breaker();
        (0..TROUBLE).for_each(|_| {
            one(&mut breaker, Outcome::InDoubt, at);
        });
        breaker
    }

    #[test]
    fn it_opens_after_twenty_in_a_row_and_not_before() {
        let mut breaker = breaker();
        for _ in 0..3 {
            for _ in 0..19 {
                assert!(!one(&mut breaker, Outcome::Unsent, 1));
            }
            one(&mut breaker, Outcome::Clear, 1);
        }
        for n in 0..20 {
            assert_eq!(one(&mut breaker, Outcome::Unsent, 1), n == 19);
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
        breaker.note(probe, Outcome::InDoubt, seconds(2));
        assert_eq!(breaker.may_begin(seconds(3)), None);
        let probe = begin(&mut breaker, 4);
        breaker.note(probe, Outcome::Unsent, seconds(5));
        assert_eq!(breaker.may_begin(seconds(8)), None);
        begin(&mut breaker, 9);
    }

    #[test]
    fn it_closes_after_ten_probes_in_a_row_that_went_well_and_not_after_fewer() {
        let mut breaker = opened(0);
        for _ in 1..CLOSING {
            assert!(one(&mut breaker, Outcome::Clear, 1));
            assert_eq!(
                (breaker.stand(), breaker.room(7, seconds(1))),
                (Stand::Open { until: seconds(1) }, 1)
            );
        }
        one(&mut breaker, Outcome::InDoubt, 1);
        assert_eq!(breaker.stand(), Stand::Open { until: seconds(3) });
        for n in 1..=CLOSING {
            one(&mut breaker, Outcome::Clear, 3);
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
            one(&mut breaker, Outcome::Clear, 1);
        });
        let hanging: Vec<_> = (0..100).map(|_| begin(&mut breaker, 4)).collect();
        (0..200).for_each(|_| {
            one(&mut breaker, Outcome::Clear, 5);
        });
        for pass in hanging {
            assert!(!breaker.note(pass, Outcome::InDoubt, seconds(14)));
        }
        for n in 0..20 {
            assert_eq!(one(&mut breaker, Outcome::InDoubt, 16), n == 19);
        }
    }

    #[test]
    fn what_was_begun_before_says_nothing_of_a_probe() {
        let mut breaker = breaker();
        let early: Vec<_> = (0..3).map(|_| begin(&mut breaker, 0)).collect();
        (0..TROUBLE).for_each(|_| {
            one(&mut breaker, Outcome::InDoubt, 0);
        });
        let probe = begin(&mut breaker, 1);
        assert!(!breaker.note(early[0], Outcome::InDoubt, seconds(1)));
        assert!(!breaker.note(early[1], Outcome::Clear, seconds(1)));
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
        in_flight: BTreeMap<(u64, u64), (Pass, Outcome, bool)>,
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
                let outcome = if is_lost {
                    Outcome::InDoubt
                } else {
                    Outcome::Clear
                };
                self.in_flight
                    .insert((ms + takes, pass.serial), (pass, outcome, is_probe));
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
            for (pass, outcome, is_probe) in due.into_values() {
                let is_lost = outcome == Outcome::InDoubt;
                self.course.clear += u32::from(!is_lost);
                self.course.doubts += u32::from(is_lost);
                self.course.probes += u32::from(is_lost && is_probe);
                let was_open = self.breaker.stand() != Stand::Closed;
                self.breaker.note(pass, outcome, now);
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
        let is_over = |course: &Course| {
            course.clear + course.doubts == 5_000 || course.ms >= minutes * 60_000
        };
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
}
