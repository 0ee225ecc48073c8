//! Positions that a node served, and terms that it voted in, never go back, whatever its process
//! goes through; unless its disk is taken away.

use std::{collections::BTreeMap, time::Duration};

use super::{Facts, Invariant, Judgement, ensure};
use crate::event::{Event, Told};

/// See above.
#[derive(Default)]
pub(super) struct NothingGoesBack {
    terms: BTreeMap<usize, u64>,
}

impl Invariant for NothingGoesBack {
    fn name(&self) -> &'static str {
        "nothing_goes_back"
    }

    fn judge(&mut self, event: &Event<'_>, facts: &Facts, _now: Duration) -> Judgement {
        match event {
            Event::Wiped { machine } | Event::OldDisk { machine } => {
                self.terms.remove(machine);
                Ok(())
            }
            Event::Voted { machine, term } => rise(&mut self.terms, *machine, *term, "term"),
            Event::Told(Told::Position {
                machine,
                index,
                floor,
            }) => {
                // Another disk may have come between the question and its answer.
                let served = facts.served.get(machine).copied().unwrap_or_default();
                let floor = (*floor).min(served);
                ensure(*index >= floor, || {
                    format!("node {machine}'s served position went back from {floor} to {index}")
                })
            }
            _ => Ok(()),
        }
    }
}

fn rise(known: &mut BTreeMap<usize, u64>, machine: usize, now: u64, what: &str) -> Judgement {
    let before = known.insert(machine, now).unwrap_or_default();
    ensure(before <= now, || {
        format!("node {machine}'s {what} went back from {before} to {now}")
    })
}
