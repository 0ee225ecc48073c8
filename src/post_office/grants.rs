//! Who gets the next lease, and how large it may be.

use std::{collections::HashMap, time::Duration};

use notty_storage::{
    Reader, Timestamp, limits,
    model::{MailingNumber, Run, ZoneNumber},
    query::{
        self,
        work::{self, OpenMailing},
    },
};

use super::looks::{Looks, Wanted};
use crate::zones::Zones;

/// A mailing that has something to send now.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Which.
    pub mailing: MailingNumber,
    /// The zones in which it may send; none: all.
    pub zones: Option<Vec<ZoneNumber>>,
    /// Messages that seem ready, counted up to what is asked for; some may not be.
    pub ready: u64,
    /// The mailing as it stood.
    pub wanted: Wanted,
}

/// What candidates are chosen by.
pub struct Policy<'a> {
    /// The time zones.
    pub zones: &'a Zones,
    /// When each mailing was last served, as a rising number.
    pub served: &'a HashMap<MailingNumber, u64>,
    /// What is known of grants in vain.
    pub looks: &'a Looks,
    /// Hash of the gateway that the postman sends to.
    pub gateway: u64,
}

/// Batches that a grant nearly always does with: what is ready lies together.
const FEW: u8 = 4;

/// How far a grant looks: batches to take messages from, and batches to open in vain.
///
/// A grant that may touch many batches fills an entry of the log by itself. So it may only where few
/// did not do.
pub fn reach(is_scattered: bool) -> (u8, u8) {
    match is_scattered {
        true => (limits::LEASE_BATCHES, limits::GRANT_BARREN_BATCHES),
        false => (FEW, FEW),
    }
}

/// Whether the messages of a mailing lie so far apart that the next grant should look far again: it
/// gave less than it should have, or that of more than a few batches.
pub fn is_scattered(runs: &[Run], wanted: u64) -> bool {
    let batch = |run: &Run| run.first >> limits::BATCH_STRIDE_BITS;
    let batches = runs.chunk_by(|one, next| batch(one) == batch(next)).count();
    let granted: u64 = runs.iter().map(|run| u64::from(run.len)).sum();
    granted < wanted || batches > usize::from(FEW)
}

/// Mailings tried for one ask, at most.
const CANDIDATES: usize = 8;

/// Mailings with something to send; the one that was served longest ago comes first, so that none
/// waits for another to end.
pub fn candidates(
    reader: &Reader<'_>,
    now: Timestamp,
    room: u16,
    policy: &Policy<'_>,
) -> Result<Vec<Candidate>, notty_storage::Error> {
    let steady = query::time::setting(reader)?.steady(now);
    let runs = |mailing: &&OpenMailing| {
        let record = &mailing.record;
        record.is_running() && !record.paused && now < record.spec.end
    };
    let mut running: Vec<_> = work::open_mailings(reader).filter(runs).collect();
    running.sort_by_key(|mailing| policy.served.get(&mailing.number).copied().unwrap_or(0));
    let mut found = Vec::new();
    for mailing in running {
        let window = mailing.record.spec.send_window.as_ref();
        let zones = window.map(|window| policy.zones.open(window, now));
        let enough = u64::from(room.max(1));
        let ready = work::ready(reader, mailing, zones.as_deref(), steady, enough)?;
        if ready == 0 {
            continue;
        }
        let wanted = Wanted::new(mailing, policy.gateway, zones.as_deref());
        if !policy.looks.is_in_vain(&wanted, steady) {
            found.push(Candidate {
                mailing: mailing.number,
                zones,
                ready,
                wanted,
            });
        }
        if found.len() == CANDIDATES {
            break;
        }
    }
    Ok(found)
}

/// Messages that may be granted: a bucket that fills at the configured rate. It holds a tenth of a
/// second's worth, so that no second sees much more than the rate.
#[derive(Debug)]
pub struct Budget {
    rate: u32,
    tokens: f64,
    filled_at: Duration,
}

impl Budget {
    /// For messages a second; 0: no limit.
    pub fn new(rate: u32) -> Self {
        Self {
            rate,
            tokens: 0.0,
            filled_at: Duration::ZERO,
        }
    }

    /// Takes as many as there are, at most `wanted`.
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

    /// Messages that it holds, at most.
    fn most(&self) -> f64 {
        (f64::from(self.rate) / 10.0).max(1.0)
    }

    fn tokens_at(&self, now: Duration) -> f64 {
        let elapsed = now.saturating_sub(self.filled_at).as_secs_f64();
        (self.tokens + elapsed * f64::from(self.rate)).min(self.most())
    }

    fn is_full(&self, now: Duration) -> bool {
        self.tokens_at(now) >= self.most()
    }

    /// Gives back what was not used.
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

/// Messages granted in the present and the last second: how far ahead to expand follows from it.
#[derive(Debug, Default)]
pub struct Pace {
    second: i64,
    now: u64,
    before: u64,
}

impl Pace {
    /// Counts messages granted.
    pub fn note(&mut self, count: u16, at: Timestamp) {
        self.turn(at);
        self.now += u64::from(count);
    }

    /// Messages to have ready: those of half a second, and at least four leases.
    pub fn ahead(&mut self, lease_size: u16, at: Timestamp) -> u64 {
        self.turn(at);
        (self.now.max(self.before) / 2).max(u64::from(lease_size) * 4)
    }

    fn turn(&mut self, at: Timestamp) {
        let second = at.as_millis().div_euclid(1_000);
        if second != self.second {
            self.before = if second == self.second + 1 {
                self.now
            } else {
                0
            };
            (self.second, self.now) = (second, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(of: &[(u32, u16)]) -> Vec<Run> {
        let run = |(batch, len): &(u32, u16)| Run {
            first: *batch << limits::BATCH_STRIDE_BITS,
            len: *len,
            attempt: 1,
        };
        of.iter().map(run).collect()
    }

    #[test]
    fn messages_that_lie_together_are_not_looked_for_far_away() {
        assert!(!is_scattered(&runs(&[(0, 400), (1, 600)]), 1_000));
        assert!(!is_scattered(
            &runs(&[(0, 1), (0, 1), (0, 1), (0, 1), (0, 1)]),
            5
        ));
        assert!(is_scattered(&runs(&[(0, 400), (1, 599)]), 1_000));
        assert!(is_scattered(
            &runs(&[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)]),
            5
        ));
    }

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
    fn expansion_keeps_ahead_of_the_pace() {
        let mut pace = Pace::default();
        for n in 0..40 {
            pace.note(1_000, Timestamp::from_millis(5_000 + n * 20));
        }
        assert_eq!(pace.ahead(1_000, Timestamp::from_millis(6_000)), 20_000);
        assert_eq!(pace.ahead(1_000, Timestamp::from_millis(9_000)), 4_000);
    }
}
