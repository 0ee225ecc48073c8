//! The state written to a file while applying goes on: snapshots, and copies for backups.
//!
//! An export copies the state and captures what is applied meanwhile; it ends between two entries, and
//! the position there is that of the copy. A disk without room for an export is no fault of the node.

use std::{
    fs::{File, OpenOptions},
    path::Path,
    sync::atomic::Ordering,
};

use notty_storage::{Export, ExportSummary};

use super::NodeState;
use crate::{
    disk::files::{Files, RealFiles},
    error::Error,
    runtime::blocking,
    state::position::Position,
    types::{Snapshot, StorageError},
};

impl NodeState {
    /// Writes a snapshot before openraft asks for it. False if it could not be written, which does no
    /// harm: the log goes on from the last one.
    pub(crate) fn prepare_snapshot(&self) -> Result<bool, StorageError> {
        blocking(|| self.guarded(|| self.try_prepare()))
    }

    fn try_prepare(&self) -> Result<bool, Error> {
        match self.build_snapshot() {
            Ok(snapshot) => {
                *self.prepared.lock() = Some(snapshot);
                Ok(true)
            }
            // Of the place that snapshots lie in: the state itself is sound.
            Err(error) if self.parts.snapshots.is_fault(&error) => {
                tracing::error!(%error, "no snapshot could be written; tried again later");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// The prepared snapshot, or else a new one.
    pub(in crate::state) fn current_or_new_snapshot(&self) -> Result<Snapshot, Error> {
        match self.take_prepared()? {
            Some(prepared) => Ok(prepared),
            None => self.build_snapshot(),
        }
    }

    /// The prepared snapshot, if it is still the latest.
    fn take_prepared(&self) -> Result<Option<Snapshot>, Error> {
        let Some(prepared) = self.prepared.lock().take() else {
            return Ok(None);
        };

        // A later one may have been installed, which has dropped its file.
        let snapshots = &self.parts.snapshots;
        let latest = snapshots.latest()?.map(|kept| snapshots.present(&kept));
        Ok(latest.filter(|latest| latest.meta == prepared.meta))
    }

    pub(crate) fn build_snapshot(&self) -> Result<Snapshot, Error> {
        let name = uuid::Uuid::new_v4().simple().to_string();
        let aside = self.parts.snapshots.aside(&name);

        let built = self.write_snapshot(&name, &aside);
        if built.is_err() {
            // A half one would take the room that is needed to go on.
            let _ = RealFiles.remove(&aside);
        }
        built
    }

    fn write_snapshot(&self, name: &str, aside: &Path) -> Result<Snapshot, Error> {
        // To its end: kept after a newer one was installed, it would take the place of that.
        let _exporting = self.exporting.lock();
        let export = self.store.lock().begin_export(aside)?;
        let summary = self.run_export(export)?;

        // openraft drops the log up to the snapshot: the state must not need it after a crash.
        let flusher = self.store.lock().flusher();
        self.flush_by(&flusher)?;

        self.keep(name, &summary)
    }

    /// Keeps a snapshot that was written aside as the latest.
    fn keep(&self, name: &str, summary: &ExportSummary) -> Result<Snapshot, Error> {
        let position = Position::from_marker(Some(&summary.marker))?;
        self.snapshot_bytes.store(summary.bytes, Ordering::Relaxed);
        let snapshots = &self.parts.snapshots;
        let kept = snapshots.keep(name, position, summary.hash, summary.bytes)?;

        tracing::info!(
            bytes = summary.bytes,
            index = kept.position.index(),
            "snapshot written"
        );
        Ok(snapshots.present(&kept))
    }

    /// Copies the state while applying goes on, and ends between two entries.
    fn run_export(&self, mut export: Export) -> Result<ExportSummary, Error> {
        let copied = copy_all(&mut export);

        // Under this lock nothing is applied.
        let mut store = self.store.lock();
        if let Err(error) = copied {
            store.abandon_export();
            return Err(error.into());
        }
        Ok(store.end_export(export)?)
    }

    /// Copies the state as it is into a file without a name, of which nothing stays behind, however it
    /// ends.
    pub(crate) fn copy_aside(&self) -> Result<(File, ExportSummary), Error> {
        let _exporting = self.exporting.lock();
        let name = uuid::Uuid::new_v4().simple().to_string();
        let path = self.parts.snapshots.aside(&name);
        let file = unnamed_file(&path)?;

        let written = file.try_clone().map_err(Error::file(&path))?;
        let export = self.store.lock().begin_export_into(written, &path)?;

        let summary = self.run_export(export).inspect_err(|error| {
            // Without room for it only the copy has failed.
            if !self.parts.snapshots.is_fault(error) {
                self.end(error, error.is_damaged_state());
            }
        })?;
        Ok((file, summary))
    }
}

/// Makes a file and takes its name away: open, it goes on existing until the last handle is closed.
fn unnamed_file(path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(Error::file(path))?;
    RealFiles.remove(path).map_err(Error::file(path))?;
    Ok(file)
}

/// Copies until nothing is left, in small steps: entries are applied between them.
fn copy_all(export: &mut Export) -> Result<(), notty_storage::Error> {
    while export.copy_some()? {}
    Ok(())
}
