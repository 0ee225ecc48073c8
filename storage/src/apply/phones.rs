//! Phones and who holds them: finding a customer by its phone, and remembering who held it.
//!
//! A mailing that gives a phone one message at most must know of a message to it also when its customer
//! has another phone by now, or is deleted. So while such a mailing may make messages, whoever gives a
//! phone up stays in a log, and is found by the phone like one who holds it. The log goes from its
//! beginning, as far as mailings that began later do not need it: whoever gave a phone up before a mailing
//! started has no message of it to that phone.

use crate::{
    changes::Changes,
    command::Rejection,
    error::Error,
    index::OpenMailing,
    keys::{GivenUpKey, GivenUpPhoneKey, HeldPhoneKey},
    limits::CHANGES_PER_BLOCK,
    model::Seq,
    phone_changes::Holding,
    records::GivenUp,
    source::Source,
};

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

/// A new customer has a phone. Its number was never given before, so nothing was ever changed or known
/// under it, and need not be looked for.
pub(super) fn take_as_new(changes: &mut Changes<'_>, customer: Seq, phone: u64) {
    let now = Holding {
        holds: true,
        held: false,
    };
    changes.put_holding(phone, customer.0, now);
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

/// A customer has a phone no more; that it had it may have to be remembered.
pub(super) fn give_up(
    changes: &mut Changes<'_>,
    customer: Seq,
    phone: u64,
    is_remembered: bool,
) -> Result<(), Error> {
    if is_remembered {
        remember(changes, customer, phone)?;
    }
    let before = changes.holding(phone, customer.0);
    let now = Holding {
        holds: false,
        held: before.held || is_remembered,
    };
    changes.put_holding(phone, customer.0, now);
    Ok(())
}

/// Notes it at the end of the log. A customer who gives a phone up again stands there once.
fn remember(changes: &mut Changes<'_>, customer: Seq, phone: u64) -> Result<(), Error> {
    let number = changes.update(&GivenUpKey, |log| {
        log.next += 1;
        log.next - 1
    })?;
    let key = HeldPhoneKey(phone, customer.0);
    if let Some(older) = changes.get(&key)? {
        changes.remove(&GivenUpPhoneKey(older));
    }
    changes.put(&GivenUpPhoneKey(number), &(phone, customer.0));
    changes.put(&key, &number);
    Ok(())
}

/// True if a mailing must know who gives a phone up.
pub(super) fn are_remembered<'m>(mut open: impl Iterator<Item = &'m OpenMailing>) -> bool {
    open.any(remembers)
}

fn remembers(mailing: &OpenMailing) -> bool {
    let record = &mailing.record;
    record.spec.unique_phones && !record.looks_no_further(&mailing.progress)
}

/// Below this number, no mailing needs the log.
fn needed_from<'m>(log: &GivenUp, open: impl Iterator<Item = &'m OpenMailing>) -> u64 {
    let needed = open.filter(|mailing| remembers(mailing));
    let from = needed.map(|mailing| mailing.record.begun.phones).min();
    from.unwrap_or(log.next)
}

/// True if so much of the log is kept for nothing that it is worth a command, or all of it.
pub(crate) fn is_left<'m>(log: &GivenUp, open: impl Iterator<Item = &'m OpenMailing>) -> bool {
    let needed = needed_from(log, open);
    needed >= log.from + CHANGES_PER_BLOCK || needed == log.next && log.from < log.next
}

/// Drops what no mailing needs, as many numbers as so many blocks of changes have; how many blocks
/// that came to.
pub(super) fn trim(changes: &mut Changes<'_>, blocks: u32) -> Result<u32, Error> {
    let mut log = changes.get_or_default(&GivenUpKey)?;
    let needed = needed_from(&log, changes.open_mailings().iter());
    let most = log.from + u64::from(blocks) * CHANGES_PER_BLOCK;
    let numbers = log.from..needed.min(most);
    if numbers.is_empty() {
        return Ok(0);
    }

    log.from = numbers.end;
    changes.put(&GivenUpKey, &log);
    let blocks = (numbers.end - numbers.start).div_ceil(CHANGES_PER_BLOCK);
    for number in numbers {
        forget(changes, number)?;
    }
    Ok(blocks as u32)
}

fn forget(changes: &mut Changes<'_>, number: u64) -> Result<(), Error> {
    let Some((phone, customer)) = changes.get(&GivenUpPhoneKey(number))? else {
        return Ok(());
    };
    changes.remove(&GivenUpPhoneKey(number));
    changes.remove(&HeldPhoneKey(phone, customer));
    let before = changes.holding(phone, customer);
    let now = Holding {
        held: false,
        ..before
    };
    changes.put_holding(phone, customer, now);
    Ok(())
}
