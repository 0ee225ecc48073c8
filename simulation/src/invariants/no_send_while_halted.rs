//! After answers to three messages in a row that halt a gateway, and after one that halts a mailing, a postman
//! begins nothing there but the documented probes: one message after 1, 2, 4, 8, 15, 15 … minutes, until one
//! gets another answer. Requests that were under way when it halted may still arrive.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use notty_storage::model::MessageId;

use super::{Facts, Invariant, Judgement, ensure};
use crate::{
    event::Event,
    hosts::gateway::{FORBIDDEN, NO_MONEY},
    plan::PROBE_PAUSES_MS,
};

/// Messages in a row that halt a gateway.
const HALTING: u32 = 3;
/// Time of an answer from its first bytes to its last on the slowest network. It counts once it is whole.
const READING: Duration = Duration::from_millis(500);
/// Rounding of a machine's clock.
const ROUNDING: Duration = Duration::from_millis(2);
/// Time after which the halt of a mailing is forgotten that no message probes.
const FORGOTTEN: Duration = Duration::from_secs(120);

/// The judge of this property, with what it has seen of each process.
#[derive(Default)]
pub(super) struct NoSendWhileHalted {
    processes: BTreeMap<usize, HaltedProcess>,
}

/// The halts of one process, by the answers that came to it.
#[derive(Default)]
struct HaltedProcess {
    /// Messages that halted, whatever the scope: when they do again, that says nothing of the gateway.
    halted: BTreeSet<u64>,
    row: u32,
    gateway: Option<SeenHalt>,
    /// By the mailing's number.
    mailings: BTreeMap<u32, SeenHalt>,
}

/// One halt, as its answers show it.
struct SeenHalt {
    since: Duration,
    /// The earliest time of the next probe.
    next: Duration,
    /// Probes so far.
    probes: usize,
    /// The message that probes, or probed last.
    probe: Option<u64>,
}

impl SeenHalt {
    fn new(now: Duration) -> Self {
        Self {
            since: now,
            next: now + pause(0),
            probes: 0,
            probe: None,
        }
    }

    /// Judges a message that is begun.
    fn begin(&mut self, id: u64, now: Duration) -> Judgement {
        // It was begun, or on its way, before the answer was whole.
        if now <= self.since + READING {
            return Ok(());
        }
        let (since, next, probes) = (self.since, self.next, self.probes);
        ensure(now + ROUNDING >= next, || {
            format!(
                "message {id} is begun in a halt of {since:?}, after {probes} probes: the next one is due \
                 at {next:?}"
            )
        })?;

        self.probes += 1;
        self.probe = Some(id);
        self.next = now + pause(self.probes);
        Ok(())
    }

    /// The answer to the probe says nothing of this halt: another message may probe at once.
    fn lapse(&mut self, now: Duration) {
        self.probes = self.probes.saturating_sub(1);
        self.next = now;
    }
}

/// The pause before a probe, after so many before it.
fn pause(probes: usize) -> Duration {
    let ms = PROBE_PAUSES_MS.get(probes).unwrap_or(&PROBE_PAUSES_MS[4]);
    Duration::from_millis(*ms)
}

impl HaltedProcess {
    fn begin(&mut self, id: u64, now: Duration) -> Judgement {
        let mailing = mailing_of(id);
        let is_old = |halt: &SeenHalt| now > halt.next + FORGOTTEN;
        if self.mailings.get(&mailing).is_some_and(is_old) {
            self.mailings.remove(&mailing);
        }

        let of_mailing = self.mailings.get_mut(&mailing);
        let halts = self.gateway.as_mut().into_iter().chain(of_mailing);
        halts.into_iter().try_for_each(|halt| halt.begin(id, now))
    }

    fn hear(&mut self, id: u64, status: u16, now: Duration) {
        let is_first = !matches!(status, NO_MONEY | FORBIDDEN) || self.halted.insert(id);
        self.hear_of_gateway(id, status, is_first, now);
        self.hear_of_mailing(id, status, now);
    }

    fn hear_of_gateway(&mut self, id: u64, status: u16, is_first: bool, now: Duration) {
        if status == NO_MONEY {
            self.row += u32::from(is_first);
            if self.row >= HALTING && self.gateway.is_none() {
                self.gateway = Some(SeenHalt::new(now));
            }
            return;
        }

        // Answers that come together may be noted in another order than they came.
        let counts = |halt: &SeenHalt| halt.probe == Some(id) || now <= halt.since + READING;
        if self.gateway.as_ref().is_none_or(counts) {
            self.gateway = None;
            self.row = 0;
        }
    }

    fn hear_of_mailing(&mut self, id: u64, status: u16, now: Duration) {
        let mailing = mailing_of(id);
        let Some(halt) = self.mailings.get_mut(&mailing) else {
            if status == FORBIDDEN {
                self.mailings.insert(mailing, SeenHalt::new(now));
            }
            return;
        };

        match status {
            _ if halt.probe != Some(id) => {}
            FORBIDDEN => {}
            NO_MONEY => halt.lapse(now),
            _ => {
                self.mailings.remove(&mailing);
            }
        }
    }
}

fn mailing_of(id: u64) -> u32 {
    MessageId::from_u64(id).map_or(0, |id| id.mailing.0)
}

impl Invariant for NoSendWhileHalted {
    fn name(&self) -> &'static str {
        "no_send_while_halted"
    }

    fn judge(&mut self, event: &Event<'_>, _facts: &Facts, now: Duration) -> Judgement {
        match event {
            // The next process knows nothing of a halt.
            Event::Died { machine, .. } | Event::Started { machine } => {
                self.processes.remove(machine);
                Ok(())
            }
            Event::Heard {
                machine,
                id,
                status,
            } => {
                let process = self.processes.entry(*machine).or_default();
                process.hear(*id, *status, now);
                Ok(())
            }
            Event::Begun { machine, id, .. } => {
                let process = self.processes.entry(*machine).or_default();
                let judged = process.begin(*id, now);
                judged.map_err(|what| format!("node {machine}: {what}"))
            }
            _ => Ok(()),
        }
    }
}
