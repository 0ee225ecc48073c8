//! The state replaced by that of a snapshot, because the leader has no log for this node any more.

use std::{fs, path::PathBuf, time::Instant};

use notty_storage::{Store, import_snapshot};

use super::NodeState;
use crate::{
    error::Error,
    state::{position::Position, snapshots::KeptSnapshot, watchdog::Work},
    types::{SnapshotFile, SnapshotMeta},
};

impl NodeState {
    /// Builds a state from a snapshot, and puts it in place of the present one.
    pub(crate) fn install(&self, meta: &SnapshotMeta, file: &SnapshotFile) -> Result<(), Error> {
        let _exporting = self.exporting.lock();
        let _working = self.begin(Work::Install);
        let began = Instant::now();

        // Beside the present state, which stays in use until the new one is whole.
        let place = self.parts.state_dir.fresh();
        let options = self.parts.options.clone();
        let built = import_snapshot(&file.path, &place, options)?;
        let kept = received(meta, file, &built)?;

        // The snapshot first: a state that stands above log and snapshot would not start.
        self.keep_if_later(file, kept.clone())?;
        self.parts.state_dir.switch_to(&place)?;

        let index = kept.position.index();
        if let Some(onlooker) = &self.parts.onlooker {
            onlooker.installed(index.unwrap_or(0), kept.hash, &built.view());
        }
        let old = self.replace(built)?;

        let ms = began.elapsed().as_millis() as u64;
        tracing::info!(bytes = kept.bytes, index, ms, "snapshot installed");
        self.applied.send_replace(kept.position);
        self.parts.state_dir.remove(&old)
    }

    /// Keeps a received snapshot as the latest, unless this node has one that is as late.
    fn keep_if_later(&self, file: &SnapshotFile, received: KeptSnapshot) -> Result<(), Error> {
        let latest = self.parts.snapshots.latest()?;
        if latest.is_none_or(|kept| kept.position.applied < received.position.applied) {
            self.parts.snapshots.keep_from(&file.path, received)?;
        }
        Ok(())
    }

    /// Has readers and apply use a new state. Returns the directory of the old one, which is closed.
    fn replace(&self, built: Store) -> Result<PathBuf, Error> {
        let before = {
            let mut store = self.store.lock();
            *self.view.write() = built.view();
            std::mem::replace(&mut *store, built)
        };
        let old = before.path().to_owned();

        // After a flush that failed, sled would wait for ever when it is closed.
        if let Err(error) = before.flusher().flush() {
            before.leak();
            return Err(error.into());
        }
        drop(before);
        Ok(old)
    }
}

/// A received snapshot as it is kept, by the state that was built from it.
fn received(
    meta: &SnapshotMeta,
    file: &SnapshotFile,
    built: &Store,
) -> Result<KeptSnapshot, Error> {
    let metadata = fs::metadata(&file.path).map_err(Error::file(&file.path))?;
    Ok(KeptSnapshot {
        name: meta.snapshot_id.clone(),
        position: Position::from_marker(built.marker().as_deref())?,
        hash: built.hash(),
        bytes: metadata.len(),
    })
}
