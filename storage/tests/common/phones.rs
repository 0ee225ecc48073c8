//! Memory holds of phones what the records say, and a mailing gives each one message at most.

use std::collections::{BTreeMap, BTreeSet};

use notty_storage::{
    Error, Reader, Source,
    keys::CustomerColumnsKey,
    limits::CUSTOMERS_PER_BLOCK,
    model::{MailingNumber, Reason, Status},
};

use super::{Census, Checked, census::Mailing, ensure};

/// Everybody who has a phone is found by it, nobody else is, and who shares one is known to.
pub(super) fn check(reader: &Reader<'_>, census: &Census) -> Checked {
    let holders = holders(reader, census.customers).map_err(|error| error.to_string())?;
    let memory = &reader.index().phones;
    for (phone, expected) in &holders {
        let found = memory.of(*phone).filter(|(_, holding)| holding.holds);
        let mut found: Vec<u32> = found.map(|(customer, _)| customer).collect();
        found.sort_unstable();
        ensure(found == *expected, || {
            format!("customers {expected:?} share a phone, memory says {found:?}")
        })?;

        let alone = memory.of(*phone).count() == 1;
        for customer in expected {
            ensure(alone || memory.is_shared(*customer), || {
                format!("customer {customer} shares a phone, and has no mark of it")
            })?;
        }
    }
    census.mailings.iter().try_for_each(one_message_a_phone)
}

/// A mailing with unique phones has one message to each, but for those that went to nobody; who has none
/// because of another is told so.
fn one_message_a_phone((number, mailing): (&MailingNumber, &Mailing)) -> Checked {
    let is_unique = mailing.record.spec.unique_phones;
    let mut phones = BTreeSet::new();
    for seen in &mailing.messages {
        let is_duplicate = seen.reason == Some(Reason::DuplicatePhone);
        ensure(
            !is_duplicate || is_unique && seen.status == Status::Cancelled,
            || format!("a duplicate of mailing {number} is {seen:?}"),
        )?;
        let counts = is_unique && seen.status != Status::Cancelled;
        ensure(!counts || phones.insert(seen.phone), || {
            format!("mailing {number} has two messages to one phone: {seen:?}")
        })?;
    }
    Ok(())
}

fn holders(reader: &Reader<'_>, customers: u32) -> Result<BTreeMap<u64, Vec<u32>>, Error> {
    let mut holders: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for block in 0..customers.div_ceil(CUSTOMERS_PER_BLOCK) {
        let columns = reader.get_or_default(&CustomerColumnsKey(block))?;
        for (phone, customer) in columns.phones.iter().zip(block * CUSTOMERS_PER_BLOCK..) {
            if *phone != 0 {
                holders.entry(*phone).or_default().push(customer);
            }
        }
    }
    Ok(holders)
}
