//! The silence of the leader, as this node notices it.
//!
//! Only time in which this node was awake counts. A process that was stopped has heard nothing for as
//! long as that took, and its peers may have a leader all the same.

use std::{ops::Range, time::Duration};

use rand::Rng;
use tokio::time::Instant;

use crate::consensus::handle::ELECTION_MS;

/// The most that counts between two looks.
const STEP: Duration = Duration::from_millis(150);

/// The time for which a node has heard nothing of a leader or a candidate.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    looked: Option<Instant>,
    /// The last time that the node heard of either.
    heard: Option<Instant>,
    lasted: Duration,
}

impl Silence {
    /// Takes in a look at the time that the node last heard of either; returns the silence since.
    pub(crate) fn note(&mut self, now: Instant, heard: Option<Instant>) -> Duration {
        let step = match self.looked.replace(now) {
            Some(looked) => (now - looked).min(STEP),
            None => Duration::ZERO,
        };

        if self.heard == heard {
            self.lasted += step;
        } else {
            self.heard = heard;
            self.lasted = heard.map_or(step, |heard| (now - heard).min(step));
        }
        self.lasted
    }
}

/// The silence that a node waits for before it tries to be elected, besides the leader's lease; drawn
/// anew for each try, so that two nodes rarely try at once.
pub(crate) fn draw_patience() -> Duration {
    draw(ELECTION_MS)
}

/// A random time between two bounds in milliseconds.
pub(crate) fn draw(bounds: Range<u64>) -> Duration {
    Duration::from_millis(rand::rng().random_range(bounds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Duration = Duration::from_millis(50);

    #[test]
    fn silence_lasts_while_nothing_is_heard_and_ends_with_the_next_word() {
        let mut silence = Silence::default();
        let start = Instant::now();
        for n in 0..=20 {
            silence.note(start + LOOK * n, Some(start));
        }
        assert_eq!(silence.lasted, LOOK * 20);

        let word = start + LOOK * 20 + Duration::from_millis(10);
        let lasted = silence.note(start + LOOK * 21, Some(word));
        assert_eq!(lasted, Duration::from_millis(40));
    }

    #[test]
    fn a_process_that_was_stopped_has_not_waited_meanwhile() {
        let mut silence = Silence::default();
        let start = Instant::now();
        silence.note(start, Some(start));
        let lasted = silence.note(start + Duration::from_secs(3_600), Some(start));
        assert_eq!(lasted, STEP);
    }
}
