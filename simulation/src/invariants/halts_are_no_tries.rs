//! A message that only ever got answers that halt is not `invalid`, and the first of them was no try of it.
//! Each later one may be: the message itself may be the reason.

use std::time::Duration;

use notty_storage::{
    Action, Reply,
    model::{SendResult, Status},
};

use super::{
    Facts, Invariant, Judgement, ensure,
    facts::{MessageFact, tokens},
    stats_add_up::common,
};
use crate::event::{Event, Final};

/// The judge of this property.
pub(super) struct HaltsAreNoTries;

impl Invariant for HaltsAreNoTries {
    fn name(&self) -> &'static str {
        "halts_are_no_tries"
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
            let (Action::Report(report), Ok(Reply::Reported(_))) = (&command.action, outcome)
            else {
                continue;
            };
            let runs = report.results.iter().flat_map(|(_, runs)| runs);
            for (id, _) in runs.flat_map(|run| tokens(report.mailing, std::slice::from_ref(run))) {
                let halted = facts
                    .messages
                    .get(&id)
                    .filter(|message| only_halted(message));
                halted.map_or(Ok(()), |message| reports_are_documented(id, message))?;
            }
        }
        Ok(())
    }

    fn conclude(&mut self, end: &Final<'_>, facts: &Facts) -> Judgement {
        let halted = |(_, message): &(&u64, &MessageFact)| only_halted(message);
        // Reading all messages is slow.
        if !facts.messages.iter().any(|one| halted(&one)) {
            return Ok(());
        }

        let census = common::take(&end.view.read()).map_err(|error| error.to_string())?;
        for (number, mailing) in &census.mailings {
            for seen in &mailing.messages {
                let id = notty_storage::model::MessageId {
                    mailing: *number,
                    position: seen.position,
                };
                let id = id.as_u64();
                let halted = facts
                    .messages
                    .get(&id)
                    .filter(|message| only_halted(message));
                let (tries, status) = (usize::from(seen.tries), seen.status);
                halted.map_or(Ok(()), |message| {
                    reports_are_documented(id, message)?;
                    tries_are_documented(id, message, tries)?;
                    ensure(status != Status::Invalid, || {
                        format!("message {id} is invalid, and got answers alone that halt")
                    })
                })?;
            }
        }
        Ok(())
    }
}

/// True if the gateway got the message, and halted each time.
fn only_halted(message: &MessageFact) -> bool {
    !message.received.is_empty() && message.received.iter().all(|receipt| receipt.halts)
}

fn reports_are_documented(id: u64, message: &MessageFact) -> Judgement {
    let answers = message.received.len();
    let reports = || message.grants.iter().filter_map(|grant| grant.reported);
    ensure(
        !reports().any(|report| report == SendResult::Invalid),
        || format!("message {id} is reported invalid after {answers} answers that halt"),
    )?;

    let is_try = |report: &SendResult| matches!(report, SendResult::NotTaken { .. });
    let tries = reports().filter(is_try).count();
    ensure(tries < answers, || {
        format!("message {id} had {tries} tries of {answers} answers that halt: the first is none")
    })
}

fn tries_are_documented(id: u64, message: &MessageFact, tries: usize) -> Judgement {
    let is_counted = |report: Option<SendResult>| report != Some(SendResult::HandedBack);
    let counted = message
        .grants
        .iter()
        .filter(|grant| is_counted(grant.reported));
    let most = counted.count();
    ensure(tries <= most, || {
        format!("message {id} has {tries} tries, and {most} attempts that were not handed back")
    })
}
