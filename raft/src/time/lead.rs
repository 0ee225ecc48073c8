//! The lead of the cluster's time over a clock, for people who wonder why nothing is due.
//!
//! Time in the state never goes back by itself. After a clock that was ahead and was set right, the
//! time of the last entry is later than that clock: until the clock comes there, time stands still. A
//! large lead is a [doubt](super::doubt) as well; a small one ends by itself, and is explained here.

use std::fmt;

use notty_storage::Timestamp;

use super::{
    doubt::{ClockDoubt, Span},
    moment::APART_MS,
};

/// Milliseconds by which the cluster's time is ahead of a node's clock: more than clocks that agree
/// may differ by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLead(i64);

impl TimeLead {
    /// The lead of the state's time over a clock, if it is one.
    pub(crate) fn of(state: Timestamp, wall: Timestamp) -> Option<Self> {
        let ms = state.since(wall);
        (ms > APART_MS).then_some(Self(ms))
    }

    /// The lead in milliseconds.
    pub fn ms(self) -> i64 {
        self.0
    }
}

impl fmt::Display for TimeLead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the cluster's time is {} ahead of this node's clock, as after a clock that was ahead: until \
             the clock reaches that time, time stands still, mailings that end earlier are refused, and \
             retries and leases wait. If the clock is correct now, run as admin: notty cluster set-time",
            Span(self.0)
        )
    }
}

/// The lead as a leader has logged it.
#[derive(Debug, Default)]
pub(crate) struct LeadNews {
    is_logged: bool,
}

/// A change of the lead that an operator wants to know of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LeadChange {
    Begun,
    Ended,
}

impl LeadNews {
    /// Takes in the present lead. A doubt has a line of its own, which explains more.
    pub(crate) fn note(
        &mut self,
        lead: Option<TimeLead>,
        doubt: Option<ClockDoubt>,
    ) -> Option<LeadChange> {
        let is_lead = lead.is_some() && doubt.is_none();
        let was_logged = std::mem::replace(&mut self.is_logged, is_lead);
        match (was_logged, is_lead) {
            (false, true) => Some(LeadChange::Begun),
            (true, false) => Some(LeadChange::Ended),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_lead_is_more_than_clocks_that_agree_may_differ_by() {
        assert_eq!(TimeLead::of(at(10_000), at(9_000)), None);
        assert_eq!(TimeLead::of(at(10_000), at(90_000)), None);
        let lead = TimeLead::of(at(3_600_000), at(0)).expect("a lead");
        let text = lead.to_string();
        assert!(text.contains("60 min ahead of this node's clock"), "{text}");
        assert!(text.contains("notty cluster set-time"), "{text}");
    }

    #[test]
    fn a_lead_is_news_when_it_begins_and_when_it_ends() {
        let mut news = LeadNews::default();
        let lead = TimeLead::of(at(60_000), at(0));
        assert_eq!(news.note(None, None), None);
        assert_eq!(news.note(lead, None), Some(LeadChange::Begun));
        assert_eq!(news.note(lead, None), None);
        assert_eq!(news.note(None, None), Some(LeadChange::Ended));
        assert_eq!(news.note(lead, Some(ClockDoubt::Behind(60_000))), None);
    }
}
