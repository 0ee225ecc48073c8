//! The directory of snapshots: the latest one, and what it stands for.
//!
//! A snapshot is two files, `{name}.snap` with the state and `{name}.meta` with its position. Both
//! are written aside, synced and renamed, the meta last; a snapshot without its meta is none.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use notty_storage::codec;
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    files::{Files, RealFiles},
    log::marks::{load, save},
    types::{LogId, Membership, Snapshot, SnapshotFile, SnapshotMeta},
};

/// What the state's opaque marker holds: the position of the last entry, and the members there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) applied: Option<LogId>,
    pub(crate) membership: Membership,
}

impl Position {
    pub(crate) fn from_marker(marker: Option<&[u8]>) -> Result<Self, Error> {
        match marker {
            None | Some([]) => Ok(Self::default()),
            Some(bytes) => Ok(codec::decode(bytes)?),
        }
    }

    pub(crate) fn marker(&self) -> Vec<u8> {
        codec::encode(self)
    }

    pub(crate) fn index(&self) -> Option<u64> {
        self.applied.map(|applied| applied.index)
    }
}

/// A snapshot kept on this disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    name: String,
    pub(crate) position: Position,
    pub(crate) hash: u64,
    pub(crate) bytes: u64,
}

/// The snapshots of a data directory.
pub(crate) struct Snapshots {
    dir: PathBuf,
}

impl Snapshots {
    pub(crate) fn open(dir: &Path) -> Result<Arc<Self>, Error> {
        fs::create_dir_all(dir).map_err(Error::file(dir))?;
        let this = Self { dir: dir.to_owned() };
        this.drop_unfinished()?;
        Ok(Arc::new(this))
    }

    /// Drops what a crash left while a snapshot was being written or replaced.
    fn drop_unfinished(&self) -> Result<(), Error> {
        let names = RealFiles.list(&self.dir).map_err(Error::file(&self.dir))?;
        for name in &names {
            let meta = name.strip_suffix(".snap").map(|name| format!("{name}.meta"));
            let no_meta = meta.is_some_and(|meta| !names.contains(&meta));
            if name.ends_with(".new") || no_meta {
                let path = self.dir.join(name);
                RealFiles.remove(&path).map_err(Error::file(&path))?;
            }
        }
        Ok(())
    }

    /// Whether a fault is one of the files here: a snapshot could not be written.
    pub(crate) fn is_fault(&self, error: &Error) -> bool {
        error.file_at_fault().is_some_and(|path| path.starts_with(&self.dir))
    }

    /// Where a snapshot is written before it counts.
    pub(crate) fn aside(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.new"))
    }

    /// The latest one, if there is any.
    pub(crate) fn latest(&self) -> Result<Option<Kept>, Error> {
        let names = RealFiles.list(&self.dir).map_err(Error::file(&self.dir))?;
        let mut latest: Option<Kept> = None;
        for name in names.iter().filter(|name| name.ends_with(".meta")) {
            let kept: Option<Kept> = load(&RealFiles, &self.dir.join(name))?;
            let newer = |kept: &Kept| {
                latest.as_ref().is_none_or(|old| old.position.applied < kept.position.applied)
            };
            if let Some(kept) = kept.filter(newer) {
                latest = Some(kept);
            }
        }
        Ok(latest)
    }

    /// Makes what was written aside under a name the latest snapshot, and drops older ones.
    pub(crate) fn keep(
        &self,
        name: &str,
        position: Position,
        hash: u64,
        bytes: u64,
    ) -> Result<Kept, Error> {
        let path = self.dir.join(format!("{name}.snap"));
        fs::rename(self.aside(name), &path).map_err(Error::file(&path))?;
        RealFiles.sync_dir(&self.dir).map_err(Error::file(&self.dir))?;
        let kept = Kept { name: name.to_owned(), position, hash, bytes };
        save(&RealFiles, &self.dir.join(format!("{name}.meta")), &kept)?;
        self.drop_others(name)?;
        Ok(kept)
    }

    fn drop_others(&self, kept: &str) -> Result<(), Error> {
        let names = RealFiles.list(&self.dir).map_err(Error::file(&self.dir))?;
        for suffix in [".meta", ".snap", ".new"] {
            for name in names.iter().filter(|name| name.ends_with(suffix)) {
                if name.strip_suffix(suffix) != Some(kept) {
                    let path = self.dir.join(name);
                    RealFiles.remove(&path).map_err(Error::file(&path))?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn file(&self, kept: &Kept) -> PathBuf {
        self.dir.join(format!("{}.snap", kept.name))
    }

    /// A kept snapshot as openraft passes it around.
    pub(crate) fn present(&self, kept: &Kept) -> Snapshot {
        let meta = SnapshotMeta {
            last_log_id: kept.position.applied,
            last_membership: kept.position.membership.clone(),
            snapshot_id: kept.name.clone(),
        };
        Snapshot { meta, snapshot: Box::new(SnapshotFile { path: self.file(kept) }) }
    }
}
