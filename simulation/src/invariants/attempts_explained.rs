//! What is `unconfirmed` in the end was on its way when something went wrong, or its postman lost
//! what it knew, or its lease ran out: never more than that.

use std::time::Duration;

use notty_storage::{
    model::{MessageId, SendResult, Status},
    query,
};

use super::{
    Facts, Invariant, Judgement, ensure,
    facts::{GrantFact, MessageFact},
};
use crate::event::{Event, Final};

/// See above.
pub(super) struct AttemptsExplained;

impl Invariant for AttemptsExplained {
    fn name(&self) -> &'static str {
        "attempts_explained"
    }

    fn judge(&mut self, _event: &Event<'_>, _facts: &Facts, _now: Duration) -> Judgement {
        Ok(())
    }

    fn conclude(&mut self, end: &Final<'_>, facts: &Facts) -> Judgement {
        let reader = end.view.read();
        for (id, message) in &facts.messages {
            let Some(name) = MessageId::from_u64(*id) else {
                continue;
            };
            let found = query::messages::get(&reader, name).map_err(|error| error.to_string())?;
            if found.is_some_and(|found| found.status == Status::Unconfirmed) {
                ensure(is_explained(message), || {
                    format!("message {id} is unconfirmed, and nothing explains it: {message:?}")
                })?;
            }
        }
        Ok(())
    }
}

fn is_explained(message: &MessageFact) -> bool {
    // A doubt stays with a message, whatever later attempts came to.
    let doubtful = |grant: &GrantFact| match grant.reported {
        Some(SendResult::Unsure | SendResult::UnsureRepeatable { .. }) => true,
        Some(_) => false,
        None => grant.lapsed,
    };
    message.grants.iter().any(doubtful)
}
