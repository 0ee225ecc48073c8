//! What rules and questions read from: the state as applied ([`Reader`](crate::Reader)), or the
//! state with the changes of the present entry over it ([`Changes`](crate::changes::Changes)), or
//! the state as of an earlier entry ([`PinnedReader`](crate::PinnedReader)).

use std::sync::Arc;

use crate::{
    codec,
    error::Error,
    index::{Index, OpenMailing},
    keys::{Key, MailingKey, ProgressKey},
    model::{CustomerId, MailingNumber, Seq},
    records::{MailingRecord, Progress, WordKind, WordRecord},
};

/// Reads in the order of keys.
pub trait Scan: Source {
    /// Keys and values from `from` on, in order, until `take` says stop.
    fn scan(&self, from: &[u8], take: impl FnMut(&[u8], &[u8]) -> bool) -> Result<(), Error>;
}

/// Typed reads by key.
pub trait Source {
    /// Calls `read` with the bytes under a key.
    fn with_bytes<R>(&self, key: &[u8], read: impl FnOnce(Option<&[u8]>) -> R) -> Result<R, Error>;

    /// What memory holds of the state.
    fn index(&self) -> &Index;

    /// The value under a key, none where nothing stands.
    fn get<K: Key>(&self, key: &K) -> Result<Option<K::Value>, Error> {
        self.with_bytes(&key.bytes(), |bytes| bytes.map(codec::decode).transpose())?
    }

    /// What `read` makes of the bytes under a key that must be there: a part of a record.
    fn read_part<K: Key, R>(
        &self,
        key: &K,
        what: &'static str,
        read: impl FnOnce(&[u8]) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let missing = || Err(Error::Contradiction { what });
        self.with_bytes(&key.bytes(), |bytes| bytes.map_or_else(missing, read))?
    }

    /// The value under a key that must be there.
    fn need<K: Key>(&self, key: &K, what: &'static str) -> Result<K::Value, Error> {
        self.get(key)?.ok_or(Error::Contradiction { what })
    }

    /// The value under a key, or an empty one.
    fn get_or_default<K: Key>(&self, key: &K) -> Result<K::Value, Error>
    where
        K::Value: Default,
    {
        Ok(self.get(key)?.unwrap_or_default())
    }

    /// A mailing that is open.
    fn open_mailing(&self, number: MailingNumber) -> Option<OpenMailing>;

    /// A mailing's record, deleted or not; from memory while it is open.
    fn mailing(&self, number: MailingNumber) -> Result<Option<Arc<MailingRecord>>, Error> {
        match self.open_mailing(number) {
            Some(open) => Ok(Some(open.record)),
            None => Ok(self.get(&MailingKey(number))?.map(Arc::new)),
        }
    }

    /// How far a mailing has come; from memory while it is open.
    fn progress(&self, number: MailingNumber) -> Result<Option<Arc<Progress>>, Error> {
        match self.open_mailing(number) {
            Some(open) => Ok(Some(open.progress)),
            None => Ok(self.get(&ProgressKey(number))?.map(Arc::new)),
        }
    }

    /// How far a mailing that must be there has come.
    fn need_progress(&self, number: MailingNumber) -> Result<Arc<Progress>, Error> {
        self.progress(number)?.ok_or(Error::Contradiction {
            what: "progress of a mailing",
        })
    }

    /// The number of a customer, present or deleted.
    fn find_customer(&self, id: &CustomerId) -> Result<Option<Seq>, Error>;

    /// A word by its number.
    fn word(&self, kind: WordKind, number: u32) -> Option<Arc<WordRecord>>;
}
