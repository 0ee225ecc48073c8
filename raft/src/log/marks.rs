//! The small files beside the segments: vote, purge point, committed position.
//!
//! Vote and purge point are on the disk before they count. The committed position is a hint that
//! may lag, and is never synced: it only keeps a start from cutting entries that were acknowledged.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use notty_storage::rules;
use serde::Serialize;

use crate::{
    disk::{
        files::{File, Files},
        sealed::{load, save, seal, unseal},
    },
    error::Error,
    types::{LogId, NodeId, Vote},
};

/// Bytes of one slot of the committed mark.
const SLOT_BYTES: usize = 64;

/// The marks of a log, as they are on the disk.
pub(super) struct Marks {
    files: Arc<dyn Files>,
    dir: PathBuf,
    slots: Arc<dyn File>,
    /// Number of the latest write of the committed mark.
    writes: u64,
    pub(super) vote: Option<Vote>,
    pub(super) purged: Option<LogId>,
    pub(super) committed: Option<LogId>,
}

impl Marks {
    pub(super) fn open(files: Arc<dyn Files>, dir: &Path) -> Result<Self, Error> {
        let vote = load(&*files, &dir.join("vote"))?;
        let purged = load(&*files, &dir.join("purged"))?;

        let path = dir.join("committed");
        let slots = files.open(&path).map_err(Error::file(&path))?;
        let bytes = slots.read_all().map_err(Error::file(&path))?;
        // Without any slot that checks out nothing was noted yet.
        let newest = newest_slot(&bytes).unwrap_or_default();

        Ok(Self {
            files,
            dir: dir.to_owned(),
            slots,
            writes: newest.0,
            vote,
            purged,
            committed: newest.1,
        })
    }

    pub(super) fn save_vote(&mut self, vote: Vote) -> Result<(), Error> {
        let path = self.dir.join("vote");
        if rules::votes_are_synced() {
            save(&*self.files, &path, &vote)?;
        } else {
            save_unsynced(&*self.files, &path, &vote)?;
        }
        self.vote = Some(vote);
        Ok(())
    }

    /// Makes the vote one under which this node does not lead, so that it leads next in a new term.
    pub(super) fn forget_leading(&mut self, node: NodeId) {
        if let Some(vote) = &mut self.vote
            && vote.leader_id().voted_for() == Some(node)
        {
            vote.committed = false;
        }
    }

    pub(super) fn save_purged(&mut self, upto: LogId) -> Result<(), Error> {
        if self.purged >= Some(upto) {
            return Ok(());
        }
        save(&*self.files, &self.dir.join("purged"), &upto)?;
        self.purged = Some(upto);
        Ok(())
    }

    pub(super) fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), Error> {
        self.writes += 1;
        let mut slot = seal(&(self.writes, committed));
        slot.resize(SLOT_BYTES, 0);

        // In turn, so that a torn write leaves the mark before it.
        let offset = (self.writes % 2) * SLOT_BYTES as u64;
        let written = self.slots.write_at(offset, &slot);
        written.map_err(Error::file(&self.dir.join("committed")))?;

        self.committed = committed;
        Ok(())
    }
}

/// The latest slot that checks out: the number of its write, and the position.
fn newest_slot(bytes: &[u8]) -> Option<(u64, Option<LogId>)> {
    bytes
        .chunks(SLOT_BYTES)
        .filter_map(unseal::<(u64, Option<LogId>)>)
        .max_by_key(|(writes, _)| *writes)
}

/// Writes a value that is lost with the power: only a simulation that leaves the rule out does so.
fn save_unsynced<T: Serialize>(files: &dyn Files, path: &Path, value: &T) -> Result<(), Error> {
    let bytes = seal(value);
    let write = |file: Arc<dyn File>| file.cut(0).and_then(|()| file.write_at(0, &bytes));
    files.open(path).and_then(write).map_err(Error::file(path))
}
