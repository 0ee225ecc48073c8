//! The rates that the post office keeps to: how much may be granted, and how far ahead to expand.
//!
//! Both are lost with the leadership. A new leader begins with an empty budget and without a memory
//! of recent grants, which costs a moment of sending and nothing else.

use std::time::Duration;

use notty_storage::Timestamp;

/// The leases' worth of messages that is always ready, however slow sending is.
const LEASES_AHEAD: u64 = 4;

/// Messages that may be granted: a token bucket that fills at the configured rate. It holds a tenth
/// of a second's worth, so that no second sees much more than the rate.
#[derive(Debug)]
pub struct Budget {
    rate: u32,
    tokens: f64,
    filled_at: Duration,
}

impl Budget {
    /// An empty bucket for messages a second; a rate of 0 means no limit.
    pub fn new(rate: u32) -> Self {
        Self {
            rate,
            tokens: 0.0,
            filled_at: Duration::ZERO,
        }
    }

    /// Takes as many messages as there are, up to a number.
    pub fn take(&mut self, wanted: u16, now: Duration) -> u16 {
        if self.rate == 0 {
            return wanted;
        }

        self.fill(now);
        let taken = wanted.min(self.tokens as u16);
        self.tokens -= f64::from(taken);
        taken
    }

    fn fill(&mut self, now: Duration) {
        // At a rate of less than 10 a tenth of a second's worth would never be a whole message.
        let most = (f64::from(self.rate) / 10.0).max(1.0);
        let elapsed = now.saturating_sub(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * f64::from(self.rate)).min(most);
        self.filled_at = now;
    }

    /// Gives back messages that were taken and not granted.
    pub fn give_back(&mut self, unused: u16) {
        if self.rate != 0 {
            self.tokens += f64::from(unused);
        }
    }
}

/// Messages granted in the present and in the last second: how far ahead to expand follows from it.
#[derive(Debug, Default)]
pub struct RecentGrants {
    second: i64,
    in_this_second: u64,
    in_the_last_second: u64,
}

impl RecentGrants {
    /// Counts messages that were granted.
    pub fn note(&mut self, count: u16, at: Timestamp) {
        self.turn(at);
        self.in_this_second += u64::from(count);
    }

    /// Messages to have ready: those of half a second, and at least four leases.
    pub fn ahead(&mut self, lease_size: u16, at: Timestamp) -> u64 {
        self.turn(at);
        let in_half_a_second = self.in_this_second.max(self.in_the_last_second) / 2;
        in_half_a_second.max(u64::from(lease_size) * LEASES_AHEAD)
    }

    /// Begins a new second, if one has begun.
    fn turn(&mut self, at: Timestamp) {
        let second = at.as_millis().div_euclid(1_000);
        if second == self.second {
            return;
        }

        // After a pause, the last second had no grants.
        let follows = second == self.second + 1;
        self.in_the_last_second = if follows { self.in_this_second } else { 0 };
        self.in_this_second = 0;
        self.second = second;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_grants_no_more_than_the_rate() {
        let mut budget = Budget::new(100);
        let mut granted = 0;
        for ms in (0..2_000).step_by(7) {
            granted += u32::from(budget.take(1_000, Duration::from_millis(60_000 + ms)));
        }
        assert!((190..=211).contains(&granted), "{granted}");
    }

    #[test]
    fn no_rate_is_no_limit() {
        assert_eq!(Budget::new(0).take(1_000, Duration::ZERO), 1_000);
    }

    #[test]
    fn expansion_keeps_ahead_of_the_grants() {
        let mut grants = RecentGrants::default();
        for n in 0..40 {
            grants.note(1_000, Timestamp::from_millis(5_000 + n * 20));
        }
        assert_eq!(grants.ahead(1_000, Timestamp::from_millis(6_000)), 20_000);
        assert_eq!(grants.ahead(1_000, Timestamp::from_millis(9_000)), 4_000);
    }
}
