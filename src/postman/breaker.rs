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

/// The breaker of one postman.
#[derive(Debug)]
pub struct Breaker {
    stand: Stand,
    trouble: u32,
    pause: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { stand: Stand::Closed, trouble: 0, pause: FIRST_PAUSE }
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

    /// Whether a message may be begun now; while it is open, the first to ask becomes the probe.
    pub fn may_begin(&mut self, now: Duration) -> bool {
        match self.stand {
            Stand::Closed => true,
            Stand::Open { until } if now >= until => {
                self.stand = Stand::Probing;
                true
            }
            Stand::Open { .. } | Stand::Probing => false,
        }
    }

    /// Notes a result; true if the stand changed. `trouble`: unsure, or not sent.
    pub fn note(&mut self, trouble: bool, now: Duration) -> bool {
        if !trouble {
            let before = std::mem::replace(&mut self.stand, Stand::Closed);
            (self.trouble, self.pause) = (0, FIRST_PAUSE);
            return before != Stand::Closed;
        }
        self.trouble = self.trouble.saturating_add(1);
        match self.stand {
            Stand::Closed if self.trouble >= TROUBLE => self.open(now),
            Stand::Probing => self.open(now),
            _ => false,
        }
    }

    fn open(&mut self, now: Duration) -> bool {
        self.stand = Stand::Open { until: now + self.pause };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }

    /// A probe that never began: the next one may.
    pub fn probe_lapsed(&mut self, now: Duration) {
        if self.stand == Stand::Probing {
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

    #[test]
    fn it_opens_after_twenty_in_a_row_and_not_before() {
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            for _ in 0..19 {
                assert!(!breaker.note(true, seconds(1)));
            }
            breaker.note(false, seconds(1));
        }
        for n in 0..20 {
            assert_eq!(breaker.note(true, seconds(1)), n == 19);
        }
        assert!(!breaker.may_begin(seconds(1)));
        assert_eq!(breaker.room(100, seconds(1)), 0);
    }

    #[test]
    fn one_message_probes_after_pauses_that_grow() {
        let mut breaker = Breaker::default();
        (0..20).for_each(|_| {
            breaker.note(true, seconds(0));
        });
        assert_eq!(breaker.room(100, seconds(1)), 1);
        assert!(breaker.may_begin(seconds(1)) && !breaker.may_begin(seconds(1)));
        breaker.note(true, seconds(2));
        assert!(!breaker.may_begin(seconds(3)) && breaker.may_begin(seconds(4)));
        breaker.note(false, seconds(5));
        assert_eq!((breaker.stand(), breaker.room(7, seconds(5))), (Stand::Closed, 7));
    }
}
