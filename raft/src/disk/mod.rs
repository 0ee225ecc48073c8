//! The disk of a node, below log and state: the seam for files, and the data directory.
//!
//! Reading order: [`files`] is the seam that a simulation replaces, so that unsynced bytes get lost;
//! [`data_dir`] is the layout of the directory, its lock, and the identity that it holds;
//! `own_identity` shows that identity to the rest of the node. The content of the other files belongs
//! to the rooms `log` and `state`.

pub mod data_dir;
pub mod files;
pub(crate) mod own_identity;
