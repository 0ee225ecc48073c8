//! What entries replaced since a pin was set: noted by the store, read through the pin.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use crate::records::{WordKind, WordRecord};

/// Bytes that a pin notes at most: some seconds of entries at full rate.
const PIN_BYTES: usize = 64 * 1024 * 1024;

/// What entries replaced since a pin was set.
#[derive(Debug, Default)]
pub(crate) struct Before {
    pub(crate) noted: Mutex<Noted>,
}

/// Old values and words, as far as they were noted.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    pub(crate) values: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Words that were forgotten; their numbers may stand for others by now.
    pub(crate) words: BTreeMap<(WordKind, u32), Arc<WordRecord>>,
    bytes: usize,
    pub(crate) given_up: bool,
}

impl Before {
    /// Whether the value of a key is still wanted.
    pub(crate) fn lacks(&self, key: &[u8]) -> bool {
        let noted = self.noted.lock();
        !noted.given_up && !noted.values.contains_key(key)
    }

    /// Notes what stood under a key before an entry replaces it for the first time.
    pub(crate) fn note(&self, key: &[u8], value: Option<&[u8]>) {
        let mut noted = self.noted.lock();
        noted.bytes += key.len() + value.map_or(0, <[u8]>::len);
        noted.values.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        noted.check_bytes();
    }

    /// Notes a word before an entry forgets it.
    pub(crate) fn note_word(&self, kind: WordKind, number: u32, word: &Arc<WordRecord>) {
        let mut noted = self.noted.lock();
        if noted.given_up || noted.words.contains_key(&(kind, number)) {
            return;
        }
        noted.bytes += size_of::<WordRecord>() + word.text.len() + word.folded.len();
        noted.words.insert((kind, number), word.clone());
        noted.check_bytes();
    }
}

impl Noted {
    fn check_bytes(&mut self) {
        if self.bytes > PIN_BYTES {
            *self = Noted {
                given_up: true,
                ..Noted::default()
            };
        }
    }
}
