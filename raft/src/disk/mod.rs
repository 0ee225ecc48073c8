//! The disk of a node, below log and state: the seam for files, and the data directory.
//!
//! Reading order: [`files`] is the seam that a simulation replaces, so that unsynced bytes get lost;
//! `sealed` keeps small values under a checksum; [`data_dir`] is the layout of the directory, its
//! lock, and the identity that it holds; `private` keeps other users of the
//! machine out;
//! `restoring` makes a directory a restored node's;
//! `own_identity` shows the identity to the rest of the node. The content of the other files belongs
//! to the rooms `log` and `state`.

pub mod data_dir;
pub mod files;
#[cfg(test)]
pub(crate) mod memory_files;
pub(crate) mod own_identity;
mod private;
pub(crate) mod restoring;
pub(crate) mod sealed;
#[cfg(test)]
mod tests;
