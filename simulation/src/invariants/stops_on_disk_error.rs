//! A node whose disk fails stops: it applies, votes and sends nothing more.

use std::{collections::BTreeMap, time::Duration};

use super::{Facts, Invariant, Judgement, ensure};
use crate::event::Event;

/// See above.
#[derive(Default)]
pub(super) struct StopsOnDiskError {
    failed: BTreeMap<usize, Duration>,
}

impl Invariant for StopsOnDiskError {
    fn name(&self) -> &'static str {
        "stops_on_disk_error"
    }

    fn judge(&mut self, event: &Event<'_>, _facts: &Facts, now: Duration) -> Judgement {
        let (machine, does) = match event {
            Event::DiskFailed { machine, .. } => {
                self.failed.entry(*machine).or_insert(now);
                return Ok(());
            }
            Event::Died { machine, .. } => {
                self.failed.remove(machine);
                return Ok(());
            }
            Event::Applied { machine, .. } => (machine, "applies an entry"),
            Event::Voted { machine, .. } => (machine, "votes"),
            Event::Begun { machine, .. } => (machine, "sends"),
            _ => return Ok(()),
        };
        let failed = self.failed.get(machine);
        ensure(failed.is_none_or(|failed| *failed == now), || {
            format!("node {machine} {does} although its disk has failed")
        })
    }
}
