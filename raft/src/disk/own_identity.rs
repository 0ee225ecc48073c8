//! The identity of this node: on its disk, and as the rest of the node sees it.
//!
//! Whoever changes the identity writes it down first. So nobody acts under a number that a crash could
//! take away again. Several tasks change it, each something else: a change begins with what the one
//! before it left.

use parking_lot::Mutex;
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
    /// Held during a change, its write included.
    changing: Mutex<()>,
}

impl OwnIdentity {
    /// The identity that the directory holds already.
    pub(crate) fn new(data_dir: DataDir, identity: Identity) -> Self {
        Self {
            data_dir,
            current: watch::Sender::new(identity),
            changing: Mutex::default(),
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

    /// Changes the identity: writes it down, and only then shows it to the rest of the node. Returns it
    /// as it is now.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Identity)) -> Result<Identity, Error> {
        // Two at once would take back what the other changed, and write the same file.
        let _turn = self.changing.lock();
        let mut identity = self.current();
        change(&mut identity);

        self.data_dir.keep(&identity)?;
        self.current.send_replace(identity.clone());
        Ok(identity)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Barrier, thread};

    use super::*;

    #[test]
    fn changes_at_once_all_stay() {
        let dir = tempfile::tempdir().expect("a directory");
        for round in 0..20 {
            let path = dir.path().join(round.to_string());
            let data_dir = DataDir::open(&path).expect("a directory");
            let identity = data_dir.prepare().expect("prepared");
            let own = OwnIdentity::new(data_dir, identity);
            let together = Barrier::new(2);

            thread::scope(|scope| {
                scope.spawn(|| {
                    together.wait();
                    own.change(|identity| identity.formed = true)
                        .expect("written");
                });
                scope.spawn(|| {
                    together.wait();
                    own.change(|identity| identity.level = 2).expect("written");
                });
            });

            let shown = own.current();
            assert!(shown.formed && shown.level == 2, "round {round}: {shown:?}");
            let written = own.data_dir().identity().expect("it is read");
            assert_eq!(written, Some(shown), "round {round}");
        }
    }
}
