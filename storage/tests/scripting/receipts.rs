//! The lines of a script that carry receipts, and deliveries as its answers show them.

use notty_storage::{
    Action,
    command::{ReceiptsTaken, SetReceiptSecret, TakeReceipts},
    limits::BATCH_STRIDE_BITS,
    model::{
        DELIVERIES, DeliveryCounts, ErrorCode, MailingNumber, MessageId, ReceiptNote,
        ReceiptSecret, ReceiptState,
    },
};

use super::{
    line::{Line, names},
    world::World,
};
use crate::common::census::Seen;

fn state(name: &str) -> Result<ReceiptState, String> {
    Ok(match name {
        "progress" => ReceiptState::Progress,
        "delivered" => ReceiptState::Delivered,
        "undelivered" => ReceiptState::Undelivered,
        other => return Err(format!("{other} is no state of a receipt")),
    })
}

/// `secret N`: a secret of so many times the same byte.
pub(super) fn secret(line: &Line) -> Result<Action, String> {
    let byte = line.word(0)?.parse().map_err(|_| "secret BYTE")?;
    let secret = ReceiptSecret::new([byte; 32]);
    Ok(SetReceiptSecret { secret }.into())
}

/// The reply to receipts.
pub(super) fn reply(taken: &ReceiptsTaken) -> String {
    let refused = taken.refused.iter();
    let refused = refused.map(|(index, why)| format!(", {index} refused: {}", why.code()));
    let ReceiptsTaken {
        taken, repeated, ..
    } = taken;
    format!(
        "{taken} taken, {repeated} repeated{}",
        refused.collect::<String>()
    )
}

/// The delivery of a message, behind its status; nothing where there is none.
pub(super) fn delivery(seen: &Seen) -> String {
    let error = seen
        .error
        .as_ref()
        .map(|code| format!(" error {}", code.as_str()));
    seen.delivery
        .map(|delivery| format!(" {}{}", delivery.name(), error.unwrap_or_default()))
        .unwrap_or_default()
}

/// Counts of deliveries that are not zero, behind those by status.
pub(super) fn counts(counts: &DeliveryCounts) -> String {
    let shown = DELIVERIES.into_iter().filter(|one| counts.of(*one) > 0);
    shown
        .map(|one| format!(", {} {}", one.name(), counts.of(one)))
        .collect()
}

impl World {
    /// `receipts mailing=m delivered a,b undelivered c error=34`: each state, then whose messages. With
    /// `batch@index` in place of names, the ids have the number of the mailing as it is.
    pub(super) fn receipts(&self, line: &Line) -> Result<Action, String> {
        line.only(&["mailing", "error"])?;
        let mailing = self.mailing(line.key("mailing").ok_or("mailing= is missing")?)?;
        let error = ErrorCode::beginning_of(line.key("error").unwrap_or_default());

        let mut receipts = Vec::new();
        for pair in line.words.chunks(2) {
            let [name, whose] = pair else {
                return Err("a state, then whose".to_owned());
            };
            for message in self.message_ids(mailing, whose)? {
                receipts.push(ReceiptNote {
                    message,
                    state: state(name)?,
                    error: error.clone(),
                });
            }
        }
        Ok(TakeReceipts { receipts }.into())
    }

    fn message_ids(&self, mailing: MailingNumber, whose: &str) -> Result<Vec<MessageId>, String> {
        let census = self.census()?;
        let known = census.mailings.get(&mailing);
        let renumbered = |position| {
            let id = MessageId { mailing, position };
            known.map_or(id, |known| known.progress.id(mailing, position))
        };
        let id = |name: &String| match name.split_once('@') {
            Some((batch, index)) => {
                let number = |text: &str| text.parse::<u32>().map_err(|_| "batch@index");
                let position = (number(batch)? << BATCH_STRIDE_BITS) | number(index)?;
                Ok(MessageId { mailing, position })
            }
            None => self.position(mailing, name).map(renumbered),
        };
        names(whose)?.iter().map(id).collect()
    }
}
