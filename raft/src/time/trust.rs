//! This node's trust in its own wall clock: looks at the clocks, and keeps the result.
//!
//! The judgement itself is [`super::belief`]. Here the clocks are read, the anchor goes to a file, so
//! that a process that starts again on the same boot of the machine goes on from there, and the log
//! gets a line when the doubt begins or ends.

use std::{path::PathBuf, sync::Arc};

use notty_storage::{Timestamp, rules};
use parking_lot::Mutex;

use super::{
    belief::{Anchor, Belief, ClockReading},
    clock::Clock,
    doubt::ClockDoubt,
    moment::ClockMoment,
    state_time::StateTime,
};
use crate::disk::{
    files::RealFiles,
    sealed::{load, save},
};

/// The belief of a node in its own wall clock.
pub(crate) struct Trust {
    clock: Arc<dyn Clock>,
    /// File of the anchor.
    path: PathBuf,
    belief: Mutex<Belief>,
    /// The anchor in the file.
    kept: Mutex<Option<Anchor>>,
    doubt: Mutex<Option<ClockDoubt>>,
}

impl Trust {
    pub(crate) fn open(clock: Arc<dyn Clock>, path: PathBuf, state: StateTime) -> Arc<Self> {
        // Without a file the state's time is enough to begin with.
        let kept = load(&RealFiles, &path).unwrap_or_else(|error| {
            tracing::warn!(%error, "what was kept of the clocks cannot be read, and is written anew");
            None
        });
        let boot_id = clock.boot_id().unwrap_or_default();
        let belief = Belief::open(kept, boot_id, &read(&*clock), state);

        Arc::new(Self {
            clock,
            path,
            belief: Mutex::new(belief),
            kept: Mutex::new(kept),
            doubt: Mutex::default(),
        })
    }

    /// Looks at the clocks, keeps the anchor, and logs a change of the doubt. Reads and writes files.
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
            // A doubt that changes its size is still the same one.
            _ => {}
        }
        doubt
    }

    /// The doubt that the last look left.
    pub(crate) fn doubt(&self) -> Option<ClockDoubt> {
        *self.doubt.lock()
    }

    /// True if the wall clock has, at this very moment, the expected time.
    pub(crate) fn is_near(&self) -> bool {
        let reading = ClockMoment::now(&*self.clock);
        rules::is_believed(self.belief.lock().is_near(&reading))
    }

    /// True if other nodes may count this clock.
    pub(crate) fn has_say(&self) -> bool {
        let reading = ClockMoment::now(&*self.clock);
        rules::is_believed(self.belief.lock().has_say(&reading))
    }

    /// Believes the clock, because most other nodes have had the same time since a moment.
    pub(crate) fn confirm(&self, since: ClockMoment) {
        let now = ClockMoment::now(&*self.clock);
        // They agreed with the clock of that moment: a step since then is not covered.
        if now.is_steady_since(since) {
            self.belief.lock().confirm(now);
        }
    }

    /// Takes the time from people.
    pub(crate) fn set(&self, to: Timestamp) {
        let now = ClockMoment::now(&*self.clock);
        self.belief.lock().set(now, to);
    }

    /// Writes the anchor, unless the file has one that is as good.
    fn keep(&self, anchor: Anchor) {
        let mut kept = self.kept.lock();
        if kept.as_ref().is_some_and(|kept| anchor.is_kept_as(kept)) {
            return;
        }

        match save(&RealFiles, &self.path, &anchor) {
            Ok(()) => *kept = Some(anchor),
            // The next look tries again.
            Err(error) => tracing::debug!(%error, "the clocks' standing could not be written yet"),
        }
    }
}

/// Reads the clocks, and asks the kernel about NTP.
fn read(clock: &dyn Clock) -> ClockReading {
    ClockReading {
        disciplined: clock.disciplined(),
        moment: ClockMoment::now(clock),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::clock::SystemClock;

    const YEAR: i64 = 365 * 86_400_000;

    #[test]
    fn what_is_kept_in_the_file_is_found_by_the_next_process() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("clock");
        let clock = Arc::new(SystemClock);
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
        let mut ahead = kept;
        ahead.wall = kept.wall.plus_millis(YEAR);
        save(&RealFiles, &path, &ahead).expect("written");
        let trust = Trust::open(clock.clone(), path.clone(), state);
        assert!(matches!(trust.look(state), Some(ClockDoubt::Jumped(_))));

        // A file that does not check out is as good as none.
        std::fs::write(&path, b"half").expect("written");
        let trust = Trust::open(clock, path, state);
        assert_eq!(trust.look(state), None);
    }
}
