//! In the end, what the gateway took is `done` or `unconfirmed`, and what is `done` it took; what was
//! reported done first stays so.

use std::time::Duration;

use notty_storage::{
    model::{MessageId, SendResult, Status},
    query,
};

use super::{Facts, Invariant, Judgement, ensure};
use crate::event::{Event, Final};

/// See above.
pub(super) struct GatewayAndStateAgree {
    pub(super) idempotent: bool,
}

impl Invariant for GatewayAndStateAgree {
    fn name(&self) -> &'static str {
        "gateway_and_state_agree"
    }

    fn judge(&mut self, event: &Event<'_>, facts: &Facts, _now: Duration) -> Judgement {
        // What the state says is done when an entry is applied, the gateway took before.
        let Event::Applied { applied, .. } = event else {
            return Ok(());
        };
        if !facts.newest {
            return Ok(());
        }
        let commands = applied.entry.iter().flat_map(|entry| &entry.commands);
        for command in commands {
            let notty_storage::Action::Report(report) = &command.action else {
                continue;
            };
            let done = report
                .results
                .iter()
                .filter(|(result, _)| *result == SendResult::Done);
            for position in done
                .flat_map(|(_, runs)| runs)
                .flat_map(|run| run.positions())
            {
                let id = MessageId {
                    mailing: report.mailing,
                    position,
                }
                .as_u64();
                let message = facts.messages.get(&id);
                let taken = message.is_some_and(|m| m.received.iter().any(|receipt| receipt.taken));
                ensure(taken, || {
                    format!("message {id} is reported done, but was never taken")
                })?;
            }
        }
        Ok(())
    }

    fn conclude(&mut self, end: &Final<'_>, facts: &Facts) -> Judgement {
        let reader = end.view.read();
        for (id, message) in &facts.messages {
            let Some(name) = MessageId::from_u64(*id) else {
                continue;
            };
            let found = query::messages::get(&reader, name).map_err(|error| error.to_string())?;
            let Some(found) = found else {
                // Of a mailing that was deleted.
                continue;
            };
            let taken = message.received.iter().any(|receipt| receipt.taken);
            let owned = message.received.iter().any(|receipt| receipt.is_owned());
            let agrees = match found.status {
                Status::Done => taken,
                Status::Unconfirmed => true,
                // Of what it denied, only a receipt tells, and that may come too late.
                _ => !owned,
            };
            let last = message.grants.last().and_then(|grant| grant.reported);
            ensure(
                last != Some(SendResult::Done) || found.status == Status::Done,
                || {
                    format!(
                        "message {id} was reported done, and is {}",
                        found.status.name()
                    )
                },
            )?;
            let idempotent = self.idempotent;
            ensure(agrees, || {
                format!(
                    "message {id} is {} in the end, taken: {taken}, idempotent: {idempotent}",
                    found.status.name()
                )
            })?;
        }
        Ok(())
    }
}
