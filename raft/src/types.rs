//! The types that openraft is used with, and short names for them.
//!
//! openraft's types are generic over all of these. This file spells them out once, so that no other
//! file has to.

use std::{path::PathBuf, sync::Arc};

use notty_storage::Outcome;
use serde::{Deserialize, Serialize};

openraft::declare_raft_types!(
    /// The types of notty's log: entries of commands, answered by their outcomes.
    pub TypeConfig:
        D = Arc<notty_storage::Entry>,
        R = Vec<Outcome>,
        NodeId = u64,
        Node = Peer,
        SnapshotData = SnapshotFile,
        AsyncRuntime = crate::runtime::Runtime,
);

/// A node as the cluster knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The name that its configuration gives it.
    pub name: String,
    /// Address for its peers; empty on a node by itself.
    pub peer: String,
    /// Address for clients of the API.
    pub api: String,
    /// The id of its disk: a node that comes back with another must be added anew.
    pub disk: String,
}

/// A snapshot on this node's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Path of its file.
    pub path: PathBuf,
    /// Removes the file again, if it was received.
    received: Option<Arc<ReceivedFile>>,
}

/// A received file, removed with the last handle on it. A snapshot that is kept was moved elsewhere
/// before; one whose transfer or installation broke off leaves nothing behind.
#[derive(Debug, PartialEq, Eq)]
struct ReceivedFile(PathBuf);

impl SnapshotFile {
    /// A snapshot that stays on this disk.
    pub(crate) fn kept(path: PathBuf) -> Self {
        Self {
            path,
            received: None,
        }
    }

    /// A snapshot that is being received into a file.
    pub(crate) fn received(path: PathBuf) -> Self {
        Self {
            received: Some(Arc::new(ReceivedFile(path.clone()))),
            path,
        }
    }
}

impl Drop for ReceivedFile {
    fn drop(&mut self) {
        // A file that cannot be removed goes at the next start.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A node's number in the cluster; never given twice.
pub(crate) type NodeId = u64;
/// A position in the log: term and index.
pub(crate) type LogId = openraft::LogId<NodeId>;
/// An entry of the replicated log.
pub(crate) type LogEntry = openraft::Entry<TypeConfig>;
/// A vote that a node has given.
pub(crate) type Vote = openraft::Vote<NodeId>;
/// The members of the cluster and the entry that made them so.
pub(crate) type Membership = openraft::StoredMembership<NodeId, Peer>;
/// Position, membership and name of a snapshot.
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<NodeId, Peer>;
/// A snapshot with its position, membership and name.
pub(crate) type Snapshot = openraft::Snapshot<TypeConfig>;
/// A fault of this node's disk, as openraft passes it on.
pub(crate) type StorageError = openraft::StorageError<NodeId>;
/// The consensus, run by openraft.
pub(crate) type Raft = openraft::Raft<TypeConfig>;
