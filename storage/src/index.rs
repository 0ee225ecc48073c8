//! What memory holds of the state: where customers' ids, dictionary words and clients' keys are.
//!
//! All of it can be rebuilt from the records, and is, at start: one key a customer would make an
//! import several times slower than blocks do. Look-ups only; nothing here is ever iterated, so
//! the order of a hash table never reaches the state.

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use xxhash_rust::xxh3::xxh3_64;

use crate::records::{WordKind, WordRecord};

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
        self.table.insert_unique(hash, (hash, seq), |(hash, _)| *hash);
    }

    /// The first customer with this hash that `is_it` accepts.
    pub fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.table.find(hash, |(h, seq)| *h == hash && is_it(*seq)).map(|(_, seq)| *seq)
    }

    /// Takes all of `other`.
    pub fn absorb(&mut self, other: &mut Ids) {
        for (hash, seq) in other.table.drain() {
            self.insert(hash, seq);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.table.clear();
    }
}

/// One dictionary: words by number and numbers by word.
#[derive(Debug, Default)]
pub struct Words {
    by_number: Vec<WordRecord>,
    by_text: HashMap<String, u32, DefaultHashBuilder>,
}

impl Words {
    /// Adds the next word.
    pub fn push(&mut self, word: WordRecord) {
        self.by_text.insert(word.text.clone(), self.by_number.len() as u32);
        self.by_number.push(word);
    }

    /// A word's number.
    pub fn find(&self, text: &str) -> Option<u32> {
        self.by_text.get(text).copied()
    }

    /// A word by its number.
    pub fn get(&self, number: u32) -> Option<&WordRecord> {
        self.by_number.get(number as usize)
    }

    /// How many.
    pub fn len(&self) -> u32 {
        self.by_number.len() as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }
}

/// What memory holds of the state.
#[derive(Debug, Default)]
pub struct Index {
    /// Customers' numbers by id.
    pub ids: Ids,
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
