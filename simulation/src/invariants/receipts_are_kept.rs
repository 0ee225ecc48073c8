//! What the gateway reported, and was told was taken, stays: the message is `done` with that delivery, and
//! was not granted again. A receipt that is true is never refused.

use std::{collections::BTreeMap, time::Duration};

use notty_storage::{
    model::{Delivery, MessageId, Status},
    query,
};

use super::{Facts, Invariant, Judgement, ensure};
use crate::event::{Event, Final};

/// See above.
#[derive(Default)]
pub(super) struct ReceiptsAreKept {
    /// By message.
    acknowledged: BTreeMap<u64, Acknowledged>,
}

/// What was acknowledged of a message.
struct Acknowledged {
    /// The best that was reported.
    delivery: Option<Delivery>,
    /// How often the message was granted until then.
    grants: usize,
}

impl Invariant for ReceiptsAreKept {
    fn name(&self) -> &'static str {
        "receipts_are_kept"
    }

    fn judge(&mut self, event: &Event<'_>, facts: &Facts, _now: Duration) -> Judgement {
        let Event::ReceiptAnswered { id, status, answer } = event else {
            return Ok(());
        };
        // A message is not found any more once its mailing was deleted.
        ensure(matches!(answer, 200..300 | 404), || {
            format!("a true receipt of message {id} was answered {answer}")
        })?;
        if *answer == 404 {
            return Ok(());
        }

        let message = facts.messages.get(id);
        let grants = message.map_or(0, |message| message.grants.len());
        let known = self.acknowledged.entry(*id).or_insert(Acknowledged {
            delivery: None,
            grants,
        });
        if let Some(new) = Delivery::from_name(status).filter(|new| new.replaces(known.delivery)) {
            known.delivery = Some(new);
        }
        Ok(())
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
