//! The message of a receipt.

use super::{
    item::{ItemField, ReceiptItem},
    receipt::{ReceiptCallFault, ReceiptSubject},
};

/// Bytes of a provider's id, at most.
const ID_BYTES: usize = 256;

/// The way in which receipts name their messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway::profile) enum SubjectForm {
    /// By the URL that is called.
    Url,
    /// By our id, which the request had.
    OwnId(ItemField),
    /// By our number of 31 bits, which the request had.
    OwnId31(ItemField),
    /// By the id in the provider's answer.
    ProviderId(ItemField),
}

impl SubjectForm {
    /// The place of the id.
    pub(super) fn field(&self) -> Option<&ItemField> {
        match self {
            Self::Url => None,
            Self::OwnId(field) | Self::OwnId31(field) | Self::ProviderId(field) => Some(field),
        }
    }

    /// The message that a receipt speaks of.
    pub(super) fn read(&self, item: &ReceiptItem<'_>) -> Result<ReceiptSubject, ReceiptCallFault> {
        match self {
            Self::Url => Ok(ReceiptSubject::Url),
            Self::OwnId(field) => id(item, field, own_id),
            Self::OwnId31(field) => id(item, field, own_id_31),
            Self::ProviderId(field) => id(item, field, provider_id),
        }
    }
}

fn id(
    item: &ReceiptItem<'_>,
    field: &ItemField,
    read: fn(&str) -> Option<ReceiptSubject>,
) -> Result<ReceiptSubject, ReceiptCallFault> {
    let written = item.required(field)?;
    read(&written).ok_or_else(|| ReceiptCallFault::NoId(field.name()))
}

fn own_id(written: &str) -> Option<ReceiptSubject> {
    let id: u64 = digits(written)?.parse().ok()?;
    (id > 0).then_some(ReceiptSubject::OwnId(id))
}

fn own_id_31(written: &str) -> Option<ReceiptSubject> {
    let number: u32 = digits(written)?.parse().ok()?;
    let range = 1..=i32::MAX.unsigned_abs();
    range
        .contains(&number)
        .then_some(ReceiptSubject::OwnId31(number))
}

/// Digits alone: a sign is no part of an id.
fn digits(written: &str) -> Option<&str> {
    written
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(written)
}

fn provider_id(written: &str) -> Option<ReceiptSubject> {
    let fits = written.len() <= ID_BYTES;
    fits.then(|| ReceiptSubject::ProviderId(written.to_owned()))
}
