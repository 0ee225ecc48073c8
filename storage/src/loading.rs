//! The index in memory, read from the records: at the start, and after a snapshot was taken in.

use std::sync::Arc;

use crate::{
    codec,
    error::Error,
    index::{Index, MailingChange, Words},
    keys::{
        ClientReplyKey, CustomerColumnsKey, CustomerHashesKey, GivenUpPhoneKey, MailingKey,
        NumbersKey, ProgressKey, StagesKey, WordKey,
    },
    limits::{CLIENT_KEYS, CUSTOMERS_PER_BLOCK, STAGES_PER_BLOCK},
    model::MailingNumber,
    phone_changes::Holding,
    phones::Phones,
    records::{CustomerColumns, Numbers, Stage, Stages, WordKind},
    source::{Scan, Source},
    view::Reader,
};

/// Reads what memory holds of the state from its records.
pub(crate) fn build_index(reader: &Reader<'_>) -> Result<Index, Error> {
    let mut index = Index::default();
    let numbers: Numbers = reader.get_or_default(&NumbersKey)?;
    for block in 0..numbers.customers.div_ceil(CUSTOMERS_PER_BLOCK) {
        let hashes = reader.need(&CustomerHashesKey(block), "hashes of a block of customers")?;
        for (hash, seq) in hashes.into_iter().zip(block * CUSTOMERS_PER_BLOCK..) {
            index.ids.insert(hash, seq);
        }
    }
    index_phones(reader, numbers.customers, &mut index.phones)?;
    for kind in WordKind::ALL {
        index_words(reader, kind, &mut index.words[kind as usize])?;
    }
    index_mailings(reader, &mut index)?;
    for n in numbers.client_keys_from..numbers.client_keys {
        let slot = (n % CLIENT_KEYS) as u32;
        let kept = reader.need(&ClientReplyKey(slot), "a kept reply to a client")?;
        index.client_keys.insert(kept.key, slot);
    }
    Ok(index)
}

/// Reads who holds a phone, and first who held it: a customer's mark is that of the phone it has.
fn index_phones(reader: &Reader<'_>, customers: u32, phones: &mut Phones) -> Result<(), Error> {
    phones.reserve(customers as usize);
    index_given_up(reader, phones)?;
    for block in 0..customers.div_ceil(CUSTOMERS_PER_BLOCK) {
        let key = CustomerColumnsKey(block);
        let read = reader.read_part(&key, "a block of customers", CustomerColumns::phones_in)?;
        let held = read.into_iter().zip(block * CUSTOMERS_PER_BLOCK..);
        for (phone, customer) in held.filter(|(phone, _)| *phone != 0) {
            let before = phones.holding(phone, customer);
            let now = Holding {
                holds: true,
                ..before
            };
            phones.set(phone, customer, now);
        }
    }
    Ok(())
}

/// Reads who gave a phone up that a mailing may have a message to.
fn index_given_up(reader: &Reader<'_>, phones: &mut Phones) -> Result<(), Error> {
    let mut fault = None;
    reader.scan(&[GivenUpPhoneKey::TAG], |key, value| {
        if key.first() != Some(&GivenUpPhoneKey::TAG) {
            return false;
        }
        let held = Holding {
            holds: false,
            held: true,
        };
        match codec::decode::<(u64, u32)>(value) {
            Ok((phone, customer)) => phones.set(phone, customer, held),
            Err(error) => fault = Some(error),
        }
        fault.is_none()
    })?;
    fault.map_or(Ok(()), Err)
}

/// Reads a dictionary. Its numbers have gaps where words were forgotten.
fn index_words(reader: &Reader<'_>, kind: WordKind, words: &mut Words) -> Result<(), Error> {
    let mut fault = None;
    let prefix = [WordKey::TAG, kind as u8];
    reader.scan(&prefix, |key, value| {
        let Some(number) = key.strip_prefix(&prefix).and_then(|key| key.first_chunk()) else {
            return false;
        };
        match codec::decode(value) {
            Ok(word) => words.insert(u32::from_be_bytes(*number), word),
            Err(error) => fault = Some(error),
        }
        fault.is_none()
    })?;
    fault.map_or(Ok(()), Err)
}

/// Reads the mailings that work is left for. Their numbers lie far apart after a restore, so the
/// records of their stages are looked for, not counted through.
fn index_mailings(reader: &Reader<'_>, index: &mut Index) -> Result<(), Error> {
    let mut numbers = Vec::new();
    let mut fault = None;
    reader.scan(&[StagesKey::TAG], |key, value| {
        let Some(block) = key
            .strip_prefix(&[StagesKey::TAG])
            .and_then(|key| key.first_chunk())
        else {
            return false;
        };
        let first = u32::from_be_bytes(*block) * STAGES_PER_BLOCK;
        match codec::decode::<Stages>(value) {
            Ok(block) => numbers.extend(block.stages.into_iter().zip(first..)),
            Err(error) => fault = Some(error),
        }
        fault.is_none()
    })?;
    fault.map_or(Ok(()), Err)?;

    for (stage, number) in numbers
        .into_iter()
        .filter(|(stage, _)| *stage != Stage::Done)
    {
        let number = MailingNumber(number);
        let record = reader.need(&MailingKey(number), "a mailing that has a stage")?;
        let since = record.kept_since();
        let progress = reader.need(&ProgressKey(number), "progress of a mailing")?;
        let (record, progress) = (Some(Arc::new(record)), Some(Arc::new(progress)));
        let change = MailingChange {
            record,
            progress,
            stage: Some((stage, since)),
        };
        index.mailings.apply(number, change);
    }
    Ok(())
}
