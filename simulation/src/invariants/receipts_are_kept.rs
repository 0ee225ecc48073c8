//! What the gateway reported, and was told was taken, stays: the message is `done` with that delivery, is
//! not granted again, and is not begun more than a second later, whoever holds it. A receipt that is true is
//! never refused, but of a mailing that was deleted, or of a message that the gateway denied to have.

use std::{collections::BTreeMap, time::Duration};

use notty_storage::{
    model::{Delivery, MessageId, Status},
    query,
};

use super::{Facts, Invariant, Judgement, ensure};
use crate::event::{Event, Final};

/// The time in which a postman may not know of a receipt: its view is a second old at most.
const UNKNOWN: Duration = Duration::from_millis(1_001);

/// See above.
#[derive(Default)]
pub(super) struct ReceiptsAreKept {
    /// By message.
    acknowledged: BTreeMap<u64, Acknowledged>,
}

/// The acknowledged statements about a message.
struct Acknowledged {
    /// The time of the first acknowledgement.
    since: Duration,
    /// The best that was reported.
    delivery: Option<Delivery>,
    /// Grants of the message until then.
    grants: usize,
}

impl ReceiptsAreKept {
    /// A true receipt had an answer.
    fn answered(
        &mut self,
        (id, status, answer): (u64, &str, u16),
        facts: &Facts,
        now: Duration,
    ) -> Judgement {
        ensure(may_be_answered(id, answer, facts), || {
            format!("a true receipt of message {id} was answered {answer}")
        })?;
        if !(200..300).contains(&answer) {
            return Ok(());
        }

        let message = facts.messages.get(&id);
        let known = self.acknowledged.entry(id).or_insert(Acknowledged {
            since: now,
            delivery: None,
            grants: message.map_or(0, |message| message.grants.len()),
        });
        if let Some(new) = Delivery::from_name(status).filter(|new| new.replaces(known.delivery)) {
            known.delivery = Some(new);
        }
        Ok(())
    }

    fn begun(&self, id: u64, now: Duration) -> Judgement {
        let Some(known) = self.acknowledged.get(&id) else {
            return Ok(());
        };
        let late = now.saturating_sub(known.since);
        ensure(late <= UNKNOWN, || {
            let late_ms = late.as_millis();
            format!("message {id} was begun {late_ms} ms after its receipt was acknowledged")
        })
    }
}

/// True if a true receipt may have an answer.
fn may_be_answered(id: u64, answer: u16, facts: &Facts) -> bool {
    let is_gone = || facts.mailing_of(id).is_some_and(|mailing| mailing.deleted);
    // Given up meanwhile, as the gateway had said that it has no such message.
    let is_denied = || {
        let received = facts.messages.get(&id).map(|message| &message.received);
        received.is_some_and(|received| received.iter().any(|one| one.is_denied()))
    };
    match answer {
        200..300 => true,
        404 => is_gone(),
        409 => is_denied(),
        _ => false,
    }
}

impl Invariant for ReceiptsAreKept {
    fn name(&self) -> &'static str {
        "receipts_are_kept"
    }

    fn judge(&mut self, event: &Event<'_>, facts: &Facts, now: Duration) -> Judgement {
        match event {
            Event::ReceiptAnswered { id, status, answer } => {
                self.answered((*id, status, *answer), facts, now)
            }
            Event::Begun { id, .. } => self.begun(*id, now),
            _ => Ok(()),
        }
    }

    fn conclude(&mut self, end: &Final<'_>, facts: &Facts) -> Judgement {
        let reader = end.view.read();
        for (id, known) in &self.acknowledged {
            let name = MessageId::from_u64(*id).ok_or("a receipt of no message")?;
            let found = query::messages::get(&reader, name).map_err(|error| error.to_string())?;
            let Some(found) = found else {
                // Of a mailing that was deleted.
                continue;
            };
            // Receipts that were not acknowledged may have been taken too.
            let fits = known.delivery.is_none_or(|said| {
                found
                    .delivery
                    .is_some_and(|kept| !said.replaces(Some(kept)))
            });
            ensure(found.status == Status::Done && fits, || {
                let delivery = known.delivery;
                format!("message {id} was reported {delivery:?}, and is {found:?}")
            })?;

            let granted = facts
                .messages
                .get(id)
                .map_or(0, |message| message.grants.len());
            ensure(granted == known.grants, || {
                format!("message {id} was granted again after its receipt")
            })?;
        }
        Ok(())
    }
}
