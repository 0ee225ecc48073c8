//! The writes of one batch, in the order of keys.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::Xxh3;

/// Bytes to write by key; none removes.
pub type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Bytes of keys and values.
pub(crate) fn bytes(writes: &Writes) -> u64 {
    let value = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
    writes
        .iter()
        .map(|(key, written)| (key.len() + value(written)) as u64)
        .sum()
}

/// The next running hash: over the one before and all that is written, in the order of keys.
pub(crate) fn chain(before: u64, writes: &Writes) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&before.to_be_bytes());
    for (key, value) in writes {
        hash.update(&(key.len() as u32).to_be_bytes());
        hash.update(key);
        let len = value.as_ref().map_or(u32::MAX, |value| value.len() as u32);
        hash.update(&len.to_be_bytes());
        hash.update(value.as_deref().unwrap_or_default());
    }
    hash.digest()
}
