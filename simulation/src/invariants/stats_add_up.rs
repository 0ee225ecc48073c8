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

use notty_raft::AppliedEntry;
use notty_storage::{
    command::{Action, PurgeMailing, Reply, SweptBatches},
    model::MailingNumber,
};
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
        Self {
            rng: StdRng::seed_from_u64(seed),
            past: common::Past::new(8),
        }
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
        let reader = applied.view.read();
        let look = self.rng.random_ratio(1, EVERY);
        let gone = reported_and_dropped(applied);
        if !look || !gone.is_empty() {
            self.past.note(&reader)?;
        }
        for (mailing, reported) in gone {
            self.past.reported_and_dropped(&reader, mailing, reported)?;
        }
        if !look {
            return Ok(());
        }
        let looked = common::check(&reader, &mut self.past);
        looked
            .map(drop)
            .map_err(|what| format!("at {}: {what}", applied.index))
    }

    fn conclude(&mut self, end: &Final<'_>, _facts: &Facts) -> Judgement {
        common::check(&end.view.read(), &mut self.past).map(drop)
    }
}

/// Mailings that an entry took reports or receipts of before it dropped them, and how many messages those were.
/// The state after the entry does not have them any more, that before it not what was reported.
fn reported_and_dropped(applied: &AppliedEntry<'_>) -> Vec<(MailingNumber, u64)> {
    let commands = applied.entry.iter().flat_map(|entry| &entry.commands);
    let (mut reported, mut gone) = (Vec::new(), Vec::new());
    for (command, outcome) in commands.zip(applied.outcomes) {
        match (&command.action, outcome) {
            (Action::Report(report), Ok(_)) => {
                let runs = report.results.iter().flat_map(|(_, runs)| runs);
                let messages: u64 = runs.map(|run| u64::from(run.len)).sum();
                reported.push((report.mailing, messages));
            }
            (Action::TakeReceipts(take), Ok(_)) => {
                let receipts = take.receipts.iter();
                reported.extend(receipts.map(|receipt| (receipt.message.mailing, 1)));
            }
            (
                Action::PurgeMailing(PurgeMailing { mailing, .. }),
                Ok(Reply::Swept(SweptBatches { more: false, .. })),
            ) => {
                let of_it = reported.iter().filter(|(reported, _)| reported == mailing);
                let messages: u64 = of_it.map(|(_, messages)| messages).sum();
                gone.extend((messages > 0).then_some((*mailing, messages)));
            }
            _ => {}
        }
    }
    gone
}
