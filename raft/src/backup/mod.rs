//! Backups: a copy of the state in one file, and a new cluster made from it.
//!
//! Reading order: `file` is the format of a backup, and how a node writes one; [`restore`] makes
//! the data directory of a new cluster's first node from it; `beside` copies a data directory as it is,
//! before a migration.

pub mod beside;
pub mod file;
pub mod restore;
