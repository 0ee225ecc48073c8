//! What memory holds of the state: where customers' ids, dictionary words and clients' keys are,
//! who holds a phone, and the mailings that work is left for.
//!
//! All of it can be rebuilt from the records, and is, at start: one key a customer would make an
//! import several times slower than blocks do, and each lease asks after all open mailings. Hash
//! tables are looked up only, never iterated, so that their order never reaches the state.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
    hash::BuildHasher,
    ops::Bound,
    sync::Arc,
};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    model::{MailingNumber, Timestamp},
    phones::Phones,
    reached::Reached,
    records::{MailingRecord, Progress, Stage, WordKind, WordRecord},
};

/// The hash under which a customer's id is found. Collisions are resolved by comparing ids.
pub fn id_hash(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

/// Customers' numbers by the hash of their ids.
#[derive(Debug, Default)]
pub struct Ids {
    table: HashTable<(u64, u32)>,
}

impl Ids {
    /// Adds a customer.
    pub fn insert(&mut self, hash: u64, seq: u32) {
        self.table
            .insert_unique(hash, (hash, seq), |(hash, _)| *hash);
    }

    /// The first customer with this hash that `is_it` accepts.
    pub fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.table
            .find(hash, |(h, seq)| *h == hash && is_it(*seq))
            .map(|(_, seq)| *seq)
    }

    /// Takes all of `other`.
    pub fn absorb(&mut self, other: &mut Ids) {
        if self.table.is_empty() {
            std::mem::swap(self, other);
            return;
        }
        for (hash, seq) in other.table.drain() {
            self.insert(hash, seq);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.table.clear();
    }
}

/// One dictionary: words by number and numbers by word. Which numbers are free follows from which
/// words there are, so it is the same on every node.
#[derive(Debug, Default)]
pub struct Words {
    /// None where a number is free; the last is never free.
    by_number: Vec<Option<Arc<WordRecord>>>,
    free: BTreeSet<u32>,
    by_text: HashTable<u32>,
    hashes: DefaultHashBuilder,
}

impl Words {
    /// Adds a word under a number that is free.
    pub fn insert(&mut self, number: u32, word: WordRecord) {
        for free in self.len()..number {
            self.by_number.push(None);
            self.free.insert(free);
        }
        let hash = self.hashes.hash_one(&word.text);
        let word = Some(Arc::new(word));
        match self.by_number.get_mut(number as usize) {
            Some(place) => *place = word,
            None => self.by_number.push(word),
        }
        self.free.remove(&number);
        let (by_number, hashes) = (&self.by_number, &self.hashes);
        self.by_text
            .insert_unique(hash, number, |number| hash_of(by_number, hashes, *number));
    }

    /// Forgets a word; its number is free from now on.
    pub fn remove(&mut self, number: u32) {
        let Some(word) = self
            .by_number
            .get_mut(number as usize)
            .and_then(Option::take)
        else {
            return;
        };
        let hash = self.hashes.hash_one(&word.text);
        if let Ok(found) = self.by_text.find_entry(hash, |other| *other == number) {
            found.remove();
        }
        self.free.insert(number);
        while let Some(None) = self.by_number.last() {
            self.by_number.pop();
            self.free.remove(&self.len());
        }
        self.give_back_memory();
    }

    /// What many words took is not kept for few.
    fn give_back_memory(&mut self) {
        let len = self.by_number.len();
        if self.by_number.capacity() > 4 * len.max(1_024) {
            self.by_number.shrink_to(2 * len);
        }
        let len = self.by_text.len();
        if self.by_text.capacity() > 4 * len.max(1_024) {
            let (by_number, hashes) = (&self.by_number, &self.hashes);
            self.by_text
                .shrink_to(2 * len, |number| hash_of(by_number, hashes, *number));
        }
    }

    /// A word's number.
    pub fn find(&self, text: &str) -> Option<u32> {
        let is_it = |number: &u32| self.get(*number).is_some_and(|word| word.text == text);
        self.by_text
            .find(self.hashes.hash_one(text), is_it)
            .copied()
    }

    /// A word by its number.
    pub fn get(&self, number: u32) -> Option<&Arc<WordRecord>> {
        self.by_number.get(number as usize)?.as_ref()
    }

    /// The lowest free number above another; none if there is none below [`Words::len`].
    pub fn free_above(&self, number: Option<u32>) -> Option<u32> {
        let from = number.map_or(Bound::Unbounded, Bound::Excluded);
        self.free.range((from, Bound::Unbounded)).next().copied()
    }

    /// The highest number that is taken, plus one.
    pub fn len(&self) -> u32 {
        self.by_number.len() as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// Words that it has room for without asking for more memory.
    pub fn capacity(&self) -> usize {
        self.by_number.capacity().max(self.by_text.capacity())
    }
}

fn hash_of(by_number: &[Option<Arc<WordRecord>>], hashes: &DefaultHashBuilder, number: u32) -> u64 {
    let word = by_number.get(number as usize).and_then(Option::as_ref);
    word.map_or(0, |word| hashes.hash_one(&word.text))
}

/// An open mailing, and how far it has come.
#[derive(Clone, Debug)]
pub struct OpenMailing {
    /// Its number.
    pub number: MailingNumber,
    /// What was decided, and its marks.
    pub record: Arc<MailingRecord>,
    /// How far it has come.
    pub progress: Arc<Progress>,
}

/// What an entry changes of a mailing.
#[derive(Clone, Debug, Default)]
pub struct MailingChange {
    /// Its new record.
    pub record: Option<Arc<MailingRecord>>,
    /// Its new progress.
    pub progress: Option<Arc<Progress>>,
    /// Its new stage, and since when its messages are kept for retention alone.
    pub stage: Option<(Stage, Timestamp)>,
}

impl MailingChange {
    /// Takes a later change over this one.
    pub fn absorb(&mut self, later: MailingChange) {
        self.record = later.record.or(self.record.take());
        self.progress = later.progress.or(self.progress.take());
        self.stage = later.stage.or(self.stage.take());
    }
}

/// The mailings that work is left for, by stage.
#[derive(Debug, Default)]
pub struct Mailings {
    open: BTreeMap<MailingNumber, OpenMailing>,
    settled: BTreeSet<MailingNumber>,
    folded: BTreeMap<MailingNumber, Timestamp>,
    /// The same, in the order in which retention lets them go.
    by_age: BTreeSet<(Timestamp, MailingNumber)>,
}

impl Mailings {
    /// An open mailing.
    pub fn open(&self, number: MailingNumber) -> Option<&OpenMailing> {
        self.open.get(&number)
    }

    /// All open mailings, in the order of numbers.
    pub fn all_open(&self) -> btree_map::Values<'_, MailingNumber, OpenMailing> {
        self.open.values()
    }

    /// Settled mailings that are being added to their customers' totals, in the order of numbers.
    pub fn settled(&self) -> impl ExactSizeIterator<Item = MailingNumber> {
        self.settled.iter().copied()
    }

    /// The folded mailing that retention lets go first, and since when its messages are kept.
    pub fn oldest_folded(&self) -> Option<(Timestamp, MailingNumber)> {
        self.by_age.first().copied()
    }

    /// In which stage a mailing is.
    pub fn stage(&self, number: MailingNumber) -> Stage {
        if self.open.contains_key(&number) {
            Stage::Open
        } else if self.settled.contains(&number) {
            Stage::Settled
        } else if self.folded.contains_key(&number) {
            Stage::Folded
        } else {
            Stage::Done
        }
    }

    /// Takes in what an entry changed of a mailing. One that opens comes with everything.
    pub fn apply(&mut self, number: MailingNumber, change: MailingChange) {
        let MailingChange {
            record,
            progress,
            stage,
        } = change;
        if let Some((stage, since)) = stage {
            self.move_to(number, stage, since);
            if let (Stage::Open, Some(record), Some(progress)) = (stage, &record, &progress) {
                let (record, progress) = (record.clone(), progress.clone());
                self.open.insert(
                    number,
                    OpenMailing {
                        number,
                        record,
                        progress,
                    },
                );
            }
        }
        if let Some(open) = self.open.get_mut(&number) {
            open.record = record.unwrap_or_else(|| open.record.clone());
            open.progress = progress.unwrap_or_else(|| open.progress.clone());
        }
    }

    fn move_to(&mut self, number: MailingNumber, stage: Stage, since: Timestamp) {
        if stage != Stage::Open {
            self.open.remove(&number);
        }
        self.settled.remove(&number);
        if let Some(since) = self.folded.remove(&number) {
            self.by_age.remove(&(since, number));
        }
        match stage {
            Stage::Done | Stage::Open => {}
            Stage::Settled => drop(self.settled.insert(number)),
            Stage::Folded => {
                self.folded.insert(number, since);
                self.by_age.insert((since, number));
            }
        }
    }
}

/// What memory holds of the state.
#[derive(Debug, Default)]
pub struct Index {
    /// Mailings that work is left for.
    pub mailings: Mailings,
    /// Customers' numbers by id.
    pub ids: Ids,
    /// The holders of each phone.
    pub phones: Phones,
    /// Hints at who has a message to a phone.
    pub reached: Reached,
    /// Dictionaries, by the number of the kind.
    pub words: [Words; 3],
    /// Slots of clients' kept replies, by key.
    pub client_keys: HashMap<[u8; 16], u32, DefaultHashBuilder>,
}

impl Index {
    /// One dictionary.
    pub fn words(&self, kind: WordKind) -> &Words {
        &self.words[kind as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_that_many_words_took_goes_with_them() {
        const MANY: u32 = 50_000;
        let mut words = Words::default();
        let text = |number| format!("word-{number}");
        for number in 0..MANY {
            words.insert(
                number,
                WordRecord {
                    text: text(number),
                    folded: text(number),
                },
            );
        }
        assert!(words.capacity() >= MANY as usize);
        for number in 10..MANY {
            words.remove(number);
        }
        let room = words.capacity();
        assert!(room <= 8_192, "room for {room} words, and there are ten");
        let found = (0..10).map(|number| words.find(&text(number)));
        assert!(
            found.eq((0..10).map(Some)),
            "they are found in what is left"
        );
    }
}
