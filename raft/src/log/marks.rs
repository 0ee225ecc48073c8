//! The small files beside the segments: vote, purge point, committed position.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use notty_storage::{codec, rules};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::Error,
    files::{File, Files, replace},
    types::{LogId, NodeId, Vote},
};

/// Bytes of one slot of the committed mark.
const SLOT_BYTES: usize = 64;

/// The marks, and where they are kept.
pub(crate) struct Marks {
    files: Arc<dyn Files>,
    dir: PathBuf,
    slots: Arc<dyn File>,
    writes: u64,
    pub(crate) vote: Option<Vote>,
    pub(crate) purged: Option<LogId>,
    pub(crate) committed: Option<LogId>,
}

impl Marks {
    pub(crate) fn open(files: Arc<dyn Files>, dir: &Path) -> Result<Self, Error> {
        let vote = load(&*files, &dir.join("vote"))?;
        let purged = load(&*files, &dir.join("purged"))?;
        let path = dir.join("committed");
        let slots = files.open(&path).map_err(Error::file(&path))?;
        let bytes = slots.read_all().map_err(Error::file(&path))?;
        let (writes, committed) = newest_slot(&bytes).unwrap_or_default();
        Ok(Self {
            files,
            dir: dir.to_owned(),
            slots,
            writes,
            vote,
            purged,
            committed,
        })
    }

    pub(crate) fn save_vote(&mut self, vote: Vote) -> Result<(), Error> {
        let path = self.dir.join("vote");
        if rules::votes_are_synced() {
            save(&*self.files, &path, &vote)?;
        } else {
            save_unsynced(&*self.files, &path, &vote)?;
        }
        self.vote = Some(vote);
        Ok(())
    }

    /// Takes it that a node which led by its vote leads no more: its next term is a new one.
    pub(crate) fn forget_leading(&mut self, node: NodeId) {
        let mine = self
            .vote
            .as_mut()
            .filter(|vote| vote.leader_id().voted_for() == Some(node));
        if let Some(vote) = mine {
            vote.committed = false;
        }
    }

    pub(crate) fn save_purged(&mut self, upto: LogId) -> Result<(), Error> {
        if self.purged >= Some(upto) {
            return Ok(());
        }
        save(&*self.files, &self.dir.join("purged"), &upto)?;
        self.purged = Some(upto);
        Ok(())
    }

    pub(crate) fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), Error> {
        self.writes += 1;
        let mut slot = seal(&(self.writes, committed));
        slot.resize(SLOT_BYTES, 0);
        let offset = (self.writes % 2) * SLOT_BYTES as u64;
        let written = self.slots.write_at(offset, &slot);
        written.map_err(Error::file(&self.dir.join("committed")))?;
        self.committed = committed;
        Ok(())
    }
}

/// A torn slot does not check out; the other one then holds the write before.
fn newest_slot(bytes: &[u8]) -> Option<(u64, Option<LogId>)> {
    let slots = bytes
        .chunks(SLOT_BYTES)
        .filter_map(unseal::<(u64, Option<LogId>)>);
    slots.max_by_key(|(writes, _)| *writes)
}

/// `length, crc` and the encoded value.
pub(crate) fn seal<T: Serialize>(value: &T) -> Vec<u8> {
    let payload = codec::encode(value);
    let mut bytes = Vec::with_capacity(payload.len() + 8);
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&payload).to_be_bytes());
    bytes.extend_from_slice(&payload);
    bytes
}

/// The value that was sealed, if it checks out; bytes after it are not looked at.
pub(crate) fn unseal<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let len = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let crc = u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?);
    let payload = bytes.get(8..8 + len)?;
    (crc32fast::hash(payload) == crc)
        .then(|| codec::decode(payload).ok())
        .flatten()
}

pub(crate) fn save<T: Serialize>(files: &dyn Files, path: &Path, value: &T) -> Result<(), Error> {
    replace(files, path, &seal(value)).map_err(Error::file(path))
}

/// Writes a value that is lost with the power: only a simulation that leaves the rule out does so.
fn save_unsynced<T: Serialize>(files: &dyn Files, path: &Path, value: &T) -> Result<(), Error> {
    let bytes = seal(value);
    let write = |file: Arc<dyn File>| file.cut(0).and_then(|()| file.write_at(0, &bytes));
    files.open(path).and_then(write).map_err(Error::file(path))
}

/// A sealed file's value; none if there is no such file; damage if it does not check out.
pub(crate) fn load<T: DeserializeOwned>(
    files: &dyn Files,
    path: &Path,
) -> Result<Option<T>, Error> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let names = files.list(dir).map_err(Error::file(dir))?;
    if !names.iter().any(|other| *other == name) {
        return Ok(None);
    }
    let file = files.open(path).map_err(Error::file(path))?;
    let bytes = file.read_all().map_err(Error::file(path))?;
    let len = bytes.get(..4).map_or(0, |len| {
        u32::from_be_bytes(len.try_into().unwrap_or_default())
    });
    match unseal(&bytes) {
        Some(value) if bytes.len() == len as usize + 8 => Ok(Some(value)),
        _ => {
            let what = "its checksum does not match".to_owned();
            Err(Error::Damage {
                path: path.to_owned(),
                at: 0,
                what,
            })
        }
    }
}
