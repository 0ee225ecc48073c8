//! Faults of this node: of its disk, its data directory, its port, or its consensus.
//!
//! A fault stops the node. Outcomes of a proposal, after which the node goes on, are in `outcome`.

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
        /// The damaged file or directory.
        path: PathBuf,
        /// Offset of the damage, in bytes from the start of the file.
        at: u64,
        /// The fault, for a person.
        what: String,
    },
    /// The data directory is not one that this node may use.
    #[error("data directory {}: {what}", path.display())]
    DataDir {
        /// Path of the data directory.
        path: PathBuf,
        /// The fault and the way out of it, for a person.
        what: String,
    },
    /// A backup cannot be used.
    #[error("{}: {what}", path.display())]
    Backup {
        /// Path of the backup's file.
        path: PathBuf,
        /// The fault and the way out of it, for a person.
        what: String,
    },
    /// This node cannot listen on its peer port.
    #[error("cluster.listen: {address} cannot be listened on: {source}")]
    Listen {
        /// The configured address for peers.
        address: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The state could not be read or written.
    #[error(transparent)]
    State(#[from] notty_storage::Error),
    /// The consensus stopped on this node.
    #[error("raft stopped: {0}")]
    Raft(String),
}

impl Error {
    /// The file that could not be read, written or synced, if this is such a fault.
    pub(crate) fn file_at_fault(&self) -> Option<&Path> {
        match self {
            Error::File { path, .. } | Error::State(notty_storage::Error::File { path, .. }) => {
                Some(path)
            }
            _ => None,
        }
    }

    /// True if the state itself is damaged, rather than the disk under it. Such a state can be
    /// rebuilt from snapshot and log.
    pub(crate) fn is_damaged_state(&self) -> bool {
        matches!(self, Error::State(error) if error.is_damage())
    }

    /// Turns an error of the operating system into one that names a file, for `map_err`.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    }

    /// A file that does not check out at a byte.
    pub(crate) fn damage(path: &Path, at: u64, what: impl Into<String>) -> Error {
        Error::Damage {
            path: path.to_owned(),
            at,
            what: what.into(),
        }
    }

    /// A data directory that this node may not use.
    pub(crate) fn data_dir(path: &Path, what: impl Into<String>) -> Error {
        Error::DataDir {
            path: path.to_owned(),
            what: what.into(),
        }
    }

    /// A backup that cannot be used.
    pub(crate) fn backup(path: &Path, what: impl Into<String>) -> Error {
        Error::Backup {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}
