//! The messages that halting answers were about lately.
//!
//! A halt says that the next message would not be taken either. An answer that comes to the same message
//! again does not show that: the message itself may be the reason, and others would be taken.

use std::collections::{HashSet, VecDeque};

use notty_storage::model::MessageId;

/// Messages that are remembered, at most. What goes back comes again soon, so the latest are enough.
const MOST: usize = 10_000;

/// The latest messages that halted.
#[derive(Debug, Default)]
pub(super) struct HaltedBefore {
    known: HashSet<MessageId>,
    /// The same, the oldest first.
    order: VecDeque<MessageId>,
}

impl HaltedBefore {
    /// Notes a message that halted; true if it did before.
    pub(super) fn note(&mut self, message: MessageId) -> bool {
        if !self.known.insert(message) {
            return true;
        }

        self.order.push_back(message);
        if self.order.len() > MOST {
            let oldest = self.order.pop_front();
            oldest.map(|oldest| self.known.remove(&oldest));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use notty_storage::model::MailingNumber;

    use super::*;

    #[test]
    fn a_message_is_known_again_until_many_others_have_halted_since() {
        let message = |position: usize| MessageId {
            mailing: MailingNumber(1),
            position: position as u32,
        };
        let mut halted = HaltedBefore::default();
        assert!(!halted.note(message(0)) && halted.note(message(0)));
        for position in 1..=MOST {
            assert!(!halted.note(message(position)));
        }
        assert_eq!((halted.known.len(), halted.order.len()), (MOST, MOST));
        assert!(!halted.note(message(0)), "it is forgotten");
    }
}
