//! What is `unconfirmed` in the end was on its way when something went wrong, or its postman lost
//! what it knew: never more than that.
//!
//! So each has a grant of which nobody can say what came of it. Of those that were not even begun
//! under that grant, a run of a postman has no more than it may have in flight (it notes each before
//! its first byte), unless its machine lost its memory or never came back. Nor is there any of which
//! it said nothing at all: what it was granted and never heard of, it hands back.

use std::{collections::BTreeMap, time::Duration};

use notty_storage::{
    model::{Epoch, MessageId, SendResult, Status},
    query,
};

use super::{
    Facts, Invariant, Judgement, ensure,
    facts::{GrantFact, MessageFact},
};
use crate::{
    event::{Event, Final},
    faults::Fault,
    plan::Plan,
};

/// See above.
pub(super) struct AttemptsExplained {
    /// The machine of each postman's name; none where several have it.
    machines: BTreeMap<String, Option<usize>>,
    /// Requests in flight of one postman, at most.
    in_flight: usize,
    /// When a machine last lost what its memory held.
    forgot: BTreeMap<usize, Duration>,
}

impl AttemptsExplained {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut machines = BTreeMap::new();
        for machine in 0..plan.machines() {
            let shared = machines.contains_key(&plan.postman(machine));
            machines.insert(plan.postman(machine), (!shared).then_some(machine));
        }
        let leaving = plan.faults.iter().filter_map(|(_, fault)| match fault {
            Fault::Leave { node } => Some((*node, Duration::MAX)),
            _ => None,
        });
        Self {
            machines,
            in_flight: plan.concurrency,
            forgot: leaving.collect(),
        }
    }

    /// Whether a grant's postman cannot know any more that it never began.
    fn has_forgotten(&self, grant: &GrantFact, facts: &Facts) -> bool {
        let Some((name, registered)) = facts.postmen.get(&grant.lease.epoch) else {
            return true;
        };
        // Since it was registered, not since the grant: that may have been asked for before.
        match self.machines.get(name) {
            Some(Some(machine)) => self.forgot.get(machine).is_some_and(|at| at >= registered),
            _ => true,
        }
    }
}

/// A grant of which nobody can say what came of it: a doubt stays with a message, whatever later
/// attempts came to.
fn is_doubtful(grant: &&GrantFact) -> bool {
    match grant.reported {
        Some(SendResult::Unsure | SendResult::UnsureRepeatable { .. }) => true,
        Some(_) => false,
        None => grant.lapsed,
    }
}

/// Whether a request was begun under a grant, or a later one.
fn was_begun(message: &MessageFact, grant: &GrantFact) -> bool {
    message.begun.iter().any(|(at, _)| *at >= grant.at)
}

impl Invariant for AttemptsExplained {
    fn name(&self) -> &'static str {
        "attempts_explained"
    }

    fn judge(&mut self, event: &Event<'_>, _facts: &Facts, now: Duration) -> Judgement {
        if let Event::Died {
            machine,
            power: true,
            ..
        }
        | Event::Wiped { machine }
        | Event::OldDisk { machine }
        | Event::JournalDamaged { machine } = event
        {
            let forgot = self.forgot.entry(*machine).or_default();
            *forgot = now.max(*forgot);
        }
        Ok(())
    }

    fn conclude(&mut self, end: &Final<'_>, facts: &Facts) -> Judgement {
        let reader = end.view.read();
        let mut unbegun: BTreeMap<Epoch, usize> = BTreeMap::new();
        for (id, message) in &facts.messages {
            let Some(name) = MessageId::from_u64(*id) else {
                continue;
            };
            let found = query::messages::get(&reader, name).map_err(|error| error.to_string())?;
            if found.is_none_or(|found| found.status != Status::Unconfirmed) {
                continue;
            }
            let Some(grant) = message.grants.iter().find(is_doubtful) else {
                return Err(format!(
                    "message {id} is unconfirmed without a doubt: {message:?}"
                ));
            };
            if self.has_forgotten(grant, facts) {
                continue;
            }
            ensure(grant.reported.is_some(), || {
                format!("message {id} is unconfirmed, and its postman never said why: {message:?}")
            })?;
            if !was_begun(message, grant) {
                *unbegun.entry(grant.lease.epoch).or_default() += 1;
            }
        }
        for (epoch, count) in unbegun {
            ensure(count <= self.in_flight, || {
                format!("{count} messages of epoch {epoch:?} are unconfirmed that were never begun")
            })?;
        }
        Ok(())
    }
}
