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

/// The stand of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Messages are begun freely.
    Closed,
    /// Nothing is begun before a time.
    Open {
        /// Time from which the next probe may be begun, since the machine started.
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
pub enum Signal {
    /// The gateway gave a clear answer, good or bad.
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
    Was(Signal),
}

/// The breaker of one postman.
#[derive(Debug)]
pub struct Breaker {
    stand: Stand,
    /// Number of slots of the postman.
    slots: u32,
    /// The serial of the next pass.
    next: u64,
    /// The first pass that counts: what began before it opened says nothing.
    since: u64,
    /// The latest pass that went well.
    well: Option<u64>,
    /// Count of troubled results in a row.
    trouble: u32,
    /// Results by pass, in a ring.
    known: Box<[Known; REMEMBERED]>,
    /// The last results in the order in which they came.
    latest: VecDeque<Signal>,
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
    /// A closed breaker, for a postman with so many slots.
    pub fn new(slots: usize) -> Self {
        let known = Box::new([Known::Nothing; REMEMBERED]);
        let latest = VecDeque::with_capacity(LAST as usize);

        Self {
            stand: Stand::Closed,
            slots: u32::try_from(slots).unwrap_or(u32::MAX),
            next: 0,
            since: 0,
            well: None,
            trouble: 0,
            known,
            latest,
            // A gateway that loses answers from the first message on must not cost many.
            credit: CREDIT,
            earned: 0,
            probe: 0,
            probed: 0,
            pause: FIRST_PAUSE,
        }
    }

    /// The present stand of the breaker.
    pub fn stand(&self) -> Stand {
        self.stand
    }

    /// Requests that may be in flight at once: no more than may end in doubt.
    pub fn slots(&self) -> usize {
        // A probe needs one.
        self.credit.clamp(1, self.slots.max(1)) as usize
    }

    /// Messages that may be leased now: as many as wanted, one to probe with, or none.
    pub fn room(&self, wanted: u16, now: Duration) -> u16 {
        match self.stand {
            Stand::Closed => wanted,
            Stand::Open { until } if now >= until => wanted.min(1),
            Stand::Open { .. } | Stand::Probing => 0,
        }
    }

    /// True if messages that wait for a slot are to be handed back: none may be begun soon.
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
    pub fn note(&mut self, pass: Pass, signal: Signal, now: Duration) -> bool {
        let Pass { serial } = pass;
        if serial < self.since {
            return false;
        }
        if self.stand != Stand::Closed {
            return self.stand == Stand::Probing
                && serial == self.probe
                && self.note_probe(signal, now);
        }

        // A slower one's place may have been taken by now.
        if self.next - serial <= REMEMBERED as u64 {
            self.set_known(serial, Known::Was(signal));
        }
        if self.latest.len() == LAST as usize {
            self.latest.pop_front();
        }
        self.latest.push_back(signal);

        if signal == Signal::Clear {
            self.note_clear(serial);
            return false;
        }

        // What began before the latest that went well is in no row with what comes now.
        let in_a_row = self.well.is_none_or(|well| well < serial);
        self.trouble += u32::from(in_a_row);
        let mut opens = self.trouble >= TROUBLE;
        if signal == Signal::InDoubt && rules::doubts_count_as_shares() {
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
        let in_doubt = |signal: &Signal| *signal == Signal::InDoubt;
        if self.latest.iter().filter(|signal| in_doubt(signal)).count() < DOUBTS as usize {
            return false;
        }

        // Also in the order of beginning: losses show early or late, and what hangs is no sign of now.
        let oldest = self.since.max(self.next.saturating_sub(REMEMBERED as u64));
        let results = (oldest..self.next).rev().filter_map(|serial| {
            match self.known[(serial % REMEMBERED as u64) as usize] {
                Known::Was(signal) => Some(signal),
                Known::Nothing => None,
            }
        });
        results.take(LAST as usize).filter(in_doubt).count() >= DOUBTS as usize
    }

    fn note_probe(&mut self, signal: Signal, now: Duration) -> bool {
        if signal != Signal::Clear {
            return self.open(now);
        }

        self.probed += 1;
        if self.probed < CLOSING {
            self.stand = Stand::Open { until: now };
            return true;
        }

        // It begins anew, but with less credit: what came before says nothing of the gateway now.
        self.stand = Stand::Closed;
        self.trouble = 0;
        self.credit = CREDIT_AGAIN;
        self.earned = 0;
        self.since = self.next;
        self.well = None;
        true
    }

    fn open(&mut self, now: Duration) -> bool {
        self.stand = Stand::Open {
            until: now + self.pause,
        };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.since = self.next;
        self.probed = 0;
        self.latest.clear();
        true
    }

    /// Takes back the pass of a message that never began: if it was the probe, another may be.
    pub fn lapsed(&mut self, pass: Pass, now: Duration) {
        if self.stand == Stand::Probing && pass.serial == self.probe {
            self.stand = Stand::Open { until: now };
        }
    }
}

#[cfg(test)]
mod tests;
