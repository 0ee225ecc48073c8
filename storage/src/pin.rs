//! The state as of one entry, for questions too long to keep entries waiting.
//!
//! sled has no snapshot reads. So while a pin is set, each entry notes what it is about to replace;
//! who reads through the pin looks there first, and sees the state as it was when the pin was set,
//! though entries go on between two parts of the answer. A pin costs an entry one read a key and a
//! copy of the old value, and is given up once it has noted too much.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::{Mutex, MutexGuard};

use crate::{
    error::Error,
    index::{Index, OpenMailing},
    model::{CustomerId, MailingNumber, Seq},
    records::WordKind,
    records::WordRecord,
    source::{Scan, Source},
    store::{Reader, View},
};

/// Bytes that a pin notes at most: some seconds of entries at full rate.
const PIN_BYTES: usize = 64 * 1024 * 1024;

/// What entries replaced since a pin was set.
#[derive(Debug, Default)]
pub(crate) struct Before {
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    values: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Words that were forgotten; their numbers may stand for others by now.
    words: BTreeMap<(WordKind, u32), Arc<WordRecord>>,
    bytes: usize,
    given_up: bool,
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

/// Holds on to the state as of one entry, without keeping the next ones waiting.
pub struct Pin {
    view: View,
    before: Arc<Before>,
    open: BTreeMap<MailingNumber, OpenMailing>,
}

/// The state as of a pin's entry. Never hold one across a wait: entries do.
pub struct PinnedReader<'a> {
    reader: Reader<'a>,
    noted: MutexGuard<'a, Noted>,
    pin: &'a Pin,
}

impl Pin {
    pub(crate) fn new(view: View, before: Arc<Before>, reader: &Reader<'_>) -> Self {
        let open = reader.index().mailings.all_open();
        let open = open
            .map(|mailing| (mailing.number, mailing.clone()))
            .collect();
        Self { view, before, open }
    }

    /// Reads the state as of the pin; none once too much has changed since.
    pub fn read(&self) -> Option<PinnedReader<'_>> {
        let reader = self.view.read();
        let noted = self.before.noted.lock();
        (!noted.given_up).then_some(PinnedReader {
            reader,
            noted,
            pin: self,
        })
    }
}

impl Source for PinnedReader<'_> {
    fn with_bytes<R>(&self, key: &[u8], read: impl FnOnce(Option<&[u8]>) -> R) -> Result<R, Error> {
        match self.noted.values.get(key) {
            Some(value) => Ok(read(value.as_deref())),
            None => self.reader.with_bytes(key, read),
        }
    }

    /// As it is now: words are asked for by [`Source::word`], and stages of mailings move on.
    fn index(&self) -> &Index {
        self.reader.index()
    }

    fn open_mailing(&self, number: MailingNumber) -> Option<OpenMailing> {
        self.pin.open.get(&number).cloned()
    }

    fn find_customer(&self, id: &CustomerId) -> Result<Option<Seq>, Error> {
        self.reader.find_customer(id)
    }

    fn word(&self, kind: WordKind, number: u32) -> Option<Arc<WordRecord>> {
        let forgotten = self.noted.words.get(&(kind, number)).cloned();
        forgotten.or_else(|| self.reader.word(kind, number))
    }
}

impl Scan for PinnedReader<'_> {
    fn scan(&self, from: &[u8], mut take: impl FnMut(&[u8], &[u8]) -> bool) -> Result<(), Error> {
        let mut noted = self.noted.values.range(from.to_vec()..).peekable();
        let mut goes_on = true;
        self.reader.scan(from, |key, value| {
            // What was removed since comes where it was.
            while goes_on
                && let Some((gone, old)) = noted.next_if(|(noted, _)| noted.as_slice() < key)
            {
                goes_on = old.as_ref().is_none_or(|old| take(gone, old));
            }
            if !goes_on {
                return false;
            }
            goes_on = match noted.next_if(|(noted, _)| noted.as_slice() == key) {
                Some((_, old)) => old.as_ref().is_none_or(|old| take(key, old)),
                None => take(key, value),
            };
            goes_on
        })?;
        while goes_on && let Some((gone, old)) = noted.next() {
            goes_on = old.as_ref().is_none_or(|old| take(gone, old));
        }
        Ok(())
    }
}
