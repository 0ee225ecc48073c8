//! Asking for leases, as a state machine: no calls, no clock, only states and their transitions.
//!
//! One ask is under way at a time, and each lease has the next number. An ask whose answer is lost may
//! still be granted. So its number is asked for again until that is settled, and the lease's time runs
//! from the first ask under the number: the postman never believes in a lease for longer than the
//! cluster does.

use std::time::Duration;

use notty_storage::limits;

use super::{breaker::Breaker, breaker::Stand, wakes::WakeLimit};

/// Time before a call is made again that was not answered.
pub(super) const AGAIN: Duration = Duration::from_millis(200);
/// Time before another ask after one that was refused.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);
/// Time for which an ask without an answer may still come to a grant. A node that passes it on to the
/// leader gives up sooner, after 10 s.
const DOUBT: Duration = Duration::from_secs(12);

/// The stage of asking: the call that is under way, or the time of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskStage {
    /// No call is under way. The next ask comes after a time.
    Resting { until: Duration },
    /// Nothing was found. The desk answers when an ask may find more.
    Waiting,
    /// An ask is under way.
    Asked,
    /// The lease ran out before its answer came. A call finds out the messages that it held.
    Tracing,
}

/// The asks that were made under the next lease's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskDoubt {
    /// None that could still be granted.
    Settled,
    /// The first of them; an answer to the last one is awaited.
    Open { first: Duration },
    /// One was found to have no answer: its lease may have been granted, or may yet be.
    Unanswered { first: Duration, since: Duration },
}

impl AskDoubt {
    fn asked(self, now: Duration) -> Self {
        match self {
            Self::Settled => Self::Open { first: now },
            asked => asked,
        }
    }

    /// The time from which a lease of this number runs.
    fn first(self, now: Duration) -> Duration {
        match self {
            Self::Settled => now,
            Self::Open { first } | Self::Unanswered { first, .. } => first,
        }
    }

    fn unanswered(self, now: Duration) -> Self {
        Self::Unanswered {
            first: self.first(now),
            since: now,
        }
    }

    /// Nothing was found to grant. That settles an earlier ask without an answer only once it is too old
    /// to be granted: until then it may be on its way, and its lease runs from the first ask.
    fn found_nothing(self, now: Duration) -> Self {
        match self {
            Self::Unanswered { since, .. } if now.saturating_sub(since) < DOUBT => self,
            _ => Self::Settled,
        }
    }

    /// The ask was refused, which says nothing of an earlier one without an answer.
    fn refused(self) -> Self {
        match self {
            Self::Unanswered { .. } => self,
            _ => Self::Settled,
        }
    }

    fn is_unanswered(self) -> bool {
        matches!(self, Self::Unanswered { .. })
    }
}

/// An ask that is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NextAsk {
    /// The number of the lease.
    pub(super) n: u64,
    /// The time of the first ask under this number.
    pub(super) first_asked: Duration,
    /// True if an earlier one had no answer.
    pub(super) again: bool,
}

/// The asking of one postman.
#[derive(Debug)]
pub(super) struct Asking {
    /// The number of the next lease.
    n: u64,
    stage: AskStage,
    doubt: AskDoubt,
    wakes: WakeLimit,
    /// The position of the state at which the desk woke it last.
    seen: Option<u64>,
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            n: 1,
            stage: AskStage::Resting {
                until: Duration::ZERO,
            },
            doubt: AskDoubt::Settled,
            wakes: WakeLimit::default(),
            seen: None,
        }
    }
}

impl Asking {
    /// The number of the next lease.
    pub(super) fn next_n(&self) -> u64 {
        self.n
    }

    /// True if an earlier ask had no answer, and may have been granted.
    pub(super) fn is_unanswered(&self) -> bool {
        self.doubt.is_unanswered()
    }

    /// The position of the state at which the desk woke it last.
    pub(super) fn seen(&self) -> Option<u64> {
        self.seen
    }

    /// The time of the next ask; `None` while a call is under way.
    pub(super) fn due(&self) -> Option<Duration> {
        match self.stage {
            AskStage::Resting { until } => Some(until),
            AskStage::Waiting | AskStage::Asked | AskStage::Tracing => None,
        }
    }

    /// True while a call is under way that may bring a lease, or the messages of one.
    pub(super) fn may_bring(&self) -> bool {
        matches!(self.stage, AskStage::Asked | AskStage::Tracing)
    }

    /// Begins the next ask for a lease.
    pub(super) fn begin(&mut self, now: Duration) -> NextAsk {
        self.stage = AskStage::Asked;
        self.doubt = self.doubt.asked(now);
        NextAsk {
            n: self.n,
            first_asked: self.doubt.first(now),
            again: self.doubt.is_unanswered(),
        }
    }

    /// Notes a lease, or that a lease under this number is over: the next number has its turn.
    pub(super) fn go_on(&mut self, until: Duration) {
        self.n += 1;
        self.doubt = AskDoubt::Settled;
        self.stage = AskStage::Resting { until };
    }

    /// Notes that nothing was found; true if the desk is to be asked to wake this postman.
    pub(super) fn found_nothing(&mut self, now: Duration) -> bool {
        self.doubt = self.doubt.found_nothing(now);
        let tick = self.wakes.found_nothing(now);
        // If an earlier ask is granted late, only another ask under its number finds that out.
        let may_wait = self.wakes.may_wake() && !self.doubt.is_unanswered();
        self.stage = if may_wait {
            AskStage::Waiting
        } else {
            AskStage::Resting { until: tick }
        };
        may_wait
    }

    /// Notes the answer of the desk that was asked to wake this postman, at a position of the state;
    /// `None` if it could not.
    pub(super) fn woken(&mut self, position: Option<u64>, now: Duration) {
        if self.stage != AskStage::Waiting {
            return;
        }
        let until = match position {
            Some(_) => now,
            None => now + AGAIN,
        };
        self.seen = position.or(self.seen);
        self.wakes.wake();
        self.stage = AskStage::Resting { until };
    }

    /// Notes that an ask had no answer.
    pub(super) fn unanswered(&mut self, now: Duration) {
        self.doubt = self.doubt.unanswered(now);
        self.rest(now + AGAIN);
    }

    /// Notes that an ask was refused as it is.
    pub(super) fn refused(&mut self, now: Duration) {
        self.doubt = self.doubt.refused();
        self.rest(now + AFTER_REFUSAL);
    }

    /// Notes that the lease ran out before its answer came. The cluster remembers its messages until the
    /// next number is asked for, so they are fetched first.
    pub(super) fn trace(&mut self) {
        self.stage = AskStage::Tracing;
    }

    /// Asks for nothing more before a time.
    pub(super) fn rest(&mut self, until: Duration) {
        self.stage = AskStage::Resting { until };
    }
}

/// A postman's load, by which it decides whether to ask for more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Requests that may be in flight.
    pub(super) slots: usize,
    /// True while the gateway wants no requests, or is halted.
    pub(super) is_paused: bool,
    /// True if the gateway is halted, and one message is to probe.
    pub(super) probes_halt: bool,
    /// True if an earlier ask had no answer, and may have been granted.
    pub(super) is_unanswered: bool,
    /// Messages without a result.
    pub(super) held: usize,
    /// Number of leases in hand.
    pub(super) leases: usize,
    /// Messages settled a second.
    pub(super) per_second: f64,
    /// Messages of one lease, at most.
    pub(super) lease_size: u16,
    /// True if what could be asked for might not be begun now: the view of the cluster is old, or the
    /// clocks do not agree.
    pub(super) is_blind: bool,
}

/// Decides how many messages to ask for: as many as can be sent in the next half second or so. `None`
/// if it is not worth an ask.
pub(super) fn room(load: &Load, breaker: &Breaker, now: Duration) -> Option<u16> {
    if load.leases >= limits::POSTMAN_LEASES || load.is_blind {
        return None;
    }

    // A lease that was granted without an answer is heard of only by asking again. Until then its messages
    // cannot be handed back, and in the end they would be in doubt, although none was begun.
    let fetch = load.is_unanswered.then_some(1);
    if load.is_paused {
        return fetch;
    }

    let slots = load.slots;
    let wanted = slots + (load.per_second / 2.0) as usize;
    let free = wanted
        .saturating_sub(load.held)
        .min(usize::from(load.lease_size)) as u16;
    let most = if load.probes_halt { 1 } else { u16::MAX };
    let room = breaker.room(free, now).min(most);

    // Few full leases cost the cluster less than many small ones: there must be room for an eighth of
    // what is wanted, and for a quarter of the slots.
    let least = (slots / 4).clamp(1, 64).max(wanted / 8);
    let is_worth_it = usize::from(room) >= least.min(usize::from(load.lease_size));
    let probes = breaker.stand() != Stand::Closed || load.probes_halt;
    let is_probe = probes && room > 0;
    (is_worth_it || is_probe).then_some(room).or(fetch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_lease_runs_from_the_first_ask_under_its_number() {
        let mut asking = Asking::default();
        assert!(!asking.begin(ms(10)).again);
        asking.unanswered(ms(6_000));
        assert_eq!(asking.due(), Some(ms(6_000) + AGAIN));
        let again = NextAsk {
            n: 1,
            first_asked: ms(10),
            again: true,
        };
        assert_eq!(asking.begin(ms(6_200)), again);

        // A refusal, or nothing found, does not settle the ask before it.
        asking.refused(ms(6_300));
        assert_eq!(asking.begin(ms(7_300)), again);
        assert!(!asking.found_nothing(ms(7_400)));
        assert_eq!(asking.begin(ms(7_500)), again);

        asking.go_on(ms(7_600));
        let next = NextAsk {
            n: 2,
            first_asked: ms(8_000),
            again: false,
        };
        assert_eq!(asking.begin(ms(8_000)), next);
    }

    #[test]
    fn an_ask_without_an_answer_is_settled_by_finding_nothing_long_enough_after() {
        let mut asking = Asking::default();
        asking.begin(ms(10));
        asking.unanswered(ms(100));
        asking.begin(ms(300));
        let late = ms(100) + DOUBT;
        assert!(!asking.found_nothing(late - ms(1)));
        assert!(asking.begin(late).again);
        assert!(asking.found_nothing(late));
        asking.woken(Some(7), late);
        let next = asking.begin(late + ms(1));
        assert_eq!((next.first_asked, next.again), (late + ms(1), false));
    }

    #[test]
    fn a_refusal_settles_an_ask_that_was_answered() {
        let mut asking = Asking::default();
        asking.begin(ms(10));
        asking.refused(ms(20));
        assert_eq!(asking.begin(ms(1_500)).first_asked, ms(1_500));
    }

    #[test]
    fn nothing_is_asked_while_a_call_is_under_way() {
        let mut asking = Asking::default();
        assert_eq!(asking.due(), Some(Duration::ZERO));
        asking.begin(ms(0));
        assert_eq!((asking.due(), asking.may_bring()), (None, true));
        assert!(asking.found_nothing(ms(1)));
        assert_eq!((asking.due(), asking.may_bring()), (None, false));
        asking.woken(Some(5), ms(900));
        assert_eq!((asking.due(), asking.seen()), (Some(ms(900)), Some(5)));
        asking.begin(ms(901));
        asking.trace();
        assert_eq!((asking.due(), asking.may_bring()), (None, true));
    }

    #[test]
    fn a_desk_that_cannot_wake_is_asked_again_and_a_late_wake_changes_nothing() {
        let mut asking = Asking::default();
        asking.begin(ms(0));
        asking.found_nothing(ms(1));
        asking.woken(None, ms(2));
        assert_eq!(asking.due(), Some(ms(2) + AGAIN));
        asking.begin(ms(300));
        asking.woken(Some(9), ms(301));
        assert_eq!((asking.due(), asking.seen()), (None, None));
    }

    /// A postman that holds nothing, with leases of 1,000.
    fn load() -> Load {
        Load {
            slots: 40,
            is_paused: false,
            probes_halt: false,
            is_unanswered: false,
            held: 0,
            leases: 0,
            per_second: 0.0,
            lease_size: 1_000,
            is_blind: false,
        }
    }

    #[test]
    fn room_is_what_half_a_second_takes_and_small_asks_wait() {
        let breaker = Breaker::new(40);
        let room_of = |load: Load| room(&load, &breaker, ms(1));
        assert_eq!(room_of(load()), Some(40));
        let fast = Load {
            per_second: 800.0,
            ..load()
        };
        assert_eq!(room_of(fast), Some(440));
        assert_eq!(room_of(Load { held: 386, ..fast }), None);
        assert_eq!(room_of(Load { held: 385, ..fast }), Some(55));

        let full = limits::POSTMAN_LEASES;
        assert_eq!(
            room_of(Load {
                leases: full,
                ..load()
            }),
            None
        );
        let is_blind = true;
        assert_eq!(room_of(Load { is_blind, ..load() }), None);
        let is_paused = true;
        assert_eq!(
            room_of(Load {
                is_paused,
                ..load()
            }),
            None
        );
        assert_eq!(room_of(Load { slots: 4, ..load() }), Some(4));
    }

    #[test]
    fn a_lease_that_may_have_been_granted_is_asked_for_also_while_the_gateway_wants_nothing() {
        let breaker = Breaker::new(40);
        let room_of = |load: Load| room(&load, &breaker, ms(1));
        let unanswered = Load {
            is_unanswered: true,
            ..load()
        };
        let is_paused = true;
        assert_eq!(
            room_of(Load {
                is_paused,
                ..unanswered
            }),
            Some(1)
        );

        // The same while as much is held as can be sent.
        let held = unanswered.slots * 1_000;
        assert_eq!(room_of(Load { held, ..unanswered }), Some(1));
        let is_blind = true;
        let blind = Load {
            is_blind,
            ..unanswered
        };
        assert_eq!(room_of(blind), None);
    }
}
