//! Equal positions mean equal states: each position has one running hash, whoever applies it, and
//! however often.

use std::{collections::BTreeMap, time::Duration};

use super::{Facts, Invariant, Judgement, ensure};
use crate::event::Event;

/// See above.
#[derive(Default)]
pub(super) struct ReplicasAgree {
    first: BTreeMap<u64, (u64, usize)>,
}

impl Invariant for ReplicasAgree {
    fn name(&self) -> &'static str {
        "replicas_agree"
    }

    fn judge(&mut self, event: &Event<'_>, _facts: &Facts, _now: Duration) -> Judgement {
        let (machine, index, hash) = match event {
            Event::Applied { machine, applied } => (*machine, applied.index, applied.hash),
            Event::Installed {
                machine,
                index,
                hash,
            } => (*machine, *index, *hash),
            _ => return Ok(()),
        };
        let (first, by) = *self.first.entry(index).or_insert((hash, machine));
        ensure(first == hash, || {
            format!(
                "at position {index} node {by} had {first:016x}, node {machine} has {hash:016x}"
            )
        })
    }
}
