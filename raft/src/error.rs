//! Faults of this node: of its disk, its data directory, its port, or its consensus.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A fault of this node. It stops, or does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read, written or synced.
    #[error("{}: {source}", path.display())]
    File {
        /// Path of the file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file does not check out.
    #[error("{} is damaged at byte {at}: {what}", path.display())]
    Damage {
        /// Path of the damaged file.
        path: PathBuf,
        /// Position of the damage, in bytes from the start.
        at: u64,
        /// The damage, as text for people.
        what: String,
    },
    /// The data directory is not one that this node may use.
    #[error("data directory {}: {what}", path.display())]
    DataDir {
        /// Path of the data directory.
        path: PathBuf,
        /// The obstacle and its remedy, as text for people.
        what: String,
    },
    /// A backup cannot be used.
    #[error("{}: {what}", path.display())]
    Backup {
        /// Path of the backup file.
        path: PathBuf,
        /// The obstacle and its remedy, as text for people.
        what: String,
    },
    /// The peer port cannot be listened on.
    #[error("cluster.listen: {address} cannot be listened on: {source}")]
    Listen {
        /// The configured peer address.
        address: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The state could not be read or written.
    #[error(transparent)]
    State(#[from] notty_storage::Error),
    /// The consensus has stopped by itself.
    #[error("raft stopped: {0}")]
    Raft(String),
}

impl Error {
    /// The file that could not be read, written or synced, if that is what is wrong.
    pub(crate) fn file_at_fault(&self) -> Option<&Path> {
        match self {
            Error::File { path, .. } | Error::State(notty_storage::Error::File { path, .. }) => {
                Some(path)
            }
            _ => None,
        }
    }

    /// True if the state itself does not check out, rather than the disk under it: then it can be
    /// rebuilt.
    pub(crate) fn is_damaged_state(&self) -> bool {
        matches!(self, Error::State(error) if error.is_damage())
    }

    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    }
}
