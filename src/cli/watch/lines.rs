//! Lines about a mailing where there is no terminal: what changes soon, what stays the same rarely.
//!
//! A mailing may wait for its window all night, and a file of equal lines hides the others.

use std::time::{Duration, Instant};

/// Shortest time between two lines.
const LINE: Duration = Duration::from_secs(2);
/// Time after which the same line comes again, as a sign of life.
const SAME: Duration = Duration::from_secs(60);

/// The line that was written last, and its time.
pub(super) struct ProgressLines {
    last: String,
    at: Instant,
}

impl ProgressLines {
    /// No line yet; the first one comes when a mailing takes its time.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            last: String::new(),
            at: now,
        }
    }

    /// Notes a line if it is due, and returns true then.
    pub(super) fn take(&mut self, line: &str, now: Instant) -> bool {
        let pause = if line == self.last { SAME } else { LINE };
        let is_due = now - self.at >= pause;
        if is_due {
            line.clone_into(&mut self.last);
            self.at = now;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_stays_the_same_comes_once_a_minute() {
        let start = Instant::now();
        let mut lines = ProgressLines::new(start);
        let taken = (1..=600).filter(|n| lines.take("paused", start + LINE / 2 * *n));
        assert_eq!(taken.count(), 10);
    }

    #[test]
    fn a_line_that_changes_comes_every_two_seconds() {
        let start = Instant::now();
        let mut lines = ProgressLines::new(start);
        let taken = (1..=20).filter(|n| lines.take(&n.to_string(), start + LINE / 2 * *n));
        assert_eq!(taken.count(), 10);
    }
}
