//! The stamp of entries: the leader's wall clock, as long as it is believed and most voters agree.
//!
//! What time drives (start, end, expiry) must not be driven by one clock that is wrong. While the
//! leader does not agree with a majority, is in doubt, or its clock has jumped since the last
//! comparison, an entry gets no time of its own, and the state goes on with that of the entry before. A
//! leader that disagrees for some seconds should hand over to a voter whose clock most agree with.
//! The comparing itself is done in [`super::comparison`].

#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use notty_storage::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::{
    clock::Clock, doubt::ClockDoubt, moment::ClockMoment, state_time::StateTime, trust::Trust,
};

/// Time for which the first entry of a leader waits for the first comparison.
const FIRST: Duration = Duration::from_millis(600);
/// Time for which a leader disagrees with most voters before it hands over: longer than NTP needs to
/// step a clock, or a busy machine to answer.
const DISAGREES: Duration = Duration::from_secs(5);

/// The result of a comparison, and the clocks then.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    agrees: bool,
    at: ClockMoment,
}

/// Gives entries their time; clones share what they know.
#[derive(Clone)]
pub(crate) struct Stamp {
    clock: Arc<dyn Clock>,
    trust: Arc<Trust>,
    /// None while this node does not lead, or has not compared yet.
    verdict: Arc<watch::Sender<Option<Verdict>>>,
    /// Boot clock at the start of this leader's disagreement with most voters.
    disagrees: Arc<Mutex<Option<Duration>>>,
    /// The number of settings of the time under way: until they end, entries get none.
    holds: Arc<AtomicUsize>,
    /// Asks for a comparison at once.
    hurry: Arc<Notify>,
}

/// A setting of the time under way: while this lives, entries get no time of their own.
pub(crate) struct TimeHold(Arc<AtomicUsize>);

impl Drop for TimeHold {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Stamp {
    pub(crate) fn new(clock: Arc<dyn Clock>, trust: Arc<Trust>) -> Self {
        Self {
            clock,
            trust,
            verdict: Arc::new(watch::Sender::new(None)),
            disagrees: Arc::default(),
            holds: Arc::default(),
            hurry: Arc::default(),
        }
    }

    /// Gives entries no time of their own for now.
    pub(crate) fn hold(&self) -> TimeHold {
        self.holds.fetch_add(1, Ordering::AcqRel);
        TimeHold(self.holds.clone())
    }

    /// The time for an entry, or for a postman to compare its clock with. The beginning of time
    /// stands for that of the entry before, and no postman's clock is close to it.
    pub(crate) async fn now(&self) -> Timestamp {
        let mut verdicts = self.verdict.subscribe();
        let first = tokio::time::timeout(FIRST, verdicts.wait_for(Option::is_some)).await;
        let verdict = match first {
            Ok(Ok(verdict)) => *verdict,
            _ => None,
        };

        // After the wait, so that a setting that began meanwhile counts.
        if self.holds.load(Ordering::Acquire) > 0 {
            return Timestamp::default();
        }

        let believed = verdict.filter(|verdict| verdict.agrees && !self.has_jumped(verdict));
        match believed {
            // The belief knows of a jump amid the comparison, which the verdict has not seen.
            Some(_) if self.trust.is_near() => self.clock.wall(),
            _ => Timestamp::default(),
        }
    }

    /// True if the wall clock was set since a comparison.
    fn has_jumped(&self, since: &Verdict) -> bool {
        !self.moment().is_steady_since(since.at)
    }

    /// Looks at the clock, and returns the reason not to believe it.
    pub(crate) fn look(&self, state: StateTime) -> Option<ClockDoubt> {
        self.trust.look(state);
        self.doubt()
    }

    /// The reason for which this node does not believe its clock.
    pub(crate) fn doubt(&self) -> Option<ClockDoubt> {
        let differs = self.disagrees.lock().map(|_| ClockDoubt::Differs);
        self.trust.doubt().or(differs)
    }

    /// Takes the time from people, and has the clocks compared at once.
    pub(crate) fn set(&self, to: Timestamp) {
        self.trust.set(to);
        self.hurry.notify_one();
    }

    /// True if this leader has disagreed with most voters for so long that another should lead.
    pub(crate) fn should_hand_over(&self) -> bool {
        let since = *self.disagrees.lock();
        since.is_some_and(|since| self.clock.boot().saturating_sub(since) >= DISAGREES)
    }

    /// Drops all verdicts: this node does not lead.
    pub(super) fn forget(&self) {
        self.disagrees.lock().take();
        self.verdict
            .send_if_modified(|verdict| verdict.take().is_some());
    }

    /// Notes whether most voters agree, `None` if too few answered, and whether the clock is believed.
    pub(super) fn note(&self, agree: Option<bool>, is_believed: bool) {
        let now = self.moment();
        let agrees = match agree {
            Some(agree) => Some(agree && is_believed),
            // The first entry must not wait for answers that may never come.
            None if !is_believed || self.verdict.borrow().is_none() => Some(false),
            // A peer that does not answer has no say, and leaves the verdict as it was.
            None => None,
        };
        if let Some(agrees) = agrees {
            self.verdict.send_replace(Some(Verdict { agrees, at: now }));
        }

        self.note_disagreement(agree, now);
    }

    /// Notes since when most voters have another time, and logs when that begins and ends.
    fn note_disagreement(&self, agree: Option<bool>, now: ClockMoment) {
        let mut disagrees = self.disagrees.lock();
        match (disagrees.is_some(), agree) {
            (false, Some(false)) => {
                *disagrees = Some(now.boot);
                tracing::error!("{}", ClockDoubt::Differs);
            }
            (true, Some(true)) => {
                *disagrees = None;
                tracing::info!("this leader's clock agrees with most voters' again");
            }
            _ => {}
        }
    }

    /// Both clocks of this node, now.
    pub(super) fn moment(&self) -> ClockMoment {
        ClockMoment::now(&*self.clock)
    }

    /// This node's trust in its own clock, whatever others say.
    pub(super) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Ends when the clocks are to be compared at once.
    pub(super) async fn hurried(&self) {
        self.hurry.notified().await;
    }
}
