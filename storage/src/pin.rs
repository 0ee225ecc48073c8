//! The state as of one entry, for questions too long to keep entries waiting.
//!
//! sled has no snapshot reads. So while a pin is set, each entry notes what it is about to replace;
//! who reads through the pin looks there first, and sees the state as it was when the pin was set,
//! though entries go on between two parts of the answer. A pin costs an entry one read a key and a
//! copy of the old value, and is given up once it has noted too much.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::MutexGuard;

use crate::{
    before::{Before, Noted},
    error::Error,
    index::{Index, OpenMailing},
    model::{CustomerId, MailingNumber, Seq},
    records::{WordKind, WordRecord},
    source::{Scan, Source},
    view::{Reader, View},
};

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

impl View {
    /// Holds on to the state as it is now, and asks it a first question.
    pub fn pin<R>(&self, question: impl FnOnce(&Reader<'_>) -> R) -> (Pin, R) {
        let reader = self.read();
        let before = Arc::new(Before::default());
        // No entry comes between this and what is read now: the reader is held.
        self.note_from_now(&before);
        let pin = Pin::new(self.clone(), before, &reader);
        (pin, question(&reader))
    }
}

impl Pin {
    fn new(view: View, before: Arc<Before>, reader: &Reader<'_>) -> Self {
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
