//! Phones and who holds them: finding a customer by its phone, and keeping up with rows that are written.

use crate::{changes::Changes, command::Rejection, model::Seq, phones::Holding};

/// The one customer who has a phone, if anybody has it.
pub(super) fn holder(changes: &Changes<'_>, phone: u64) -> Result<Option<Seq>, Rejection> {
    let all = changes.holdings(phone);
    let mut holders = all.filter(|(_, holding)| holding.holds);
    let first = holders.next().map(|(customer, _)| Seq(customer));
    match holders.next() {
        Some(_) => Err(Rejection::AmbiguousPhone),
        None => Ok(first),
    }
}

/// A customer has a phone from now on.
pub(super) fn take(changes: &mut Changes<'_>, customer: Seq, phone: u64) {
    let before = changes.holding(phone, customer.0);
    let now = Holding {
        holds: true,
        ..before
    };
    changes.put_holding(phone, customer.0, now);
}

/// A customer has a phone no more.
pub(super) fn give_up(changes: &mut Changes<'_>, customer: Seq, phone: u64) {
    let before = changes.holding(phone, customer.0);
    let now = Holding {
        holds: false,
        ..before
    };
    changes.put_holding(phone, customer.0, now);
}
