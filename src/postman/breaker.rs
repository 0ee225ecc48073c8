//! The breaker: a gateway in trouble must not burn a mailing.
//!
//! After 20 unsure or unsent results in a row it opens: nothing more is begun or leased, and one
//! message at a time probes, after pauses that grow from 1 to 60 seconds.

use std::time::Duration;

/// Results in a row that open it.
const TROUBLE: u32 = 20;
/// The first pause before a probe.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause before a probe.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

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

/// What a message was begun as; its result counts as that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// One of many.
    Usual,
    /// The probe of this number.
    Probe(u64),
}

/// The breaker of one postman.
#[derive(Debug)]
pub struct Breaker {
    stand: Stand,
    trouble: u32,
    pause: Duration,
    probes: u64,
    /// When the latest request was begun that went well.
    well_since: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        let (stand, pause, well_since) = (Stand::Closed, FIRST_PAUSE, Duration::ZERO);
        Self { stand, trouble: 0, pause, probes: 0, well_since }
    }
}

impl Breaker {
    /// How it stands.
    pub fn stand(&self) -> Stand {
        self.stand
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

    /// Whether a message may be begun now, and as what; while it is open, the first to ask becomes
    /// the probe.
    pub fn may_begin(&mut self, now: Duration) -> Option<Pass> {
        match self.stand {
            Stand::Closed => Some(Pass::Usual),
            Stand::Open { until } if now >= until => {
                self.stand = Stand::Probing;
                self.probes += 1;
                Some(Pass::Probe(self.probes))
            }
            Stand::Open { .. } | Stand::Probing => None,
        }
    }

    /// Notes a result, and when its request was begun; true if the stand changed. `trouble`:
    /// unsure, or not sent. In a row means in the order of beginning: a request that hangs while
    /// later ones go well says nothing of the gateway as it is now, nor does one from before it
    /// opened.
    pub fn note(&mut self, pass: Pass, trouble: bool, began: Duration, now: Duration) -> bool {
        if trouble && began < self.well_since {
            return false;
        }
        if !trouble {
            self.well_since = self.well_since.max(began);
            let before = std::mem::replace(&mut self.stand, Stand::Closed);
            (self.trouble, self.pause) = (0, FIRST_PAUSE);
            return before != Stand::Closed;
        }
        self.trouble = self.trouble.saturating_add(1);
        match self.stand {
            Stand::Closed if self.trouble >= TROUBLE => self.open(now),
            Stand::Probing if pass == Pass::Probe(self.probes) => self.open(now),
            _ => false,
        }
    }

    fn open(&mut self, now: Duration) -> bool {
        self.stand = Stand::Open { until: now + self.pause };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }

    /// A message that never began: if it was the probe, another may be.
    pub fn lapsed(&mut self, pass: Pass, now: Duration) {
        if self.stand == Stand::Probing && pass == Pass::Probe(self.probes) {
            self.stand = Stand::Open { until: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// One that opened at a time.
    fn opened(at: u64) -> Breaker {
        let mut breaker = Breaker::default();
        (0..20).for_each(|_| {
            breaker.note(Pass::Usual, true, seconds(at), seconds(at));
        });
        breaker
    }

    #[test]
    fn it_opens_after_twenty_in_a_row_and_not_before() {
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            for _ in 0..19 {
                assert!(!breaker.note(Pass::Usual, true, seconds(1), seconds(1)));
            }
            breaker.note(Pass::Usual, false, seconds(1), seconds(1));
        }
        for n in 0..20 {
            assert_eq!(breaker.note(Pass::Usual, true, seconds(1), seconds(1)), n == 19);
        }
        assert_eq!(breaker.may_begin(seconds(1)), None);
        assert_eq!(breaker.room(100, seconds(1)), 0);
        assert!(breaker.holds_up(seconds(1)) && !breaker.holds_up(seconds(2)));
    }

    #[test]
    fn one_message_probes_after_pauses_that_grow() {
        let mut breaker = opened(0);
        assert_eq!(breaker.room(100, seconds(1)), 1);
        let probe = breaker.may_begin(seconds(1)).expect("a probe");
        assert_eq!((probe, breaker.may_begin(seconds(1))), (Pass::Probe(1), None));
        breaker.note(probe, true, seconds(2), seconds(2));
        assert_eq!(breaker.may_begin(seconds(3)), None);
        assert_eq!(breaker.may_begin(seconds(4)), Some(Pass::Probe(2)));
        breaker.note(Pass::Probe(2), false, seconds(5), seconds(5));
        assert_eq!((breaker.stand(), breaker.room(7, seconds(5))), (Stand::Closed, 7));
    }

    #[test]
    fn requests_that_hang_while_later_ones_go_well_do_not_open_it() {
        let mut breaker = Breaker::default();
        breaker.note(Pass::Usual, false, seconds(5), seconds(5));
        for _ in 0..100 {
            assert!(!breaker.note(Pass::Usual, true, seconds(4), seconds(14)));
        }
        for n in 0..20 {
            assert_eq!(breaker.note(Pass::Usual, true, seconds(6), seconds(16)), n == 19);
        }
    }

    #[test]
    fn what_was_begun_before_says_nothing_of_a_probe() {
        let mut breaker = opened(0);
        let probe = breaker.may_begin(seconds(1)).expect("a probe");
        breaker.note(Pass::Usual, true, seconds(1), seconds(1));
        breaker.lapsed(Pass::Usual, seconds(1));
        assert_eq!((breaker.stand(), breaker.may_begin(seconds(9))), (Stand::Probing, None));
        breaker.lapsed(probe, seconds(9));
        assert_eq!(breaker.may_begin(seconds(9)), Some(Pass::Probe(2)));
    }
}
