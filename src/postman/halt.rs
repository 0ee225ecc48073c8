//! Halts: a gateway that certainly takes nothing, or nothing of one mailing, until a person has done
//! something about it: no money, a wrong key, a forbidden text.
//!
//! The first halting answer to a message is no try: the message goes back as if it had not been begun. So
//! halts must not go round and round. Halting answers to three messages in a row halt the gateway, one
//! halts a mailing. Halted, nothing is begun; after 1, 2, 4, 8, 15, 15 … minutes one message probes, and any
//! other answer ends the halt. A message that halts again has failed, and is tried again later: it may be
//! the reason itself. Each postman learns of a halt by its own answers, and forgets it when it ends.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use notty_storage::{
    model::{MailingNumber, MessageId},
    rules,
};
use parking_lot::Mutex;

use super::{desk::UNWANTED, halted_before::HaltedBefore};
use crate::gateway::{GatewayOutcome, HaltScope};

/// Messages in a row whose halting answers halt a gateway: one may be the reason itself.
const HALTING: u32 = 3;
/// The outcome that halts the whole gateway.
pub(super) const GATEWAY_HALTS: GatewayOutcome = GatewayOutcome::Halted {
    scope: HaltScope::Gateway,
};
/// Time before the first probe.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// The longest time before a probe.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// Time after which a mailing's halt is forgotten that no message probes: the mailing is paused, cancelled
/// or over, and would else be shown as halted for long.
const FORGOTTEN: Duration = Duration::from_secs(120);

/// Permission to begin a message, as far as halts go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HaltPass {
    probes_gateway: bool,
    probes_mailing: bool,
}

/// A message, and the mailing that its lease is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HaltSubject {
    pub(super) message: MessageId,
    /// Not always the one in the message's id: a mailing that was held by a restore has another number there.
    pub(super) mailing: MailingNumber,
}

/// The consequences of an outcome for halts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HaltNews {
    /// The halts that changed.
    pub(super) changes: Vec<HaltChange>,
    /// True if the message halted, and had halted before.
    pub(super) halts_again: bool,
}

/// A change of a halt, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HaltChange {
    /// The part of the sending that it is about.
    pub(super) scope: HaltScope,
    /// Time until the next probe; `None`: the halt has ended.
    pub(super) pause: Option<Duration>,
    /// True if it halted before too.
    pub(super) was_halted: bool,
}

/// The stand of one halt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HaltStand {
    /// Nothing is begun before a time of the boot clock; then one message probes.
    Until(Duration),
    /// One message is on its way to see.
    Probing,
}

#[derive(Clone, Copy, Debug)]
struct ActiveHalt {
    stand: HaltStand,
    /// The pause after the next probe that halts.
    pause: Duration,
}

impl ActiveHalt {
    fn begin(now: Duration) -> Self {
        let mut halt = Self {
            stand: HaltStand::Probing,
            pause: FIRST_PAUSE,
        };
        halt.wait(now);
        halt
    }

    /// Waits for the next probe. Returns for how long.
    fn wait(&mut self, now: Duration) -> Duration {
        let pause = self.pause;
        self.stand = HaltStand::Until(now + pause);
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }

    /// True if a message may probe.
    fn is_due(&self, now: Duration) -> bool {
        let is_due = matches!(self.stand, HaltStand::Until(until) if now >= until);
        rules::may_probe_halt(is_due)
    }

    /// True while nothing may be begun: the next probe is not due, or one is on its way.
    fn holds(&self, now: Duration) -> bool {
        rules::is_halted(!self.is_due(now))
    }
}

/// The halts of one gateway.
#[derive(Debug)]
pub(super) struct Halts {
    /// True while there is none, and no halting answer either: then nothing else is looked at, because
    /// slots ask before each message.
    is_quiet: AtomicBool,
    known: Mutex<KnownHalts>,
}

impl Default for Halts {
    fn default() -> Self {
        Self {
            is_quiet: AtomicBool::new(true),
            known: Mutex::default(),
        }
    }
}

impl Halts {
    /// Permits a message of a mailing to begin, or not.
    pub(super) fn may_begin(&self, mailing: MailingNumber, now: Duration) -> Option<HaltPass> {
        if self.is_quiet() {
            return Some(HaltPass::default());
        }
        self.known.lock().may_begin(mailing, now)
    }

    /// True if a message that was permitted may still go out.
    pub(super) fn still_permits(&self, pass: HaltPass, mailing: MailingNumber) -> bool {
        self.is_quiet() || self.known.lock().still_permits(pass, mailing)
    }

    /// Takes back the permission of a message that never began: another one may probe.
    pub(super) fn lapsed(&self, pass: HaltPass, mailing: MailingNumber, now: Duration) {
        if pass != HaltPass::default() {
            self.known.lock().lapsed(pass, mailing, now);
        }
    }

    /// Notes the outcome of a message. Returns the changes that it made, if any.
    pub(super) fn note(
        &self,
        pass: HaltPass,
        subject: HaltSubject,
        outcome: GatewayOutcome,
        now: Duration,
    ) -> HaltNews {
        let outcome = as_it_spreads(outcome);
        let halts = outcome.halts();
        if self.is_quiet() && !halts {
            return HaltNews::default();
        }

        let mut known = self.known.lock();
        let halts_again = halts && known.before.note(subject.message);
        // A message that halts again says nothing new of the gateway.
        if outcome == GATEWAY_HALTS && !halts_again {
            known.row += 1;
        }
        let changes = known.note(pass, subject.mailing, outcome, now);
        self.is_quiet.store(known.is_quiet(), Ordering::Relaxed);

        HaltNews {
            changes: changes.into_iter().flatten().collect(),
            halts_again,
        }
    }

    /// True while nothing may be begun at the gateway, and none probes now.
    pub(super) fn holds(&self, now: Duration) -> bool {
        let holds = |halt: &ActiveHalt| halt.holds(now);
        !self.is_quiet() && self.known.lock().gateway.as_ref().is_some_and(holds)
    }

    /// True if the gateway is halted, and the next message probes.
    pub(super) fn wants_probe(&self, now: Duration) -> bool {
        let is_due = |halt: &ActiveHalt| halt.is_due(now);
        !self.is_quiet() && self.known.lock().gateway.as_ref().is_some_and(is_due)
    }

    /// True while no message of a mailing may be begun, and none probes now.
    pub(super) fn holds_mailing(&self, mailing: MailingNumber, now: Duration) -> bool {
        let holds = |halt: &ActiveHalt| halt.holds(now);
        !self.is_quiet() && self.known.lock().mailings.get(&mailing).is_some_and(holds)
    }

    /// The mailings that are not to be asked for: they are halted, and their next probe is not due. As many as
    /// an ask may name; which ones is decided by their numbers alone.
    pub(super) fn unwanted(&self, now: Duration) -> Vec<MailingNumber> {
        if self.is_quiet() {
            return Vec::new();
        }

        let known = self.known.lock();
        let held = known.mailings.iter().filter(|(_, halt)| halt.holds(now));
        let mut unwanted: Vec<_> = held.map(|(mailing, _)| *mailing).collect();
        unwanted.sort_unstable();
        unwanted.truncate(UNWANTED);
        unwanted
    }

    /// True while the gateway is halted, whether or not a message probes.
    pub(super) fn is_halted(&self) -> bool {
        !self.is_quiet() && self.known.lock().gateway.is_some()
    }

    /// Counts the mailings that are halted, and forgets those that have ended.
    pub(super) fn halted_mailings(&self, now: Duration) -> usize {
        if self.is_quiet() {
            return 0;
        }
        let mut known = self.known.lock();
        known.forget_old(now);
        self.is_quiet.store(known.is_quiet(), Ordering::Relaxed);
        known.mailings.len()
    }

    fn is_quiet(&self) -> bool {
        self.is_quiet.load(Ordering::Relaxed)
    }
}

/// The halts that are known, and the way to the next one.
#[derive(Debug, Default)]
struct KnownHalts {
    /// Messages in a row to which the gateway gave a halting answer for all.
    row: u32,
    before: HaltedBefore,
    gateway: Option<ActiveHalt>,
    mailings: HashMap<MailingNumber, ActiveHalt>,
}

impl KnownHalts {
    fn is_quiet(&self) -> bool {
        self.row == 0 && self.gateway.is_none() && self.mailings.is_empty()
    }

    fn may_begin(&mut self, mailing: MailingNumber, now: Duration) -> Option<HaltPass> {
        let pass = HaltPass {
            probes_gateway: self.gateway.is_some(),
            probes_mailing: self.mailings.contains_key(&mailing),
        };
        // Both first: a message that one of them keeps back must not be the probe of the other.
        let mut halts: Vec<&mut ActiveHalt> = self.mailings.get_mut(&mailing).into_iter().collect();
        halts.extend(&mut self.gateway);
        if halts.iter().any(|halt| halt.holds(now)) {
            return None;
        }

        for halt in halts {
            halt.stand = HaltStand::Probing;
        }
        Some(pass)
    }

    fn still_permits(&self, pass: HaltPass, mailing: MailingNumber) -> bool {
        let gateway = pass.probes_gateway || self.gateway.is_none();
        gateway && (pass.probes_mailing || !self.mailings.contains_key(&mailing))
    }

    fn lapsed(&mut self, pass: HaltPass, mailing: MailingNumber, now: Duration) {
        for halt in self.probed(pass, mailing) {
            halt.stand = HaltStand::Until(now);
        }
    }

    /// The halts that a message probes.
    fn probed(
        &mut self,
        pass: HaltPass,
        mailing: MailingNumber,
    ) -> impl Iterator<Item = &mut ActiveHalt> {
        let gateway = self.gateway.as_mut().filter(|_| pass.probes_gateway);
        let of_mailing = self.mailings.get_mut(&mailing);
        let of_mailing = of_mailing.filter(|_| pass.probes_mailing);
        gateway.into_iter().chain(of_mailing)
    }

    fn note(
        &mut self,
        pass: HaltPass,
        mailing: MailingNumber,
        outcome: GatewayOutcome,
        now: Duration,
    ) -> [Option<HaltChange>; 2] {
        match outcome {
            GATEWAY_HALTS => {
                // It says nothing of the mailing.
                self.lapsed(without_gateway(pass), mailing, now);
                [self.note_gateway_halts(pass, now), None]
            }
            GatewayOutcome::Halted {
                scope: HaltScope::Mailing,
            } => [
                self.note_gateway_takes(pass),
                self.note_mailing_halts(pass, mailing, now),
            ],

            GatewayOutcome::Done | GatewayOutcome::Invalid | GatewayOutcome::NotTaken { .. } => [
                self.note_gateway_takes(pass),
                self.note_mailing_takes(pass, mailing),
            ],
            // Nothing is known: the next probe comes as late as after one that halted.
            GatewayOutcome::NotSent | GatewayOutcome::Unsure => {
                self.note_unknown(pass, mailing, now);
                [None, None]
            }
        }
    }

    fn note_gateway_halts(&mut self, pass: HaltPass, now: Duration) -> Option<HaltChange> {
        let was_halted = self.gateway.is_some();
        let pause = match &mut self.gateway {
            Some(halt) if pass.probes_gateway => halt.wait(now),
            // It was begun before the gateway halted.
            Some(_) => return None,
            None if self.row < HALTING => return None,
            None => {
                self.gateway = Some(ActiveHalt::begin(now));
                FIRST_PAUSE
            }
        };
        Some(HaltChange {
            scope: HaltScope::Gateway,
            pause: Some(pause),
            was_halted,
        })
    }

    /// Notes that the gateway does what it is asked. While it is halted, only the probe counts: what was
    /// begun before says nothing of now.
    fn note_gateway_takes(&mut self, pass: HaltPass) -> Option<HaltChange> {
        if self.gateway.is_none() {
            self.row = 0;
        }
        if !pass.probes_gateway {
            return None;
        }
        self.row = 0;
        self.gateway = None;
        Some(HaltChange {
            scope: HaltScope::Gateway,
            pause: None,
            was_halted: true,
        })
    }

    fn note_mailing_halts(
        &mut self,
        pass: HaltPass,
        mailing: MailingNumber,
        now: Duration,
    ) -> Option<HaltChange> {
        let halt = self.mailings.get_mut(&mailing);
        let was_halted = halt.is_some();
        let pause = match halt {
            Some(halt) if pass.probes_mailing => halt.wait(now),
            Some(_) => return None,
            None => {
                self.mailings.insert(mailing, ActiveHalt::begin(now));
                FIRST_PAUSE
            }
        };
        Some(HaltChange {
            scope: HaltScope::Mailing,
            pause: Some(pause),
            was_halted,
        })
    }

    fn note_mailing_takes(&mut self, pass: HaltPass, mailing: MailingNumber) -> Option<HaltChange> {
        if !pass.probes_mailing {
            return None;
        }
        self.mailings.remove(&mailing);
        Some(HaltChange {
            scope: HaltScope::Mailing,
            pause: None,
            was_halted: true,
        })
    }

    fn note_unknown(&mut self, pass: HaltPass, mailing: MailingNumber, now: Duration) {
        for halt in self.probed(pass, mailing) {
            halt.wait(now);
        }
    }

    /// Forgets mailings that have long been due, and that nobody probes.
    fn forget_old(&mut self, now: Duration) {
        let is_old = |halt: &ActiveHalt| matches!(halt.stand, HaltStand::Until(until) if until + FORGOTTEN < now);
        self.mailings.retain(|_, halt| !is_old(halt));
    }
}

/// The outcome with the scope in which it halts.
fn as_it_spreads(outcome: GatewayOutcome) -> GatewayOutcome {
    if outcome.halts() && !rules::halts_of_mailings_stay_there() {
        return GATEWAY_HALTS;
    }
    outcome
}

fn without_gateway(pass: HaltPass) -> HaltPass {
    HaltPass {
        probes_gateway: false,
        ..pass
    }
}

#[cfg(test)]
#[path = "tests/halt.rs"]
mod tests;
