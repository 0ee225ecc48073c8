//! A node starts again whatever its process and its machine went through; one whose disk was taken
//! away or fails is told from that.

use std::{collections::BTreeSet, time::Duration};

use super::{Facts, Invariant, Judgement, ensure};
use crate::event::Event;

/// See above.
#[derive(Default)]
pub(super) struct NodesStart {
    /// Machines whose disks are at fault.
    excused: BTreeSet<usize>,
}

impl Invariant for NodesStart {
    fn name(&self) -> &'static str {
        "nodes_start"
    }

    fn judge(&mut self, event: &Event<'_>, _facts: &Facts, _now: Duration) -> Judgement {
        match event {
            Event::DiskFailed { machine, .. }
            | Event::Wiped { machine }
            | Event::OldDisk { machine } => {
                self.excused.insert(*machine);
                Ok(())
            }
            Event::Started { machine } => {
                self.excused.remove(machine);
                Ok(())
            }
            Event::Died { machine, why, .. } => {
                let refused = why.starts_with("it does not start");
                let excused = self.excused.contains(machine);
                ensure(!refused || excused, || format!("node {machine}: {why}"))
            }
            _ => Ok(()),
        }
    }
}
