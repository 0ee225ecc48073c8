//! The data directory during a restore: the steps that make it the first node of a new cluster.
//!
//! Until the restore ends, the identity stands under another name, so that no node starts in the
//! directory, and the next restore can clear it. The content of log, snapshots and state is built in
//! [`crate::backup::restore`].

use std::{fs, path::Path};

use super::{
    data_dir::{DataDir, EMPTY, Identity, RESTORED, RESTORING, refuse_file},
    files::{Files, RealFiles},
    sealed::save,
};
use crate::error::Error;

/// The name of [`RESTORED`] while it is being written.
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

/// A data directory into which a backup is restored.
pub(crate) struct Restoring {
    data_dir: DataDir,
}

impl Restoring {
    /// Opens an empty directory, or one in which a restore did not end, to restore into it.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        if path.exists() {
            refuse_file(path)?;
            refuse_full(path)?;
        }

        let data_dir = DataDir::open(path)?;
        // Another restore may have ended before this one took the lock.
        refuse_full(path)?;
        data_dir.keep_private();
        Ok(Self { data_dir })
    }

    pub(crate) fn data_dir(&self) -> &DataDir {
        &self.data_dir
    }

    /// Writes the identity that the directory will have: the first node of a new cluster, on a disk
    /// of its own. Returns the id of that disk.
    pub(crate) fn begin(&self) -> Result<String, Error> {
        self.clear()?;

        let identity = Identity {
            formed: true,
            ..Identity::of_new_cluster()
        };
        save(&RealFiles, &self.data_dir.path().join(RESTORING), &identity)?;
        save(&RealFiles, &self.data_dir.path().join(RESTORED), &())?;
        Ok(identity.disk)
    }

    /// Gives the directory its identity: from now on it is a node's.
    pub(crate) fn end(&self) -> Result<(), Error> {
        let from = self.data_dir.path().join(RESTORING);
        let to = self.data_dir.path().join("identity");

        // All that was built must be there before the identity says so.
        self.data_dir.sync()?;
        RealFiles.rename(&from, &to).map_err(Error::file(&to))?;
        self.data_dir.sync()
    }

    /// Removes what an unfinished restore built. The file that marks the directory as such goes last.
    pub(crate) fn clear(&self) -> Result<(), Error> {
        let dir = &self.data_dir;
        for path in [dir.log(), dir.snapshots(), dir.state()] {
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                other => other.map_err(Error::file(&path))?,
            }
        }

        for name in [RESTORED_ASIDE, RESTORED, RESTORING] {
            // Synced each time, so that a crash cannot keep an earlier one and lose a later one.
            self.data_dir.sync()?;
            let path = self.data_dir.path().join(name);
            RealFiles.remove(&path).map_err(Error::file(&path))?;
        }
        Ok(())
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
