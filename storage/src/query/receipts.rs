//! The secret that receipts are proven by, and receipts that say nothing new.

use crate::{
    error::Error,
    keys::{ColumnsKey, ReceiptSecretKey, RenumberedKey},
    model::{ReceiptNote, ReceiptSecret, Status},
    records::{Columns, address},
    source::Source,
};

/// The secret, once the leader has drawn one.
pub fn secret<S: Source>(source: &S) -> Result<Option<ReceiptSecret>, Error> {
    source.get(&ReceiptSecretKey)
}

/// True if all that a receipt says is known of its message. That stays so: no message that is done becomes
/// anything else, and no delivery is taken back.
pub fn is_known<S: Source>(source: &S, receipt: &ReceiptNote) -> Result<bool, Error> {
    let id = receipt.message;
    let mailing = source.get(&RenumberedKey(id.mailing))?;
    let mailing = mailing.unwrap_or(id.mailing);
    let Some(progress) = source.progress(mailing)? else {
        return Ok(false);
    };
    let (batch, index) = address(id.position);
    if progress.id(mailing, id.position) != id || batch < progress.purged {
        return Ok(false);
    }

    let columns: Option<Columns> = source.get(&ColumnsKey(mailing, batch))?;
    let Some(columns) = columns.filter(|columns| index < columns.statuses.len()) else {
        return Ok(false);
    };
    let before = columns.delivery(index);
    let says_more = receipt
        .state
        .delivery()
        .is_some_and(|delivery| delivery.replaces(before));
    Ok(columns.status(index) == Status::Done && !says_more)
}
