//! The data directory during a restore: the steps that make it the first node of a new cluster.
//!
//! Until the restore ends, the identity stands under another name, so that no node starts in the
//! directory, and the next restore can clear it. The content of log, snapshots and state is built in
//! [`crate::backup::restore`].

use std::{fs, path::Path};

use super::{
    data_dir::{DataDir, EMPTY, Identity, RESTORING, refuse_file},
    files::{Files, RealFiles},
    sealed::save,
};
use crate::error::Error;

/// A file that is there until a restored node has taken in the nodes that it expects.
const RESTORED: &str = "restored";
/// The name of that file while it is being written.
pub(super) const RESTORED_ASIDE: &str = "restored.new";
/// Names that a restore creates before the directory has an identity.
const BUILT: [&str; 6] = [
    RESTORING,
    RESTORED,
    RESTORED_ASIDE,
    "log",
    "snapshots",
    "state",
];

impl DataDir {
    /// Opens an empty directory, or one in which a restore did not end, to restore into it.
    pub(crate) fn open_for_restore(path: &Path) -> Result<Self, Error> {
        if path.exists() {
            refuse_file(path)?;
            refuse_full(path)?;
        }

        let this = Self::open(path)?;
        // Another restore may have ended before this one took the lock.
        refuse_full(path)?;
        Ok(this)
    }

    /// Writes the identity that the directory will have: the first node of a new cluster, on a disk
    /// of its own. Returns the id of that disk.
    pub(crate) fn begin_restore(&self) -> Result<String, Error> {
        self.clear_restore()?;

        let identity = Identity {
            formed: true,
            ..Identity::of_new_cluster()
        };
        save(&RealFiles, &self.path().join(RESTORING), &identity)?;
        save(&RealFiles, &self.path().join(RESTORED), &())?;
        Ok(identity.disk)
    }

    /// Gives the directory its identity: from now on it is a node's.
    pub(crate) fn end_restore(&self) -> Result<(), Error> {
        let from = self.path().join(RESTORING);
        let to = self.path().join("identity");

        // All that was built must be there before the identity says so.
        self.sync()?;
        RealFiles.rename(&from, &to).map_err(Error::file(&to))?;
        self.sync()
    }

    /// Removes what an unfinished restore built. The file that marks the directory as such goes last.
    pub(crate) fn clear_restore(&self) -> Result<(), Error> {
        for path in [self.log(), self.snapshots(), self.state()] {
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                other => other.map_err(Error::file(&path))?,
            }
        }

        for name in [RESTORED_ASIDE, RESTORED, RESTORING] {
            // Synced each time, so that a crash cannot keep an earlier one and lose a later one.
            self.sync()?;
            let path = self.path().join(name);
            RealFiles.remove(&path).map_err(Error::file(&path))?;
        }
        Ok(())
    }

    /// True if it was restored, and has not yet taken in the nodes that it expects.
    pub(crate) fn is_restored(&self) -> bool {
        self.path().join(RESTORED).exists()
    }

    /// Notes that the expected nodes are taken in.
    pub(crate) fn settle_restored(&self) -> Result<(), Error> {
        let path = self.path().join(RESTORED);
        RealFiles.remove(&path).map_err(Error::file(&path))
    }
}

/// Refuses to restore into a directory that holds anything but an unfinished restore.
fn refuse_full(path: &Path) -> Result<(), Error> {
    let names = RealFiles.list(path).map_err(Error::file(path))?;
    if names.iter().any(|name| name == "identity") {
        let what = "holds a node already, and a backup is restored into an empty directory only";
        return Err(Error::data_dir(path, what));
    }

    // What an unfinished restore built is cleared before the next one begins.
    let is_unfinished = names.iter().any(|name| name == RESTORING);
    let is_known = |name: &str| EMPTY.contains(&name) || (is_unfinished && BUILT.contains(&name));
    match names.iter().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => Err(Error::data_dir(
            path,
            format!("holds `{name}`, and a backup is restored into an empty directory only"),
        )),
    }
}
