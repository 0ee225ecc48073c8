//! What the post office looks at to decide: open mailings and how far each has come.

use std::sync::Arc;

use crate::{
    apply::{changes_are_left, phones_are_left},
    error::Error,
    keys::{GivenUpKey, HeadsKey, NumbersKey, UnsweptKey},
    model::{MailingNumber, Timestamp, ZoneNumber},
    records::{Head, Heads, MailingRecord, Numbers, WordKind},
    source::Source,
};

pub use crate::index::OpenMailing;

/// All mailings that are not settled, from memory.
pub fn open_mailings<S: Source>(source: &S) -> impl ExactSizeIterator<Item = &OpenMailing> {
    source.index().mailings.all_open()
}

/// The settled mailing to add to its customers' totals next.
pub fn next_settled<S: Source>(source: &S) -> Option<MailingNumber> {
    source.index().mailings.settled().next()
}

/// The folded mailing that retention lets go first, and since when its messages are kept.
pub fn oldest_folded<S: Source>(source: &S) -> Option<(Timestamp, MailingNumber)> {
    source.index().mailings.oldest_folded()
}

/// A mailing's record, deleted or not.
pub fn record<S: Source>(
    source: &S,
    mailing: MailingNumber,
) -> Result<Option<Arc<MailingRecord>>, Error> {
    source.mailing(mailing)
}

/// Numbers given so far.
pub fn numbers<S: Source>(source: &S) -> Result<Numbers, Error> {
    source.get_or_default(&NumbersKey)
}

/// True if a reply to a client under the key with this hash is remembered.
pub fn keeps_reply<S: Source>(source: &S, key: &[u8; 16]) -> bool {
    source.index().client_keys.contains_key(key)
}

/// Whether deleted customers wait for a sweep.
pub fn has_unswept<S: Source>(source: &S) -> Result<bool, Error> {
    Ok(!source.get_or_default(&UnsweptKey)?.is_empty())
}

/// True if changes of customers were passed by every mailing, or phones given up are needed by none, so
/// that they are kept for nothing.
pub fn has_passed_changes<S: Source>(source: &S) -> Result<bool, Error> {
    let phones = source.get_or_default(&GivenUpKey)?;
    Ok(changes_are_left(&numbers(source)?, open_mailings(source))
        || phones_are_left(&phones, open_mailings(source)))
}

/// Messages that a grant at the steady time `at` might find in a mailing, in the zones given (none: all), about,
/// counted up to `enough`; never none where it would find some. May promise too much: who acts
/// upon it must not wait for ever for a grant to find that much.
pub fn ready<S: Source>(
    source: &S,
    mailing: &OpenMailing,
    zones: Option<&[ZoneNumber]>,
    at: Timestamp,
    enough: u64,
) -> Result<u64, Error> {
    let bits = Head::zone_bits(zones);
    let mut ready = 0;
    let progress = &mailing.progress;
    for summary in &progress.open {
        if !summary.is_ready(at, bits) {
            continue;
        }
        if zones.is_none() {
            let due = if summary.due <= at { summary.failed } else { 0 };
            ready += u64::from(summary.created) + u64::from(due);
        } else {
            let heads: Heads = source.get_or_default(&HeadsKey(mailing.number, summary.number))?;
            ready += heads
                .heads
                .iter()
                .map(|head| head.ready(at, bits))
                .sum::<u64>();
        }
        if ready >= enough {
            break;
        }
    }
    Ok(ready)
}

/// The earliest steady time at which a failed message of a mailing is due.
pub fn next_due(mailing: &OpenMailing) -> Option<Timestamp> {
    let blocks = mailing.progress.open.iter();
    blocks
        .filter(|block| block.failed > 0)
        .map(|block| block.due)
        .min()
}

/// All time zones that customers have, by number; the first stands for none.
pub fn zones<S: Source>(source: &S) -> Vec<String> {
    let words = source.index().words(WordKind::Zone);
    let numbers = 0..words.len();
    numbers
        .filter_map(|number| words.get(number).map(|word| word.text.clone()))
        .collect()
}

/// The highest key of the dictionary of zones; a cheap sign of whether it grew.
pub fn zone_count<S: Source>(source: &S) -> u32 {
    source.index().words(WordKind::Zone).len()
}
