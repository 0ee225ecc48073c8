//! Backup files for the command line: they are checked, and restored into a data directory. And the
//! backups that a node makes by itself ([`automatic`]).
//!
//! The command line may not name the raft crate; this is the part of it that it needs.

pub(crate) mod automatic;
mod names;
#[cfg(test)]
mod tests;

use std::path::Path;

use notty_raft::SystemClock;
pub use notty_raft::backup::{file::Backup, restore::Restored};

/// Reads a whole backup and checks it. The error names what is damaged.
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
