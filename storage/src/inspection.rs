//! Questions to a snapshot file, without building a state from it. The file is checked whole.

use std::{collections::BTreeSet, path::Path};

use crate::{
    codec,
    error::Error,
    frames::{Frame, Frames},
    keys::{MailingKey, NumbersKey, TotalsKey},
    model::{Counts, Timestamp},
    records::{MailingRecord, Numbers, Totals},
};

/// The marker of a snapshot, from its footer; the whole file is checked on the way.
pub fn read_snapshot_marker(path: &Path) -> Result<Vec<u8>, Error> {
    let mut frames = Frames::open(path, 0)?;
    loop {
        if let Frame::Footer { meta, .. } = frames.next()? {
            frames.expect_end()?;
            return Ok(meta.marker);
        }
    }
}

/// What a snapshot holds, in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The position that it stands at.
    pub marker: Vec<u8>,
    /// The time of the entry that it holds last.
    pub at: Timestamp,
    /// Customers that exist.
    pub customers: u64,
    /// Mailings that are there to be seen.
    pub mailings: u64,
    /// Messages ever expanded, by status.
    pub messages: Counts,
}

/// Checks a snapshot whole, from an offset in its file, and tells what it holds.
pub fn inspect_snapshot(path: &Path, from: u64) -> Result<Contents, Error> {
    let mut frames = Frames::open(path, from)?;
    let (mut contents, mut mailings) = (Contents::default(), BTreeSet::new());
    loop {
        let changed = match frames.next()? {
            Frame::Copy(pairs) => pairs
                .into_iter()
                .map(|(key, value)| (key, Some(value)))
                .collect(),
            Frame::Change(changed) => changed,
            Frame::Footer { meta, .. } => {
                frames.expect_end()?;
                contents.marker = meta.marker;
                contents.at = meta.at;
                contents.mailings = mailings.len() as u64;
                return Ok(contents);
            }
        };
        for (key, value) in changed {
            inspect(&mut contents, &mut mailings, key, value)?;
        }
    }
}

/// Takes in what stands under one key from here on in the file.
fn inspect(
    contents: &mut Contents,
    mailings: &mut BTreeSet<Vec<u8>>,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
) -> Result<(), Error> {
    match (key.first(), value) {
        (Some(&NumbersKey::TAG), Some(value)) => {
            let numbers: Numbers = codec::decode(&value)?;
            contents.customers = u64::from(numbers.customers - numbers.deleted);
        }
        (Some(&TotalsKey::TAG), Some(value)) => {
            contents.messages = codec::decode::<Totals>(&value)?.counts;
        }
        (Some(&MailingKey::TAG), Some(value))
            if codec::decode::<MailingRecord>(&value)?.deleted_at.is_none() =>
        {
            mailings.insert(key);
        }
        (Some(&MailingKey::TAG), _) => {
            mailings.remove(&key);
        }
        _ => {}
    }
    Ok(())
}
