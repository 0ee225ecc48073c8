//! The data directory: its lock, its layout, and the identity of the node that it belongs to.
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
    fs::{self, TryLockError},
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
pub const VERSION: u32 = 4;

/// The name of the identity while a backup is being restored.
pub(super) const RESTORING: &str = "identity.restoring";
/// Names that an empty directory may hold all the same.
pub(super) const EMPTY: [&str; 3] = ["LOCK", "lost+found", "identity.new"];
/// The name of a file that is there until a restored node has taken in the nodes that it expects.
pub(super) const RESTORED: &str = "restored";

/// The identity of a node, which its data directory holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The version of the layout.
    pub version: u32,
    /// The cluster, a random id given when it was formed; empty while the node belongs to none.
    pub cluster: String,
    /// The node's number in the cluster; 0 while it belongs to none.
    pub node: NodeId,
    /// This very directory, a random id.
    pub disk: String,
    /// True once its log holds what the cluster began with: from then on an empty log is a loss.
    pub formed: bool,
    /// The members that the cluster had when this node was invited: believed to be members as long
    /// as the log does not name any.
    pub inviters: BTreeMap<NodeId, Peer>,
}

impl Identity {
    /// A new disk, in a cluster and under a number in it.
    pub(super) fn new(cluster: String, node: NodeId, formed: bool) -> Self {
        Self {
            version: VERSION,
            cluster,
            node,
            disk: random_id(),
            formed,
            inviters: BTreeMap::new(),
        }
    }
}

pub(super) fn random_id() -> String {
    uuid::Uuid::new_v4().to_string()
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

        Ok(Self {
            path: path.to_owned(),
            _lock: take_lock(path)?,
        })
    }

    /// Makes the names in it survive a crash.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        RealFiles
            .sync_dir(&self.path)
            .map_err(Error::file(&self.path))
    }

    /// The identity in it; `None` if it is empty. Refuses a directory that is no data directory of
    /// this version.
    pub fn identity(&self) -> Result<Option<Identity>, Error> {
        let loaded: Result<Option<Identity>, Error> = load(&RealFiles, &self.path.join("identity"));

        // Another version and damage cannot be told apart: the text names both.
        let identity = match loaded {
            Err(Error::Damage { .. }) => {
                let what = "its identity file is damaged, or of another version of notty";
                return Err(refuse(&self.path, what));
            }
            other => other?,
        };

        match &identity {
            None => self.refuse_strangers()?,
            Some(identity) if identity.version != VERSION => {
                let version = identity.version;
                let what = format!(
                    "has layout version {version}, this notty reads version {VERSION}: use the notty \
                     that wrote it, or another directory"
                );
                return Err(refuse(&self.path, what));
            }
            Some(_) => {}
        }
        Ok(identity)
    }

    /// Refuses a directory that has no identity and is not empty either.
    fn refuse_strangers(&self) -> Result<(), Error> {
        let names = RealFiles
            .list(&self.path)
            .map_err(Error::file(&self.path))?;
        if names.iter().any(|name| name == RESTORING) {
            let what = "a restore into it did not end: run `notty restore` again, or empty it";
            return Err(refuse(&self.path, what));
        }

        let mut strangers = names.iter().filter(|name| !EMPTY.contains(&name.as_str()));
        match strangers.next() {
            None => Ok(()),
            Some(name) => Err(refuse(
                &self.path,
                format!(
                    "has no identity file but holds `{name}`: it is no data directory of notty; \
                     choose an empty or a new one with --data-dir"
                ),
            )),
        }
    }

    /// True if it was restored, and its node has not taken in yet the nodes that it expects.
    pub(crate) fn is_restored(&self) -> bool {
        self.path.join(RESTORED).exists()
    }

    /// Notes that a restored node has taken in the nodes that it expects.
    pub(crate) fn settle_restored(&self) -> Result<(), Error> {
        let path = self.path.join(RESTORED);
        RealFiles.remove(&path).map_err(Error::file(&path))
    }

    /// Makes it a new cluster's first node.
    pub fn found(&self) -> Result<Identity, Error> {
        let identity = Identity::new(random_id(), 1, false);
        self.keep(&identity)?;
        Ok(identity)
    }

    /// Makes it a disk that belongs to no cluster yet.
    pub fn prepare(&self) -> Result<Identity, Error> {
        let identity = Identity::new(String::new(), 0, false);
        self.keep(&identity)?;
        Ok(identity)
    }

    /// Writes the identity down; the names of log, snapshots and state survive a crash from then on too.
    pub fn keep(&self, identity: &Identity) -> Result<(), Error> {
        save(&RealFiles, &self.path.join("identity"), identity)
    }

    /// The path of the directory itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of the log.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The file in which the trust in the clock is kept.
    pub(crate) fn clock(&self) -> PathBuf {
        self.path.join("clock")
    }

    /// The directory of the snapshots.
    pub fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    /// The directory of the state.
    pub fn state(&self) -> PathBuf {
        self.path.join("state")
    }
}

/// Takes the lock of a directory, and notes the process in it.
fn take_lock(dir: &Path) -> Result<fs::File, Error> {
    let path = dir.join("LOCK");
    let mut options = fs::OpenOptions::new();
    let opened = options.write(true).create(true).truncate(false).open(&path);
    let mut lock = opened.map_err(Error::file(&path))?;

    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(in_use(dir, &path)),
        Err(TryLockError::Error(source)) => return Err(Error::File { path, source }),
    }

    // For people: the lock itself goes with the process, whatever stands in the file.
    let noted = lock
        .set_len(0)
        .and_then(|()| writeln!(lock, "pid {}", std::process::id()));
    noted.map_err(Error::file(&path))?;
    Ok(lock)
}

fn in_use(dir: &Path, lock: &Path) -> Error {
    let content = fs::read_to_string(lock).unwrap_or_default();
    let owner = match content.trim() {
        "" => "unknown",
        owner => owner,
    };
    let what =
        format!("in use by another process ({owner}); stop it, or choose another with --data-dir");
    refuse(dir, what)
}

pub(super) fn refuse(path: &Path, what: impl Into<String>) -> Error {
    Error::DataDir {
        path: path.to_owned(),
        what: what.into(),
    }
}

pub(super) fn refuse_file(path: &Path) -> Result<(), Error> {
    if path.exists() && !path.is_dir() {
        let what = "it is no directory; choose another with --data-dir";
        return Err(refuse(path, what));
    }
    Ok(())
}
