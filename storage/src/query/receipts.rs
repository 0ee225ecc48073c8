//! The secret that receipts are proven by.

use crate::{error::Error, keys::ReceiptSecretKey, model::ReceiptSecret, source::Source};

/// The secret, once the leader has drawn one.
pub fn secret<S: Source>(source: &S) -> Result<Option<ReceiptSecret>, Error> {
    source.get(&ReceiptSecretKey)
}
