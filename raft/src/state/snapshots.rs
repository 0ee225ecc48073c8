//! The directory of snapshots: the latest one, and the position that it stands for.
//!
//! A snapshot is two files, `{name}.snap` with the state and `{name}.meta` with its position. Both
//! are written aside, synced and renamed, the meta last; a snapshot without its meta is none. The
//! same one may be received more than once, even at the same time: each time in a file of its own.
//! The bytes of a snapshot are those of `notty_storage`.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use notty_storage::read_snapshot_marker;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::position::Position;
use crate::{
    disk::{
        files::{Files, RealFiles},
        sealed::{load, save},
    },
    error::Error,
    types::{Snapshot, SnapshotFile, SnapshotMeta},
};

/// Bytes of a snapshot's name, at most.
const NAME_BYTES: usize = 64;

/// A snapshot kept on this disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeptSnapshot {
    pub(crate) name: String,
    pub(crate) position: Position,
    pub(crate) hash: u64,
    pub(crate) bytes: u64,
}

/// The snapshots of a data directory.
pub(crate) struct Snapshots {
    dir: PathBuf,
    /// Held while the directory is read for the latest, and while that is replaced.
    turn: Mutex<()>,
}

impl Snapshots {
    pub(crate) fn open(dir: &Path) -> Result<Arc<Self>, Error> {
        fs::create_dir_all(dir).map_err(Error::file(dir))?;
        let this = Self {
            dir: dir.to_owned(),
            turn: Mutex::default(),
        };
        this.drop_unfinished()?;
        Ok(Arc::new(this))
    }

    /// Removes the files of a snapshot that was being written or replaced at a crash.
    fn drop_unfinished(&self) -> Result<(), Error> {
        let names = self.names()?;
        // A file that was not renamed yet, or whose partner is missing, is half of a snapshot.
        for name in &names {
            let is_alone = |suffix: &str, partner: &str| match name.strip_suffix(suffix) {
                Some(stem) => !names.contains(&format!("{stem}{partner}")),
                None => false,
            };
            let is_aside = [".new", ".received"].iter().any(|end| name.ends_with(end));

            if is_aside || is_alone(".snap", ".meta") || is_alone(".meta", ".snap") {
                self.remove(name)?;
            }
        }
        Ok(())
    }

    /// True if a fault is one of the files here: a snapshot could not be written.
    pub(crate) fn is_fault(&self, error: &Error) -> bool {
        error
            .file_at_fault()
            .is_some_and(|path| path.starts_with(&self.dir))
    }

    /// Path of a snapshot that is being written and does not count yet.
    pub(crate) fn aside(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.new"))
    }

    /// A new file for a snapshot that is being received.
    pub(crate) fn receiving(&self) -> SnapshotFile {
        let name = format!("{}.received", uuid::Uuid::new_v4().simple());
        SnapshotFile::received(self.dir.join(name))
    }

    /// The latest snapshot, if there is any.
    pub(crate) fn latest(&self) -> Result<Option<KeptSnapshot>, Error> {
        let _turn = self.turn.lock();

        // A crash while the older ones were dropped leaves more than one.
        let mut latest: Option<KeptSnapshot> = None;
        for name in self.names()?.iter().filter(|name| name.ends_with(".meta")) {
            let found: Option<KeptSnapshot> = load(&RealFiles, &self.dir.join(name))?;
            let is_later = |found: &KeptSnapshot| match &latest {
                Some(latest) => latest.position.applied < found.position.applied,
                None => true,
            };
            if let Some(found) = found.filter(is_later) {
                latest = Some(found);
            }
        }
        Ok(latest)
    }

    /// Makes the snapshot that was written aside under a name the latest one, and drops older ones.
    pub(crate) fn keep(
        &self,
        name: &str,
        position: Position,
        hash: u64,
        bytes: u64,
    ) -> Result<KeptSnapshot, Error> {
        let kept = KeptSnapshot {
            name: name.to_owned(),
            position,
            hash,
            bytes,
        };
        self.keep_from(&self.aside(name), kept)
    }

    /// Makes a file the latest snapshot, and drops older ones.
    pub(crate) fn keep_from(&self, file: &Path, kept: KeptSnapshot) -> Result<KeptSnapshot, Error> {
        let _turn = self.turn.lock();
        let path = self.file(&kept);
        let meta = self.dir.join(format!("{}.meta", kept.name));

        // The meta makes it count, so all of the snapshot must be on the disk before it.
        fs::rename(file, &path).map_err(Error::file(&path))?;
        let named = RealFiles
            .sync_dir(&self.dir)
            .map_err(Error::file(&self.dir));
        let saved = named.and_then(|()| save(&RealFiles, &meta, &kept));

        if saved.is_err() && !meta.is_file() {
            // It would take the room that the next one needs.
            let _ = RealFiles.remove(&path);
        }
        saved?;
        self.drop_others(&kept.name)?;
        Ok(kept)
    }

    /// Removes all snapshots but one. Files that are being written are left alone: they count later,
    /// or their writer removes them.
    fn drop_others(&self, kept: &str) -> Result<(), Error> {
        let names = self.names()?;

        // The metas go first: a meta without its snapshot would not be one.
        for suffix in [".meta", ".snap"] {
            for name in names.iter().filter(|name| name.ends_with(suffix)) {
                if name.strip_suffix(suffix) != Some(kept) {
                    self.remove(name)?;
                }
            }
        }
        Ok(())
    }

    /// Path of a kept snapshot.
    pub(crate) fn file(&self, kept: &KeptSnapshot) -> PathBuf {
        self.dir.join(format!("{}.snap", kept.name))
    }

    /// A kept snapshot as openraft passes it around.
    pub(crate) fn present(&self, kept: &KeptSnapshot) -> Snapshot {
        let meta = SnapshotMeta {
            last_log_id: kept.position.applied,
            last_membership: kept.position.membership.clone(),
            snapshot_id: kept.name.clone(),
        };
        Snapshot {
            meta,
            snapshot: Box::new(SnapshotFile::kept(self.file(kept))),
        }
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        RealFiles.list(&self.dir).map_err(Error::file(&self.dir))
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.dir.join(name);
        RealFiles.remove(&path).map_err(Error::file(&path))
    }
}

/// Checks that a received snapshot stands for the position that its sender named, before anything
/// here is replaced by it; and that its name, which becomes that of a file, names nothing else.
pub(crate) fn check_received(meta: &SnapshotMeta, path: &Path) -> Result<(), Error> {
    let name = &meta.snapshot_id;
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric());
    if !is_plain || name.is_empty() || name.len() > NAME_BYTES {
        let what = "the snapshot that was received has a name that no snapshot has";
        return Err(Error::damage(path, 0, what));
    }

    let position = Position::from_marker(Some(&read_snapshot_marker(path)?))?;
    if position.applied == meta.last_log_id && position.membership == meta.last_membership {
        Ok(())
    } else {
        let what = "the snapshot that was received stands for another position than was said";
        Err(Error::damage(path, 0, what))
    }
}
