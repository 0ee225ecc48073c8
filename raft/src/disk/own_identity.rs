//! The identity of this node: on its disk, and as the rest of the node sees it.
//!
//! Whoever changes the identity writes it down first. So nobody acts under a number that a crash could
//! take away again.

use tokio::sync::watch;

use crate::{
    disk::data_dir::{DataDir, Identity},
    error::Error,
};

/// The identity of this node, and the directory that holds it.
pub(crate) struct OwnIdentity {
    // Holds the lock of the directory.
    data_dir: DataDir,
    current: watch::Sender<Identity>,
}

impl OwnIdentity {
    /// The identity that the directory holds already.
    pub(crate) fn new(data_dir: DataDir, identity: Identity) -> Self {
        Self {
            data_dir,
            current: watch::Sender::new(identity),
        }
    }

    pub(crate) fn data_dir(&self) -> &DataDir {
        &self.data_dir
    }

    pub(crate) fn current(&self) -> Identity {
        self.current.borrow().clone()
    }

    /// Follows the identity without keeping the directory locked.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Identity> {
        self.current.subscribe()
    }

    /// Writes the identity down, and only then shows it to the rest of the node.
    pub(crate) fn keep(&self, identity: Identity) -> Result<(), Error> {
        self.data_dir.keep(&identity)?;
        self.current.send_replace(identity);
        Ok(())
    }
}
