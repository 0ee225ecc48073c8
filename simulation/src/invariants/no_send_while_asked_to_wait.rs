//! A postman that was asked to wait begins no request before the time is over. What was under way when it
//! was asked may still arrive.

use std::{collections::BTreeMap, time::Duration};

use super::{Facts, Invariant, Judgement, ensure};
use crate::event::Event;

/// Time of an answer from its first bytes to its last on the slowest network. It counts once it is whole.
const READING: Duration = Duration::from_millis(500);
/// Rounding of a machine's clock.
const ROUNDING: Duration = Duration::from_millis(2);

/// The judge of this property, with what it has seen of each postman.
#[derive(Default)]
pub(super) struct NoSendWhileAskedToWait {
    /// From when to when each machine has to wait.
    waits: BTreeMap<usize, (Duration, Duration)>,
}

impl Invariant for NoSendWhileAskedToWait {
    fn name(&self) -> &'static str {
        "no_send_while_asked_to_wait"
    }

    fn judge(&mut self, event: &Event<'_>, _facts: &Facts, now: Duration) -> Judgement {
        match event {
            Event::AskedToWait { machine, seconds } => {
                let until = now + Duration::from_secs(*seconds);
                let wait = self.waits.entry(*machine).or_insert((now, until));
                if wait.1 <= now {
                    wait.0 = now;
                }
                wait.1 = wait.1.max(until);
            }

            // Its next process was not asked.
            Event::Died { machine, .. } | Event::Started { machine } => {
                self.waits.remove(machine);
            }

            Event::Begun { machine, id, .. } => {
                let Some((from, until)) = self.waits.get(machine).copied() else {
                    return Ok(());
                };
                let waits = now > from + READING && now + ROUNDING < until;
                ensure(!waits, || {
                    format!(
                        "node {machine} begins message {id}, and was asked at {from:?} to wait until \
                         {until:?}"
                    )
                })?;
            }
            _ => {}
        }
        Ok(())
    }
}
