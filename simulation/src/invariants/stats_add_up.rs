//! In every applied state all sums hold: each message in one status, counts of batches, mailings,
//! days and customers adding up, leases holding exactly what is sending.
//!
//! The state after each entry is looked into when the first node applies it; that the others'
//! states are the same is another invariant. Reading every message of it is slow, so that is done
//! now and then, by chance.

#[path = "../../../storage/tests/common/mod.rs"]
#[allow(dead_code, reason = "the random games of storage use more of it")]
pub(super) mod common;

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{Facts, Invariant, Judgement};
use crate::event::{Event, Final};

/// One entry in so many is looked into.
const EVERY: u32 = 24;

/// See above.
pub(super) struct StatsAddUp {
    rng: StdRng,
    past: common::Past,
}

impl StatsAddUp {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), past: common::Past::new(8) }
    }
}

impl Invariant for StatsAddUp {
    fn name(&self) -> &'static str {
        "stats_add_up"
    }

    fn judge(&mut self, event: &Event<'_>, facts: &Facts, _now: Duration) -> Judgement {
        let Event::Applied { applied, .. } = event else {
            return Ok(());
        };
        if !facts.newest {
            return Ok(());
        }
        if !self.rng.random_ratio(1, EVERY) {
            return self.past.note(&applied.view.read());
        }
        let looked = common::check(&applied.view.read(), &mut self.past);
        looked.map(drop).map_err(|what| format!("at {}: {what}", applied.index))
    }

    fn conclude(&mut self, end: &Final<'_>, _facts: &Facts) -> Judgement {
        common::check(&end.view.read(), &mut self.past).map(drop)
    }
}
