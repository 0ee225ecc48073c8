//! The directory of snapshots: the latest one, and what it stands for.
//!
//! A snapshot is two files, `{name}.snap` with the state and `{name}.meta` with its position. Both
//! are written aside, synced and renamed, the meta last; a snapshot without its meta is none. The
//! same one may be received more than once, even at the same time: each time in a file of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use notty_storage::{codec, read_snapshot_marker};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{
    disk::files::{Files, RealFiles},
    error::Error,
    log::marks::{load, save},
    types::{LogId, Membership, Snapshot, SnapshotFile, SnapshotMeta},
};

/// Bytes of a snapshot's name, at most.
const NAME_BYTES: usize = 64;

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

    /// Drops what a crash left while a snapshot was being written or replaced.
    fn drop_unfinished(&self) -> Result<(), Error> {
        let names = RealFiles.list(&self.dir).map_err(Error::file(&self.dir))?;
        for name in &names {
            let half = |of: &str, other: &str| {
                let other = name.strip_suffix(of).map(|name| format!("{name}{other}"));
                other.is_some_and(|other| !names.contains(&other))
            };
            let aside = [".new", ".received"].iter().any(|end| name.ends_with(end));
            if aside || half(".snap", ".meta") || half(".meta", ".snap") {
                let path = self.dir.join(name);
                RealFiles.remove(&path).map_err(Error::file(&path))?;
            }
        }
        Ok(())
    }

    /// Whether a fault is one of the files here: a snapshot could not be written.
    pub(crate) fn is_fault(&self, error: &Error) -> bool {
        error
            .file_at_fault()
            .is_some_and(|path| path.starts_with(&self.dir))
    }

    /// Where a snapshot is written before it counts.
    pub(crate) fn aside(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.new"))
    }

    /// Where one is written that is being received.
    pub(crate) fn receiving(&self) -> SnapshotFile {
        let name = format!("{}.received", uuid::Uuid::new_v4().simple());
        SnapshotFile::received(self.dir.join(name))
    }

    /// The latest one, if there is any.
    pub(crate) fn latest(&self) -> Result<Option<Kept>, Error> {
        let _turn = self.turn.lock();
        let names = RealFiles.list(&self.dir).map_err(Error::file(&self.dir))?;
        let mut latest: Option<Kept> = None;
        for name in names.iter().filter(|name| name.ends_with(".meta")) {
            let kept: Option<Kept> = load(&RealFiles, &self.dir.join(name))?;
            let newer = |kept: &Kept| {
                latest
                    .as_ref()
                    .is_none_or(|old| old.position.applied < kept.position.applied)
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
        let kept = Kept {
            name: name.to_owned(),
            position,
            hash,
            bytes,
        };
        self.keep_from(&self.aside(name), kept)
    }

    /// Makes a file the latest snapshot, and drops older ones.
    pub(crate) fn keep_from(&self, file: &Path, kept: Kept) -> Result<Kept, Error> {
        let _turn = self.turn.lock();
        let (name, path) = (&kept.name, self.file(&kept));
        let meta = self.dir.join(format!("{name}.meta"));
        fs::rename(file, &path).map_err(Error::file(&path))?;
        let named = RealFiles
            .sync_dir(&self.dir)
            .map_err(Error::file(&self.dir));
        let kept_whole = named.and_then(|()| save(&RealFiles, &meta, &kept));
        if kept_whole.is_err() && !meta.is_file() {
            // It would take the room that the next one needs.
            let _ = RealFiles.remove(&path);
        }
        kept_whole?;
        self.drop_others(name)?;
        Ok(kept)
    }

    fn drop_others(&self, kept: &str) -> Result<(), Error> {
        let names = RealFiles.list(&self.dir).map_err(Error::file(&self.dir))?;
        // What is being written aside counts later, or goes with who writes it.
        for suffix in [".meta", ".snap"] {
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
        Snapshot {
            meta,
            snapshot: Box::new(SnapshotFile::kept(self.file(kept))),
        }
    }
}

/// Checks that a snapshot that was received is what it is said to be, before anything here is
/// replaced by it; and that its name, which becomes that of a file, names nothing else.
pub(crate) fn check_received(meta: &SnapshotMeta, path: &Path) -> Result<(), Error> {
    let damage = |what: &str| Error::Damage {
        path: path.to_owned(),
        at: 0,
        what: what.to_owned(),
    };
    let name = &meta.snapshot_id;
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric());
    if !plain || name.is_empty() || name.len() > NAME_BYTES {
        return Err(damage(
            "the snapshot that was received has a name that no snapshot has",
        ));
    }
    let position = Position::from_marker(Some(&read_snapshot_marker(path)?))?;
    match position.applied == meta.last_log_id && position.membership == meta.last_membership {
        true => Ok(()),
        false => Err(damage(
            "the snapshot that was received stands for another position than was said",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(name: &str) -> Kept {
        Kept {
            name: name.to_owned(),
            position: Position::default(),
            hash: 7,
            bytes: 5,
        }
    }

    #[test]
    fn the_latest_is_found_while_it_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let snapshots = Snapshots::open(dir.path()).expect("opens");
        let keep = |n: u32| {
            let file = snapshots.receiving();
            fs::write(&file.path, b"whole").expect("written");
            snapshots
                .keep_from(&file.path, kept(&n.to_string()))
                .expect("is kept");
        };
        keep(0);
        std::thread::scope(|scope| {
            let keeping = scope.spawn(|| (1..300).for_each(keep));
            while !keeping.is_finished() {
                assert!(snapshots.latest().expect("reads").is_some());
            }
        });
    }

    #[test]
    fn a_half_that_a_fault_or_a_crash_left_is_dropped() {
        let dir = tempfile::tempdir().expect("a directory");
        let snapshots = Snapshots::open(dir.path()).expect("opens");
        let keep = |name: &str| {
            let file = snapshots.receiving();
            fs::write(&file.path, b"whole").expect("written");
            snapshots.keep_from(&file.path, kept(name))
        };
        keep("x").expect("is kept");
        // What stands in the way of its meta.
        fs::create_dir(dir.path().join("y.meta")).expect("made");
        assert!(keep("y").is_err() && !dir.path().join("y.snap").exists());
        fs::remove_dir(dir.path().join("y.meta")).expect("removed");
        fs::write(dir.path().join("z.meta"), b"").expect("written");
        let snapshots = Snapshots::open(dir.path()).expect("opens");
        assert_eq!(
            snapshots.latest().expect("reads").expect("is there").name,
            "x"
        );
    }

    #[test]
    fn one_that_is_received_twice_at_once_is_kept_whole_and_nothing_else_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let snapshots = Snapshots::open(dir.path()).expect("opens");
        let (first, second) = (snapshots.receiving(), snapshots.receiving());
        fs::write(&first.path, b"whole").expect("written");
        fs::write(&second.path, b"ha").expect("written");
        let position = Position::default();
        let kept = Kept {
            name: "x".to_owned(),
            position,
            hash: 7,
            bytes: 5,
        };
        let kept = snapshots.keep_from(&first.path, kept).expect("is kept");
        fs::write(&second.path, b"half").expect("written");
        drop((first, second));
        assert_eq!(fs::read(snapshots.file(&kept)).expect("reads"), b"whole");
        assert_eq!(
            snapshots.latest().expect("reads").expect("is there").hash,
            7
        );
        assert_eq!(
            RealFiles.list(dir.path()).expect("lists"),
            ["x.meta", "x.snap"]
        );
    }
}
