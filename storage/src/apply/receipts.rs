//! Receipts: what gateways say later of messages that they may have.
//!
//! A receipt is a statement of the gateway, proven before it is proposed, and it starts nothing. Whatever
//! it says of a message's way, the gateway has taken the message: so it settles what is under way, in
//! doubt, or would be tried again. `delivered` is never taken back.

use std::collections::BTreeMap;

use super::{
    batches::{BatchEdit, MailingEdit},
    ruled::Ruled,
};
use crate::{
    changes::Changes,
    command::{ReceiptRefusal, ReceiptsTaken, Rejection, SetReceiptSecret, TakeReceipts},
    error::Error,
    keys::{ReceiptSecretKey, RenumberedKey},
    limits::{RECEIPT_BATCHES, RECEIPTS},
    model::{ErrorCode, MailingNumber, ReceiptNote, ReceiptState, Status, Timestamp},
    records::address,
    source::Source,
};

/// The result of one receipt.
type ReceiptOutcome = Result<Change, ReceiptRefusal>;

/// The consequence of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// It settled something, or said what was not known.
    New,
    /// Everything that it says was known.
    Known,
}

/// Receipts about one mailing, by the number that the ids of its messages have; each with its index in
/// the command.
type OfMailing<'a> = Vec<(u32, &'a ReceiptNote)>;

/// The batches at hand, by number; `None` where there is no such batch any more.
type ReceiptBatches = BTreeMap<u32, Option<BatchEdit>>;

/// Takes receipts, each for itself.
pub(super) fn take(changes: &mut Changes<'_>, take: &TakeReceipts) -> Ruled<ReceiptsTaken> {
    check_bounds(take)?;
    let mut of_mailings: BTreeMap<MailingNumber, OfMailing<'_>> = BTreeMap::new();
    for (index, receipt) in (0..).zip(&take.receipts) {
        let of_mailing = of_mailings.entry(receipt.message.mailing).or_default();
        of_mailing.push((index, receipt));
    }

    let mut reply = ReceiptsTaken::default();
    for (number, receipts) in of_mailings {
        of_mailing(changes, number, &receipts, &mut reply)?;
    }
    reply.refused.sort_unstable_by_key(|(index, _)| *index);
    Ok(reply)
}

/// Keeps the secret of receipts; the first one stays, or receipts under way would prove nothing.
pub(super) fn set_secret(changes: &mut Changes<'_>, set: &SetReceiptSecret) -> Ruled<()> {
    if changes.get(&ReceiptSecretKey)?.is_some() {
        return Err(Rejection::NothingToDo.into());
    }
    changes.put(&ReceiptSecretKey, &set.secret);
    Ok(())
}

fn check_bounds(take: &TakeReceipts) -> Result<(), Rejection> {
    let valid = take.receipts.iter().all(|receipt| receipt.error.is_valid());
    let few = take.receipts.len() <= RECEIPTS && take.batches().len() <= RECEIPT_BATCHES;
    if valid && few {
        return Ok(());
    }
    let what = format!(
        "a command has at most {RECEIPTS} receipts about {RECEIPT_BATCHES} batches, with short codes"
    );
    Err(Rejection::OutOfBounds { what })
}

fn of_mailing(
    changes: &mut Changes<'_>,
    number: MailingNumber,
    receipts: &OfMailing<'_>,
    reply: &mut ReceiptsTaken,
) -> Result<(), Error> {
    let renumbered = changes.get(&RenumberedKey(number))?;
    let mailing = renumbered.unwrap_or(number);
    if changes.mailing(mailing)?.is_none() {
        let unknown = |(index, _): &(u32, _)| (*index, ReceiptRefusal::Unknown);
        reply.refused.extend(receipts.iter().map(unknown));
        return Ok(());
    }

    let mut edit = MailingEdit::open(changes, mailing)?;
    let mut batches = ReceiptBatches::new();
    let taken_before = reply.taken;
    for (index, receipt) in receipts {
        let taken = take_one(changes, &mut edit, &mut batches, receipt)?;
        note(reply, *index, taken);
    }
    // Whoever knows one address can repeat its receipt at will: what is known already writes nothing.
    if reply.taken == taken_before {
        return Ok(());
    }

    for batch in batches.into_values().flatten() {
        edit.close(changes, batch)?;
    }
    edit.save(changes)
}

fn note(reply: &mut ReceiptsTaken, index: u32, taken: ReceiptOutcome) {
    match taken {
        Ok(Change::New) => reply.taken += 1,
        Ok(Change::Known) => reply.repeated += 1,
        Err(refusal) => reply.refused.push((index, refusal)),
    }
}

/// Finds the message of a receipt, and settles it.
fn take_one(
    changes: &mut Changes<'_>,
    edit: &mut MailingEdit,
    batches: &mut ReceiptBatches,
    receipt: &ReceiptNote,
) -> Result<ReceiptOutcome, Error> {
    let (number, index) = address(receipt.message.position);
    let has_id = edit.progress.id(edit.number, receipt.message.position) == receipt.message;
    if !has_id || number >= edit.progress.batches {
        return Ok(Err(ReceiptRefusal::Unknown));
    }

    let batch = match batches.entry(number) {
        std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
        std::collections::btree_map::Entry::Vacant(new) => new.insert(edit.batch(changes, number)?),
    };
    let Some(batch) = batch else {
        return Ok(Err(ReceiptRefusal::Purged));
    };
    if index >= batch.columns.statuses.len() {
        return Ok(Err(ReceiptRefusal::Unknown));
    }
    let was_sending = batch.columns.status(index) == Status::Sending;
    let taken = settle(batch, index, receipt, changes.steady());
    // Its postman has to be told, or it would send what it has not begun yet.
    edit.progress.early += u32::from(was_sending && taken.is_ok());
    Ok(taken)
}

/// Settles a message by a receipt: it was taken, and perhaps it is known what became of it.
fn settle(
    batch: &mut BatchEdit,
    index: usize,
    receipt: &ReceiptNote,
    steady: Timestamp,
) -> ReceiptOutcome {
    let is_new = was_taken(batch, index)?;
    if is_new {
        batch.forget_lapsed(index);
        batch.set(index, Status::Done, steady);
    }

    let before = batch.columns.delivery(index);
    match receipt.state.delivery() {
        Some(delivery) if delivery.replaces(before) => {
            batch.deliver(index, delivery, error_of(receipt), steady);
            Ok(Change::New)
        }
        _ if is_new => Ok(Change::New),
        _ => Ok(Change::Known),
    }
}

/// The code to keep: what was delivered has no error, whatever the gateway writes beside it.
fn error_of(receipt: &ReceiptNote) -> Option<&ErrorCode> {
    let failed = receipt.state == ReceiptState::Undelivered;
    Some(&receipt.error).filter(|error| failed && !error.is_empty())
}

/// True if it is news that a message was taken; refused where that cannot be.
///
/// A message that waits after an attempt was taken all the same, whatever was said of that attempt. One
/// in doubt may have been sent by the life before a restore, which this state knows nothing of.
fn was_taken(batch: &BatchEdit, index: usize) -> Result<bool, ReceiptRefusal> {
    match batch.columns.status(index) {
        Status::Done => Ok(false),
        Status::Created if batch.columns.attempts[index] == 0 => Err(ReceiptRefusal::NeverSent),
        Status::Created | Status::Sending | Status::Failed | Status::Unconfirmed => Ok(true),
        // Given up without doubt. Here too a message was never granted if it was cancelled before.
        Status::Invalid | Status::Expired | Status::Cancelled => {
            let never = batch.columns.attempts[index] == 0;
            Err(if never {
                ReceiptRefusal::NeverSent
            } else {
                ReceiptRefusal::NotTaken
            })
        }
    }
}
