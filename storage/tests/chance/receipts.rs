//! Receipts in the game: which ones come, and what must follow from each.
//!
//! A message that a gateway spoke of was taken: it is `done` from then on, whatever else is said of it.

use std::collections::BTreeMap;

use notty_storage::{
    Action, Rejection, Reply,
    command::{ReceiptRefusal, ReceiptsTaken, TakeReceipts},
    model::{Delivery, ErrorCode, MailingNumber, MessageId, ReceiptNote, ReceiptState, Status},
    records::address,
};

use super::{dice::Dice, model::Message, moves::Table};
use crate::common::{Census, Checked, census::Seen, ensure};

/// The statements of receipts so far.
#[derive(Default)]
pub(crate) struct Heard {
    /// Messages of which a receipt was taken, with the delivery that it said.
    messages: BTreeMap<Message, Option<Delivery>>,
}

/// The outcome that one receipt must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Taken,
    Repeated,
    Refused(ReceiptRefusal),
}

impl Heard {
    /// True if a receipt of a message was taken.
    pub(crate) fn of(&self, message: Message) -> bool {
        self.messages.contains_key(&message)
    }

    /// Receipts were answered: each as the state before, and those before it, demand.
    pub(crate) fn answered(
        &mut self,
        before: &Census,
        take: &TakeReceipts,
        outcome: &Result<Reply, Rejection>,
    ) -> Checked {
        let Ok(Reply::Receipts(reply)) = outcome else {
            return Err(format!("receipts were answered {outcome:?}"));
        };
        let mut expected = ReceiptsTaken::default();
        for (index, receipt) in (0..).zip(&take.receipts) {
            match self.hear(before, receipt) {
                Expected::Taken => expected.taken += 1,
                Expected::Repeated => expected.repeated += 1,
                Expected::Refused(why) => expected.refused.push((index, why)),
            }
        }
        ensure(*reply == expected, || {
            format!("receipts came to {reply:?}, not {expected:?}")
        })
    }

    fn hear(&mut self, before: &Census, receipt: &ReceiptNote) -> Expected {
        let (message, seen) = match find(before, receipt.message) {
            Ok(found) => found,
            Err(why) => return Expected::Refused(why),
        };
        let known = self.messages.get(&message).copied();
        if known.is_none()
            && let Some(why) = refusal(seen)
        {
            return Expected::Refused(why);
        }

        let was_done = known.is_some() || seen.status == Status::Done;
        let delivery = known.flatten();
        let says = receipt
            .state
            .delivery()
            .filter(|new| new.replaces(delivery));
        self.messages.insert(message, says.or(delivery));
        if was_done && says.is_none() {
            Expected::Repeated
        } else {
            Expected::Taken
        }
    }

    /// Once heard, the delivery of a message stands for ever.
    pub(crate) fn check(&self, message: Message, seen: &Seen) -> Checked {
        let heard = self.messages.get(&message);
        ensure(heard.is_none() || seen.status == Status::Done, || {
            format!("{message:?} has a receipt, and is {seen:?}")
        })?;
        ensure(heard.copied().flatten() == seen.delivery, || {
            format!("{message:?} has the receipt {heard:?}, and is {seen:?}")
        })
    }
}

/// The message of an id, as it was.
fn find(before: &Census, id: MessageId) -> Result<(Message, &Seen), ReceiptRefusal> {
    let (batch, _) = address(id.position);
    let has_id = |(number, mailing): &(&MailingNumber, &crate::common::census::Mailing)| {
        mailing.progress.id(**number, id.position) == id
    };
    let mut mailings = before.mailings.iter();
    let (number, mailing) = mailings.find(has_id).ok_or(ReceiptRefusal::Unknown)?;
    if batch < mailing.progress.purged {
        return Err(ReceiptRefusal::Purged);
    }
    let seen = before.find(*number, id.position);
    Ok(((*number, id.position), seen.ok_or(ReceiptRefusal::Unknown)?))
}

fn refusal(seen: &Seen) -> Option<ReceiptRefusal> {
    use Status::{Cancelled, Created, Expired, Invalid};
    let is_given_up = matches!(seen.status, Invalid | Expired | Cancelled);
    if seen.attempt == 0 && (is_given_up || seen.status == Created) {
        return Some(ReceiptRefusal::NeverSent);
    }
    is_given_up.then_some(ReceiptRefusal::NotTaken)
}

/// Some receipts: mostly of messages that may have been sent, sometimes of any, or of none.
pub(super) fn some(dice: &mut Dice, table: &Table<'_>) -> Action {
    let all: Vec<_> = table.census.all().collect();
    let granted: Vec<_> = all
        .iter()
        .filter(|(_, seen)| seen.attempt > 0)
        .copied()
        .collect();
    let receipts = (0..=dice.below(3)).map(|_| {
        let from = if dice.one_in(6) { &all } else { &granted };
        let found = dice
            .pick(from)
            .map(|(number, seen)| (*number, seen.position));
        let (number, position) = found.unwrap_or((MailingNumber(1), 0));
        let strange = if dice.one_in(20) {
            dice.below(3) as u32 * 1_000
        } else {
            0
        };
        let mailing = table.census.mailings.get(&number);
        let position = position + strange;
        let message = mailing.map_or(
            MessageId {
                mailing: number,
                position,
            },
            |mailing| mailing.progress.id(number, position),
        );
        one(dice, message)
    });
    let receipts = receipts.collect();
    TakeReceipts { receipts }.into()
}

fn one(dice: &mut Dice, message: MessageId) -> ReceiptNote {
    let states = [
        ReceiptState::Progress,
        ReceiptState::Delivered,
        ReceiptState::Delivered,
        ReceiptState::Undelivered,
    ];
    let state = dice
        .pick(&states)
        .copied()
        .unwrap_or(ReceiptState::Progress);
    let code = if dice.one_in(3) { "34" } else { "" };
    let error = ErrorCode::beginning_of(code);
    ReceiptNote {
        message,
        state,
        error,
    }
}
