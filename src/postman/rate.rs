//! The rate at which a postman settles messages: it asks for as many as it will send.

use std::time::Duration;

/// Messages settled a second, smoothed.
#[derive(Debug, Default)]
pub(super) struct SendRate {
    per_second: f64,
    counted: u64,
    since: Duration,
}

impl SendRate {
    /// Messages settled in a second.
    pub(super) fn per_second(&self) -> f64 {
        self.per_second
    }

    /// Counts messages that were settled.
    pub(super) fn note(&mut self, settled: usize, now: Duration) {
        self.counted += settled as u64;
        let elapsed = now.saturating_sub(self.since).as_secs_f64();
        if elapsed >= 0.1 {
            let rate = self.counted as f64 / elapsed;
            self.per_second = self.per_second * 0.7 + rate * 0.3;
            self.counted = 0;
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_what_is_settled() {
        let mut rate = SendRate::default();
        for n in 1..=40 {
            rate.note(100, Duration::from_millis(n * 100));
        }
        assert!((990.0..1_010.0).contains(&rate.per_second()), "{rate:?}");
        for n in 41..=80 {
            rate.note(0, Duration::from_millis(n * 100));
        }
        assert!(rate.per_second() < 1.0, "{rate:?}");
    }
}
