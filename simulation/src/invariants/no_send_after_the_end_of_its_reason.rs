//! Nothing is begun more than a second after its mailing was cancelled, deleted or paused, or its
//! customer deleted.

use std::time::Duration;

use super::{Facts, Invariant, Judgement, ensure, facts::MessageFact};
use crate::event::Event;

/// What a postman may not know yet: its view is a second old at most.
const UNKNOWN: Duration = Duration::from_millis(1_001);

/// Since when a message's customer is deleted. Who comes back gets nothing of what was under way before.
fn deleted_since(message: &MessageFact, facts: &Facts) -> Option<Duration> {
    let deletion = facts.deleted.get(&message.customer?)?;
    let first = message.grants.first();
    let was_under_way = first.is_some_and(|grant| grant.at <= deletion.at);
    (was_under_way || !deletion.is_back).then_some(deletion.at)
}

/// See above.
pub(super) struct NoSendAfterTheEndOfItsReason;

impl Invariant for NoSendAfterTheEndOfItsReason {
    fn name(&self) -> &'static str {
        "no_send_after_the_end_of_its_reason"
    }

    fn judge(&mut self, event: &Event<'_>, facts: &Facts, now: Duration) -> Judgement {
        let Event::Begun { id, .. } = event else {
            return Ok(());
        };
        let mailing = facts.mailing_of(*id);
        let reasons = [
            (
                "its mailing was stopped",
                mailing.and_then(|mailing| mailing.stopped),
            ),
            (
                "its mailing was paused",
                mailing.and_then(|mailing| mailing.paused),
            ),
            (
                "its customer was deleted",
                deleted_since(&facts.messages[id], facts),
            ),
        ];
        for (reason, since) in reasons {
            let Some(since) = since else {
                continue;
            };
            let late = now.saturating_sub(since);
            ensure(late <= UNKNOWN, || {
                format!(
                    "message {id} was begun {} ms after {reason}",
                    late.as_millis()
                )
            })?;
        }
        Ok(())
    }
}
