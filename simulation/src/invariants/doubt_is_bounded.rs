//! However many answers a gateway loses, and in whatever order, one run of a postman leaves few messages
//! in doubt: its breaker opens, by the share that is lost where no long row comes.

use std::{collections::BTreeMap, time::Duration};

use notty_storage::{
    Action, Reply,
    command::Reported,
    model::{Epoch, SendResult},
};

use super::{Facts, Invariant, Judgement, ensure};
use crate::event::Event;

/// Messages in doubt without a single answer: what a postman is trusted with at first (64), and after
/// the breaker was open; its probes; what it has under lease when it is killed, or stopped and cannot
/// wait.
const TRUSTED: u64 = 160;
/// Clear answers for one more. The breaker itself gives eight; each time it closes costs ten more.
const CLEAR: u64 = 2;

/// See above.
#[derive(Default)]
pub(super) struct DoubtIsBounded {
    /// Messages in doubt, and clear answers, by the start of a postman.
    runs: BTreeMap<Epoch, (u64, u64)>,
}

impl Invariant for DoubtIsBounded {
    fn name(&self) -> &'static str {
        "doubt_is_bounded"
    }

    fn judge(&mut self, event: &Event<'_>, facts: &Facts, _now: Duration) -> Judgement {
        let Event::Applied { applied, .. } = event else {
            return Ok(());
        };
        if !facts.newest {
            return Ok(());
        }
        let commands = applied.entry.iter().flat_map(|entry| &entry.commands);
        for (command, outcome) in commands.zip(applied.outcomes) {
            let (Action::Report(report), Ok(Reply::Reported(Reported { accepted: 1.., .. }))) =
                (&command.action, outcome)
            else {
                continue;
            };
            let (doubts, clear) = self.runs.entry(report.lease.epoch).or_default();
            for (result, runs) in &report.results {
                let count: u64 = runs.iter().map(|run| u64::from(run.len)).sum();
                match result {
                    SendResult::Unsure | SendResult::UnsureRepeatable { .. } => *doubts += count,
                    SendResult::Done | SendResult::Invalid | SendResult::NotTaken { .. } => {
                        *clear += count;
                    }
                    SendResult::NotSent { .. } | SendResult::HandedBack => {}
                }
            }
            let (doubts, clear) = (*doubts, *clear);
            ensure(doubts <= TRUSTED + clear / CLEAR, || {
                let epoch = report.lease.epoch.0;
                format!(
                    "epoch {epoch} left {doubts} messages in doubt beside {clear} clear answers"
                )
            })?;
        }
        Ok(())
    }
}
