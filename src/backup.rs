//! Backup files, as the command line needs them: checked, and restored into a data directory.

use std::path::Path;

use notty_raft::SystemClock;
pub use notty_raft::backup::{file::Backup, restore::Restored};

/// Reads a backup whole; an error says what is wrong with it.
pub fn check(file: &Path) -> anyhow::Result<Backup> {
    Ok(Backup::check(file)?)
}

/// Makes an empty directory the first node of a new cluster, with a backup as its state.
pub fn restore(backup: &Backup, data_dir: &Path) -> anyhow::Result<Restored> {
    Ok(notty_raft::backup::restore::restore(
        backup,
        data_dir,
        &SystemClock,
    )?)
}
