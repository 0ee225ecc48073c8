//! The data directory: whose it is, that one process alone uses it, and what lies where.
//!
//! | path | holds |
//! |---|---|
//! | `LOCK` | held by the process that uses the directory |
//! | `identity` | cluster, node and disk, and the version of the layout, checksummed |
//! | `clock` | where wall clock and boot clock stood when the wall clock was last believed |
//! | `restored` | there until a restored node has taken in the nodes that its cluster expects |
//! | `identity.restoring` | the same while a backup is being restored: until that ends it has none |
//! | `log/` | the log (see [`crate::log`]) |
//! | `snapshots/` | the latest snapshot |
//! | `state/` | the state in sled: replaceable, rebuilt from snapshot and log where it must be |

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    disk::files::{Files, RealFiles},
    error::Error,
    log::marks::{load, save},
    types::{NodeId, Peer},
};

/// The version of the layout that this binary reads and writes.
pub const VERSION: u32 = 5;

/// The name of the identity while a backup is being restored.
const RESTORING: &str = "identity.restoring";
/// What an empty directory may hold all the same.
const EMPTY: [&str; 3] = ["LOCK", "lost+found", "identity.new"];
/// The name of a file that is there until a restored node has taken in those whom it expects.
const RESTORED: &str = "restored";
/// The same while it is being written.
const RESTORED_ASIDE: &str = "restored.new";
/// What a restore builds before the directory has an identity.
const BUILT: [&str; 6] = [
    RESTORING,
    RESTORED,
    RESTORED_ASIDE,
    "log",
    "snapshots",
    "state",
];

/// Whose a data directory is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The version of the layout.
    pub version: u32,
    /// The cluster, a random id given when it was formed; empty while it belongs to none.
    pub cluster: String,
    /// The node's number in the cluster.
    pub node: NodeId,
    /// This very directory, a random id.
    pub disk: String,
    /// Whether its log holds what the cluster began with: from then on an empty log is a loss.
    pub formed: bool,
    /// The members that the cluster had when this node was invited: believed to be members as long
    /// as the log does not name any.
    pub inviters: BTreeMap<NodeId, Peer>,
}

/// A data directory in use by this process.
pub struct DataDir {
    path: PathBuf,
    // Holds the lock until it is dropped.
    _lock: fs::File,
}

impl DataDir {
    /// Makes the directory if it is missing, and takes its lock.
    pub fn open(path: &Path) -> Result<Self, Error> {
        refuse_file(path)?;
        fs::create_dir_all(path).map_err(Error::file(path))?;
        // A directory without a name above it is the working directory itself.
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        let above = above.unwrap_or(Path::new("."));
        RealFiles.sync_dir(above).map_err(Error::file(above))?;
        let lock_path = path.join("LOCK");
        let mut options = fs::OpenOptions::new();
        let lock = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path);
        let mut lock = lock.map_err(Error::file(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let owner = fs::read_to_string(&lock_path).unwrap_or_default();
                let what = format!(
                    "in use by another process ({}); stop it, or choose another with --data-dir",
                    if owner.trim().is_empty() {
                        "unknown"
                    } else {
                        owner.trim()
                    }
                );
                return Err(Error::DataDir {
                    path: path.to_owned(),
                    what,
                });
            }
            Err(fs::TryLockError::Error(source)) => {
                return Err(Error::File {
                    path: lock_path,
                    source,
                });
            }
        }
        let noted = lock
            .set_len(0)
            .and_then(|()| writeln!(lock, "pid {}", std::process::id()));
        noted.map_err(Error::file(&lock_path))?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Makes the names in it survive a crash.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        RealFiles
            .sync_dir(&self.path)
            .map_err(Error::file(&self.path))
    }

    /// Whose it is; none if it is empty. Refuses what is not a data directory of this version.
    pub fn identity(&self) -> Result<Option<Identity>, Error> {
        let path = self.path.join("identity");
        let identity: Option<Identity> = match load(&RealFiles, &path) {
            Err(Error::Damage { .. }) => {
                let what = "its identity file is damaged, or of another version of notty";
                return Err(self.refuse(what.to_owned()));
            }
            other => other?,
        };
        match &identity {
            Some(identity) if identity.version != VERSION => Err(self.refuse(format!(
                "has layout version {}, this notty reads version {VERSION}: use the notty that \
                 wrote it, or another directory",
                identity.version
            ))),
            None => self.refuse_strangers().map(|()| None),
            Some(_) => Ok(identity),
        }
    }

    fn refuse_strangers(&self) -> Result<(), Error> {
        let names = RealFiles
            .list(&self.path)
            .map_err(Error::file(&self.path))?;
        if names.iter().any(|name| name == RESTORING) {
            let what = "a restore into it did not end: run `notty restore` again, or empty it";
            return Err(self.refuse(what.to_owned()));
        }
        match names.iter().find(|name| !EMPTY.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(self.refuse(format!(
                "has no identity file but holds `{name}`: it is no data directory of notty; \
                 choose an empty or a new one with --data-dir"
            ))),
        }
    }

    fn refuse(&self, what: String) -> Error {
        Error::DataDir {
            path: self.path.clone(),
            what,
        }
    }

    /// Takes an empty directory, or one in which a restore did not end, to restore into it.
    pub(crate) fn open_for_restore(path: &Path) -> Result<Self, Error> {
        if path.exists() {
            refuse_file(path)?;
            refuse_full(path)?;
        }
        let this = Self::open(path)?;
        // Another restore may have ended in between.
        refuse_full(path)?;
        Ok(this)
    }

    /// Writes down what it is to become: a new cluster's first node, on a disk of its own, which is
    /// told.
    pub(crate) fn begin_restore(&self) -> Result<String, Error> {
        self.clear_restore()?;
        let random = || uuid::Uuid::new_v4().to_string();
        let (cluster, disk) = (random(), random());
        let (version, disk_id) = (VERSION, disk.clone());
        let inviters = BTreeMap::new();
        let identity = Identity {
            version,
            cluster,
            node: 1,
            disk: disk_id,
            formed: true,
            inviters,
        };
        save(&RealFiles, &self.path.join(RESTORING), &identity)?;
        save(&RealFiles, &self.path.join(RESTORED), &())?;
        Ok(disk)
    }

    /// It is that from now on.
    pub(crate) fn end_restore(&self) -> Result<(), Error> {
        let (from, to) = (self.path.join(RESTORING), self.path.join("identity"));
        RealFiles
            .sync_dir(&self.path)
            .map_err(Error::file(&self.path))?;
        RealFiles.rename(&from, &to).map_err(Error::file(&to))?;
        RealFiles
            .sync_dir(&self.path)
            .map_err(Error::file(&self.path))
    }

    /// Removes what a restore built that did not end; what says so goes last.
    pub(crate) fn clear_restore(&self) -> Result<(), Error> {
        for path in [self.log(), self.snapshots(), self.state()] {
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                other => other.map_err(Error::file(&path))?,
            }
        }
        for name in [RESTORED_ASIDE, RESTORED, RESTORING] {
            RealFiles
                .sync_dir(&self.path)
                .map_err(Error::file(&self.path))?;
            let path = self.path.join(name);
            RealFiles.remove(&path).map_err(Error::file(&path))?;
        }
        Ok(())
    }

    /// Whether it was restored, and has not taken in yet those whom it expects.
    pub(crate) fn is_restored(&self) -> bool {
        self.path.join(RESTORED).exists()
    }

    /// It has taken them in.
    pub(crate) fn settle_restored(&self) -> Result<(), Error> {
        let path = self.path.join(RESTORED);
        RealFiles.remove(&path).map_err(Error::file(&path))
    }

    /// Makes it a new cluster's first node.
    pub fn found(&self) -> Result<Identity, Error> {
        let random = || uuid::Uuid::new_v4().to_string();
        let (cluster, disk) = (random(), random());
        let (version, formed, inviters) = (VERSION, false, BTreeMap::new());
        let identity = Identity {
            version,
            cluster,
            node: 1,
            disk,
            formed,
            inviters,
        };
        self.keep(&identity)?;
        Ok(identity)
    }

    /// Makes it a disk that belongs to no cluster yet.
    pub fn prepare(&self) -> Result<Identity, Error> {
        let (cluster, disk) = (String::new(), uuid::Uuid::new_v4().to_string());
        let (version, formed, inviters) = (VERSION, false, BTreeMap::new());
        let identity = Identity {
            version,
            cluster,
            node: 0,
            disk,
            formed,
            inviters,
        };
        self.keep(&identity)?;
        Ok(identity)
    }

    /// Writes whose it is; the names of log, snapshots and state survive a crash from then on too.
    pub fn keep(&self, identity: &Identity) -> Result<(), Error> {
        save(&RealFiles, &self.path.join("identity"), identity)
    }

    /// The directory itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the log lies.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Where it is kept what is believed of the clock.
    pub(crate) fn clock(&self) -> PathBuf {
        self.path.join("clock")
    }

    /// Where snapshots lie.
    pub fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    /// Where the state lies.
    pub fn state(&self) -> PathBuf {
        self.path.join("state")
    }
}

fn refuse_file(path: &Path) -> Result<(), Error> {
    if path.exists() && !path.is_dir() {
        let what = "it is no directory; choose another with --data-dir".to_owned();
        return Err(Error::DataDir {
            path: path.to_owned(),
            what,
        });
    }
    Ok(())
}

/// Refuses to restore into a directory that holds anything else than a restore that did not end.
fn refuse_full(path: &Path) -> Result<(), Error> {
    let names = RealFiles.list(path).map_err(Error::file(path))?;
    let refuse = |what: String| Error::DataDir {
        path: path.to_owned(),
        what,
    };
    if names.iter().any(|name| name == "identity") {
        let what = "holds a node already, and a backup is restored into an empty directory only";
        return Err(refuse(what.to_owned()));
    }
    let restoring = names.iter().any(|name| name == RESTORING);
    let known = |name: &str| EMPTY.contains(&name) || (restoring && BUILT.contains(&name));
    match names.iter().find(|name| !known(name)) {
        None => Ok(()),
        Some(name) => Err(refuse(format!(
            "holds `{name}`, and a backup is restored into an empty directory only"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_is_repeated_over_whatever_another_left() {
        let dir = tempfile::tempdir().expect("a directory");
        let begun = DataDir::open_for_restore(dir.path()).expect("it is empty");
        begun.begin_restore().expect("begins");
        for name in ["log", "snapshots", "state"] {
            fs::create_dir(dir.path().join(name)).expect("created");
        }
        for name in ["identity.new", RESTORED_ASIDE] {
            fs::write(dir.path().join(name), b"half").expect("written");
        }
        drop(begun);
        let again = DataDir::open_for_restore(dir.path()).expect("it is a restore's");
        again.begin_restore().expect("begins");
        again.clear_restore().expect("clears");
        let left = RealFiles.list(dir.path()).expect("lists");
        assert!(
            left.iter().all(|name| EMPTY.contains(&name.as_str())),
            "{left:?}"
        );
    }
}
