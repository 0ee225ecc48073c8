//! Dictionaries: each word that anything uses is there, counted, and found; no other is.

use std::collections::BTreeMap;

use notty_storage::{
    Reader, Scan, Source, codec,
    keys::{CustomerColumnsKey, FacetsKey, Key, MembersKey, WordKey, WordUsesKey},
    limits::{CUSTOMERS_PER_BLOCK, WORDS_PER_BLOCK},
    records::{CustomerColumns, WordKind, WordRecord},
};

use super::{Census, Checked, ensure};

/// Uses of each word.
type Uses = BTreeMap<(WordKind, u32), u64>;

/// Counts all uses once more, and compares them with what the state counts and holds.
pub(super) fn check(reader: &Reader<'_>, census: &Census) -> Checked {
    let mut uses = Uses::new();
    of_customers(reader, census, &mut uses)?;
    of_members(reader, census, &mut uses)?;
    for facets in all::<FacetsKey>(reader, FacetsKey::TAG)?.into_values() {
        for facet in facets.facets {
            count(&mut uses, facet.tag, facet.operator);
        }
    }

    let counted = counted(reader)?;
    ensure(counted == uses, || {
        format!("words are used {uses:?}, counted are {counted:?}")
    })?;
    check_words(reader, &uses)
}

fn count(uses: &mut Uses, tag: u32, operator: u32) {
    *uses.entry((WordKind::Tag, tag)).or_default() += 1;
    *uses.entry((WordKind::Operator, operator)).or_default() += 1;
}

fn of_customers(reader: &Reader<'_>, census: &Census, uses: &mut Uses) -> Checked {
    for block in 0..census.customers.div_ceil(CUSTOMERS_PER_BLOCK) {
        let columns = reader.get_or_default(&CustomerColumnsKey(block));
        let columns: CustomerColumns = columns.map_err(|e| e.to_string())?;
        for index in (0..columns.len()).filter(|index| columns.is_present(*index)) {
            count(uses, columns.tags[index], columns.operators[index]);
        }
    }
    Ok(())
}

fn of_members(reader: &Reader<'_>, census: &Census, uses: &mut Uses) -> Checked {
    for (number, mailing) in &census.mailings {
        for batch in mailing.progress.purged..mailing.progress.batches {
            let members = reader.need(&MembersKey(*number, batch), "members of a batch");
            let members = members.map_err(|e| e.to_string())?;
            for (tag, operator) in members.tags.iter().zip(&members.operators) {
                count(uses, *tag, *operator);
            }
        }
    }
    Ok(())
}

/// What the state says of uses.
fn counted(reader: &Reader<'_>) -> Result<Uses, String> {
    let mut counted = Uses::new();
    for (key, block) in all::<WordUsesKey>(reader, WordUsesKey::TAG)? {
        ensure(block.uses.last().is_some_and(|last| *last > 0), || {
            format!("uses of the block {key:?} end in words that nothing uses")
        })?;
        let (kind, number) = kind_and_number(&key)?;
        let numbers = number * WORDS_PER_BLOCK..;
        let used = block
            .uses
            .into_iter()
            .zip(numbers)
            .filter(|(uses, _)| *uses > 0);
        counted.extend(used.map(|(uses, number)| ((kind, number), uses)));
    }
    Ok(counted)
}

/// Records, memory and uses have the same words, and free numbers are those below the last that
/// are not used.
fn check_words(reader: &Reader<'_>, uses: &Uses) -> Checked {
    let mut records: BTreeMap<(WordKind, u32), WordRecord> = BTreeMap::new();
    for (key, word) in all::<WordKey>(reader, WordKey::TAG)? {
        records.insert(kind_and_number(&key)?, word);
    }
    let kept = records
        .keys()
        .filter(|(kind, _)| WordKind::COUNTED.contains(kind));
    ensure(kept.eq(uses.keys()), || {
        format!("words are kept of {:?}, used are {uses:?}", records.keys())
    })?;

    for kind in WordKind::ALL {
        let memory = reader.index().words(kind);
        let last = records.keys().rfind(|(of, _)| *of == kind);
        let len = last.map_or(0, |(_, number)| number + 1);
        ensure(memory.len() == len, || {
            format!(
                "memory has {} numbers of {kind:?}, records {len}",
                memory.len()
            )
        })?;
        let mut free = None;
        for number in 0..len {
            let record = records.get(&(kind, number));
            let known = memory.get(number).map(|word| &**word);
            ensure(known == record, || {
                format!("memory has {known:?} as {kind:?} {number}, not {record:?}")
            })?;
            if let Some(word) = record {
                let found = memory.find(&word.text);
                ensure(found == Some(number), || {
                    format!("{word:?} is found at {found:?}")
                })?;
            } else {
                free = memory.free_above(free);
                ensure(free == Some(number), || {
                    format!("free is {free:?}, not {number}")
                })?;
            }
        }
        ensure(memory.free_above(free).is_none(), || {
            format!("too many of {kind:?} are free")
        })?;
    }
    Ok(())
}

/// Kind and number of a key's last five bytes.
fn kind_and_number(key: &[u8]) -> Result<(WordKind, u32), String> {
    let [_, kind, number @ ..] = key else {
        return Err(format!("{key:?} is too short"));
    };
    let kind = WordKind::ALL
        .into_iter()
        .find(|known| *known as u8 == *kind);
    let number = number.try_into().map(u32::from_be_bytes).ok();
    kind.zip(number)
        .ok_or_else(|| format!("{key:?} names no word"))
}

/// All records of a kind of keys, whose first byte is the tag.
fn all<K: Key>(reader: &Reader<'_>, tag: u8) -> Result<BTreeMap<Vec<u8>, K::Value>, String> {
    let mut found = BTreeMap::new();
    let mut fault = None;
    let scanned = reader.scan(&[tag], |key, value| {
        if key[0] != tag {
            return false;
        }
        match codec::decode(value) {
            Ok(value) => drop(found.insert(key.to_vec(), value)),
            Err(error) => fault = Some(error.to_string()),
        }
        fault.is_none()
    });
    scanned.map_err(|e| e.to_string())?;
    fault.map_or(Ok(found), Err)
}
