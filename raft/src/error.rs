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
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not check out.
    #[error("{} is damaged at byte {at}: {what}", path.display())]
    Damage {
        /// The file.
        path: PathBuf,
        /// Where, in bytes from its start.
        at: u64,
        /// What is wrong.
        what: String,
    },
    /// The data directory is not one that this node may use.
    #[error("data directory {}: {what}", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// A backup cannot be used.
    #[error("{}: {what}", path.display())]
    Backup {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// The peer port cannot be listened on.
    #[error("cluster.listen: {address} cannot be listened on: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The state could not be read or written.
    #[error(transparent)]
    State(#[from] notty_storage::Error),
    /// The consensus stopped.
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

    /// Whether it says that the state itself does not check out, rather than the disk under it:
    /// then it can be rebuilt.
    pub(crate) fn is_damaged_state(&self) -> bool {
        matches!(self, Error::State(error) if error.is_damage())
    }

    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    }
}
