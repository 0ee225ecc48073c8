//! The rates that the post office keeps to: how much may be granted, and how far ahead to expand.
//!
//! Both are lost with the leadership. A new leader begins with an empty budget and without a memory
//! of recent grants, which costs a moment of sending and nothing else.

use std::{collections::HashMap, time::Duration};

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

        self.tokens = self.tokens_at(now);
        self.filled_at = now;
        let taken = wanted.min(self.tokens as u16);
        self.tokens -= f64::from(taken);
        taken
    }

    /// The most messages that it holds.
    fn most(&self) -> f64 {
        // At a rate of less than 10 a tenth of a second's worth would never be a whole message.
        (f64::from(self.rate) / 10.0).max(1.0)
    }

    fn tokens_at(&self, now: Duration) -> f64 {
        let elapsed = now.saturating_sub(self.filled_at).as_secs_f64();
        (self.tokens + elapsed * f64::from(self.rate)).min(self.most())
    }

    fn is_full(&self, now: Duration) -> bool {
        self.tokens_at(now) >= self.most()
    }

    /// Gives back messages that were taken and not granted.
    pub fn give_back(&mut self, unused: u16) {
        if self.rate != 0 {
            self.tokens += f64::from(unused);
        }
    }
}

/// The budgets of all gateways that messages were granted for lately, by their identity.
#[derive(Debug)]
pub struct Budgets {
    rate: u32,
    of: HashMap<u64, Budget>,
}

impl Budgets {
    /// Budgets of so many messages a second each; 0: no limit.
    pub fn new(rate: u32) -> Self {
        Self {
            rate,
            of: HashMap::new(),
        }
    }

    /// Takes as many messages of a gateway's budget as there are, at most `wanted`.
    pub fn take(&mut self, gateway: u64, wanted: u16, now: Duration) -> u16 {
        if self.rate == 0 {
            return wanted;
        }
        // One that is full again is as good as a new one: only gateways at work are kept.
        self.of.retain(|_, budget| !budget.is_full(now));
        let budget = self
            .of
            .entry(gateway)
            .or_insert_with(|| Budget::new(self.rate));
        budget.take(wanted, now)
    }

    /// Gives back what was not used.
    pub fn give_back(&mut self, gateway: u64, unused: u16) {
        if let Some(budget) = self.of.get_mut(&gateway) {
            budget.give_back(unused);
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
    fn each_gateway_has_a_budget_of_its_own_and_one_at_rest_is_forgotten() {
        let at = |ms: u64| Duration::from_millis(60_000 + ms);
        let mut budgets = Budgets::new(100);
        assert_eq!(budgets.take(1, 1_000, at(0)), 10);
        assert_eq!(budgets.take(2, 1_000, at(0)), 10);
        assert_eq!(budgets.take(1, 1_000, at(50)), 5);
        budgets.give_back(1, 5);
        assert_eq!(budgets.take(1, 1_000, at(50)), 5);
        assert_eq!(budgets.take(1, 1_000, at(100)), 5);
        // The second one has filled up again.
        assert_eq!(budgets.of.len(), 1);
        assert_eq!(budgets.take(2, 1_000, at(100)), 10);
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
