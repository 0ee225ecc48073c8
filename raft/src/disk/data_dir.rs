//! The data directory: its owner, the lock that one process holds, and the place of each part.
//!
//! | path | holds |
//! |---|---|
//! | `LOCK` | held by the process that uses the directory |
//! | `identity` | cluster, node and disk, and the version of the layout, checksummed |
//! | `clock` | the readings of wall clock and boot clock when the wall clock was last believed |
//! | `restored` | there until a restored node has taken in the nodes that its cluster expects |
//! | `identity.restoring` | the identity while a backup is being restored, in place of `identity` |
//! | `log/` | the log (see [`crate::log`]) |
//! | `snapshots/` | the latest snapshot |
//! | `state/` | the state in sled: replaceable, rebuilt from snapshot and log where it must be |
//! | `before-…/` | a copy from before a migration (see [`crate::backup::beside`]) |
//!
//! The steps of a restore are in `restoring`.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    files::{Files, RealFiles},
    private,
    sealed::{load, save},
};
use crate::{
    error::Error,
    types::{NodeId, Peer},
};

/// The version of the layout that this binary reads and writes.
pub const VERSION: u32 = 5;

/// The name of the identity while a backup is being restored.
pub(super) const RESTORING: &str = "identity.restoring";
/// A file that is there until a restored node has taken in the nodes that it expects.
pub(super) const RESTORED: &str = "restored";
/// Names that an empty directory may hold all the same.
pub(super) const EMPTY: [&str; 3] = ["LOCK", "lost+found", "identity.new"];

/// The node that a data directory belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The version of the layout.
    pub version: u32,
    /// The cluster, a random id given when it was formed; empty while it belongs to none.
    pub cluster: String,
    /// The node's number in the cluster.
    pub node: NodeId,
    /// A random id of this very directory.
    pub disk: String,
    /// True if its log holds the first entries of the cluster: from then on an empty log is a loss.
    pub formed: bool,
    /// The members that the cluster had when this node was invited: believed to be members as long
    /// as the log does not name any.
    pub inviters: BTreeMap<NodeId, Peer>,
    /// The level of the cluster, as far as this node has noted it; 0 before that.
    pub level: u32,
    /// The version of notty that raised the level.
    pub level_since: String,
}

impl Identity {
    /// The first node of a new cluster, on a disk of its own.
    pub(super) fn of_new_cluster() -> Self {
        Self {
            cluster: random_id(),
            node: 1,
            ..Self::of_no_cluster()
        }
    }

    /// A disk that belongs to no cluster.
    fn of_no_cluster() -> Self {
        Self {
            version: VERSION,
            cluster: String::new(),
            node: 0,
            disk: random_id(),
            formed: false,
            inviters: BTreeMap::new(),
            level: 0,
            level_since: String::new(),
        }
    }
}

impl Identity {
    /// Refuses data whose cluster stands at a higher level than this version understands.
    pub(crate) fn check_level(&self, path: &Path, known: u32) -> Result<(), Error> {
        if self.level <= known {
            return Ok(());
        }
        let what = format!(
            "its cluster stands at level {} since notty {}, and this is notty {}, which understands level \
             {known}: install that version, or a later one",
            self.level,
            self.level_since,
            notty_storage::level::VERSION
        );
        Err(Error::data_dir(path, what))
    }
}

fn random_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// A data directory in use by this process.
pub struct DataDir {
    path: PathBuf,
    // Holds the lock until it is dropped.
    _lock: fs::File,
}

impl DataDir {
    /// Creates the directory if it is missing, and takes its lock.
    pub fn open(path: &Path) -> Result<Self, Error> {
        refuse_file(path)?;
        private::create_dir(path).map_err(Error::file(path))?;

        // A directory without a name above it is the working directory itself.
        let above = match path.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        RealFiles.sync_dir(above).map_err(Error::file(above))?;

        Ok(Self {
            path: path.to_owned(),
            _lock: lock(path)?,
        })
    }

    /// Takes the rights of other users away from the directory and its files. Only for one that is known
    /// to be a data directory, or empty: by a slip of the pen it may be anybody's.
    pub(crate) fn keep_private(&self) {
        private::tighten(&self.path).tell(&self.path);
    }

    /// Makes the names in it survive a crash.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        RealFiles
            .sync_dir(&self.path)
            .map_err(Error::file(&self.path))
    }

    /// The identity of its node; `None` if it is empty. Refuses a directory that is no data directory
    /// of this version.
    pub fn identity(&self) -> Result<Option<Identity>, Error> {
        let identity: Option<Identity> = match load(&RealFiles, &self.path.join("identity")) {
            // Another form of the file looks like damage too.
            Err(Error::Damage { .. }) => {
                let what = "its identity file is damaged, or of another version of notty";
                return Err(Error::data_dir(&self.path, what));
            }
            other => other?,
        };

        match &identity {
            Some(identity) if identity.version != VERSION => Err(Error::data_dir(
                &self.path,
                format!(
                    "has layout version {}, this notty reads version {VERSION}: use the notty that \
                     wrote it, or another directory",
                    identity.version
                ),
            )),
            Some(_) => Ok(identity),
            // A node that starts in a full directory would mix its files with those of others.
            None => self.refuse_strangers().map(|()| None),
        }
    }

    /// Refuses a directory without an identity that holds anything.
    fn refuse_strangers(&self) -> Result<(), Error> {
        let names = RealFiles
            .list(&self.path)
            .map_err(Error::file(&self.path))?;
        if names.iter().any(|name| name == RESTORING) {
            let what = "a restore into it did not end: run `notty restore` again, or empty it";
            return Err(Error::data_dir(&self.path, what));
        }

        // Its files may be somebody's: only a person may remove them.
        match names.iter().find(|name| !EMPTY.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(Error::data_dir(
                &self.path,
                format!(
                    "has no identity file but holds `{name}`: it is no data directory of notty; \
                     choose an empty or a new one with --data-dir"
                ),
            )),
        }
    }

    /// Makes it the first node of a new cluster.
    pub fn found(&self) -> Result<Identity, Error> {
        let identity = Identity::of_new_cluster();
        self.keep(&identity)?;
        Ok(identity)
    }

    /// Makes it a disk that belongs to no cluster yet.
    pub fn prepare(&self) -> Result<Identity, Error> {
        let identity = Identity::of_no_cluster();
        self.keep(&identity)?;
        Ok(identity)
    }

    /// Writes the identity. From then on the names of log, snapshots and state survive a crash too.
    pub fn keep(&self, identity: &Identity) -> Result<(), Error> {
        save(&RealFiles, &self.path.join("identity"), identity)
    }

    /// True if it was restored, and has not yet taken in the nodes that it expects.
    pub(crate) fn is_restored(&self) -> bool {
        self.path.join(RESTORED).exists()
    }

    /// Notes that the expected nodes are taken in.
    pub(crate) fn settle_restored(&self) -> Result<(), Error> {
        let path = self.path.join(RESTORED);
        RealFiles.remove(&path).map_err(Error::file(&path))
    }

    /// Path of the directory itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Directory of the log.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// File of the clocks' last believed readings.
    pub(crate) fn clock(&self) -> PathBuf {
        self.path.join("clock")
    }

    /// Directory of the snapshots.
    pub fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    /// Directory of the state.
    pub fn state(&self) -> PathBuf {
        self.path.join("state")
    }
}

/// Refuses a path that is a file.
pub(super) fn refuse_file(path: &Path) -> Result<(), Error> {
    if path.exists() && !path.is_dir() {
        let what = "it is no directory; choose another with --data-dir";
        return Err(Error::data_dir(path, what));
    }
    Ok(())
}

/// Takes the lock of a directory, and writes this process into it for whoever finds it taken.
fn lock(dir: &Path) -> Result<fs::File, Error> {
    let path = dir.join("LOCK");
    // It is not truncated yet: it may name the process that holds it.
    let mut lock = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(Error::file(&path))?;

    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Err(in_use(dir, &path)),
        Err(fs::TryLockError::Error(source)) => return Err(Error::File { path, source }),
    }

    // For a person to read; the lock itself is what counts.
    let noted = lock
        .set_len(0)
        .and_then(|()| writeln!(lock, "pid {}", std::process::id()));
    noted.map_err(Error::file(&path))?;
    Ok(lock)
}

fn in_use(dir: &Path, lock: &Path) -> Error {
    let note = fs::read_to_string(lock).unwrap_or_default();
    let owner = match note.trim() {
        "" => "unknown",
        owner => owner,
    };
    let what =
        format!("in use by another process ({owner}); stop it, or choose another with --data-dir");
    Error::data_dir(dir, what)
}
