//! The disk of a node, below log and state: the seam for files, and the data directory.
//!
//! Reading order: [`files`] is the seam that a simulation replaces, so that unsynced bytes get lost;
//! [`memory_files`] does the same for tests; [`data_dir`] is the layout of the directory, its lock, and
//! the identity that it holds; `own_identity` shows that identity to the rest of the node; `restoring`
//! is a directory into which a backup is being restored. The content of the other files belongs to the
//! rooms `log` and `state`.

pub mod data_dir;
pub mod files;
pub mod memory_files;
pub(crate) mod own_identity;
pub(crate) mod restoring;
