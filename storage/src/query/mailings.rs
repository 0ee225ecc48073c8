//! Mailings: one, a page.

use std::sync::Arc;

use super::Page;
use crate::{
    apply::present,
    error::Error,
    keys::{MailingIdKey, NumbersKey},
    model::{Mailing, MailingId, MailingNumber, MailingStatus},
    records::{MailingRecord, Numbers},
    source::Source,
};

/// Mailings that one page looks at, at most.
const SCAN: u32 = 5_000;

/// The number of a mailing that is there to be seen.
pub fn number_of<S: Source>(source: &S, id: &MailingId) -> Result<Option<MailingNumber>, Error> {
    source.get(&MailingIdKey(id.clone()))
}

/// A mailing by its id.
pub fn get<S: Source>(source: &S, id: &MailingId) -> Result<Option<Mailing>, Error> {
    match number_of(source, id)? {
        Some(number) => by_number(source, number),
        None => Ok(None),
    }
}

/// A mailing by its number, if it is there to be seen.
pub fn by_number<S: Source>(source: &S, number: MailingNumber) -> Result<Option<Mailing>, Error> {
    match visible(source, number)? {
        Some(record) => present(source, number, (*record).clone()).map(Some),
        None => Ok(None),
    }
}

/// The record of a mailing, if it is there to be seen.
pub(crate) fn visible<S: Source>(
    source: &S,
    number: MailingNumber,
) -> Result<Option<Arc<MailingRecord>>, Error> {
    Ok(source
        .mailing(number)?
        .filter(|record| record.deleted_at.is_none()))
}

/// A page of the mailings, in the order of their creation, from a number on.
pub fn list<S: Source>(
    source: &S,
    status: Option<MailingStatus>,
    from: MailingNumber,
    limit: usize,
) -> Result<Page<Mailing, MailingNumber>, Error> {
    let numbers: Numbers = source.get_or_default(&NumbersKey)?;
    let mut budget = SCAN;
    let mut items = Vec::new();
    let mut number = numbers.mailing_from(from.0.max(1));
    while number <= numbers.mailings && budget > 0 && items.len() < limit {
        budget -= 1;
        if let Some(record) = visible(source, MailingNumber(number))?
            && status.is_none_or(|status| record.status() == status)
        {
            items.push(present(source, MailingNumber(number), (*record).clone())?);
        }
        number = numbers.mailing_from(number + 1);
    }
    let next = (number <= numbers.mailings).then_some(MailingNumber(number));
    Ok(Page { items, next })
}
