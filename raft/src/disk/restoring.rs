//! A data directory while a backup is being restored into it.
//!
//! It has no identity yet, but the same under another name: so no node uses it, and a restore that
//! did not end can be repeated over whatever it left. One rename ends the restore.

use std::{fs, io::ErrorKind, path::Path};

use crate::{
    disk::{
        data_dir::{DataDir, EMPTY, Identity, RESTORED, RESTORING, random_id, refuse, refuse_file},
        files::{Files, RealFiles},
    },
    error::Error,
    log::marks::save,
};

/// The name of the file [`RESTORED`] while it is being written.
const RESTORED_ASIDE: &str = "restored.new";
/// Names of everything that a restore builds before the directory has an identity.
const BUILT: [&str; 6] = [
    RESTORING,
    RESTORED,
    RESTORED_ASIDE,
    "log",
    "snapshots",
    "state",
];

/// A directory that a backup is restored into.
pub(crate) struct Restoring {
    data_dir: DataDir,
}

impl Restoring {
    /// Takes an empty directory, or one in which a restore did not end.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        if path.exists() {
            refuse_file(path)?;
            refuse_full(path)?;
        }
        let data_dir = DataDir::open(path)?;
        // Another restore may have ended before the lock was taken.
        refuse_full(path)?;
        Ok(Self { data_dir })
    }

    pub(crate) fn data_dir(&self) -> &DataDir {
        &self.data_dir
    }

    /// Writes down that it is to become a new cluster's first node, on a disk of its own; returns the
    /// id of the disk.
    pub(crate) fn begin(&self) -> Result<String, Error> {
        self.clear()?;
        let identity = Identity::new(random_id(), 1, true);
        let dir = self.data_dir.path();
        save(&RealFiles, &dir.join(RESTORING), &identity)?;
        save(&RealFiles, &dir.join(RESTORED), &())?;
        Ok(identity.disk)
    }

    /// Gives the directory its identity: it belongs to a node from now on.
    pub(crate) fn end(&self) -> Result<(), Error> {
        let dir = self.data_dir.path();
        let identity = dir.join("identity");
        // All that was built must be there before the identity is.
        self.data_dir.sync()?;
        RealFiles
            .rename(&dir.join(RESTORING), &identity)
            .map_err(Error::file(&identity))?;
        self.data_dir.sync()
    }

    /// Removes what a restore built that did not end. The mark of a restore goes last: until then the
    /// directory can be restored into again.
    pub(crate) fn clear(&self) -> Result<(), Error> {
        let built = [
            self.data_dir.log(),
            self.data_dir.snapshots(),
            self.data_dir.state(),
        ];
        for path in built {
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => other.map_err(Error::file(&path))?,
            }
        }

        for name in [RESTORED_ASIDE, RESTORED, RESTORING] {
            // Each name is gone for good before the next one goes.
            self.data_dir.sync()?;
            let path = self.data_dir.path().join(name);
            RealFiles.remove(&path).map_err(Error::file(&path))?;
        }
        Ok(())
    }
}

/// Refuses to restore into a directory that holds anything else than a restore that did not end.
fn refuse_full(path: &Path) -> Result<(), Error> {
    let names = RealFiles.list(path).map_err(Error::file(path))?;
    if names.iter().any(|name| name == "identity") {
        let what = "holds a node already, and a backup is restored into an empty directory only";
        return Err(refuse(path, what));
    }

    let is_restoring = names.iter().any(|name| name == RESTORING);
    let is_known = |name: &str| EMPTY.contains(&name) || (is_restoring && BUILT.contains(&name));
    match names.iter().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => Err(refuse(
            path,
            format!("holds `{name}`, and a backup is restored into an empty directory only"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_is_repeated_over_whatever_another_left() {
        let dir = tempfile::tempdir().expect("a directory");
        let begun = Restoring::open(dir.path()).expect("it is empty");
        begun.begin().expect("begins");
        for name in ["log", "snapshots", "state"] {
            fs::create_dir(dir.path().join(name)).expect("created");
        }
        for name in ["identity.new", RESTORED_ASIDE] {
            fs::write(dir.path().join(name), b"half").expect("written");
        }
        drop(begun);
        let again = Restoring::open(dir.path()).expect("it is a restore's");
        again.begin().expect("begins");
        again.clear().expect("clears");
        let left = RealFiles.list(dir.path()).expect("lists");
        assert!(
            left.iter().all(|name| EMPTY.contains(&name.as_str())),
            "{left:?}"
        );
    }
}
