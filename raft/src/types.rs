//! The types that openraft is used with: the only file that spells them out.

use std::{path::PathBuf, sync::Arc};

use notty_storage::Outcome;
use serde::{Deserialize, Serialize};

openraft::declare_raft_types!(
    /// The content of agreement: entries of commands, answered by their outcomes.
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
    /// Its name, which is unique in the cluster.
    pub name: String,
    /// The address for peers; empty on a node by itself.
    pub peer: String,
    /// The address for clients.
    pub api: String,
    /// Its disk: a node that comes back with another must be added anew.
    pub disk: String,
}

/// A snapshot on this node's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Path of the file that holds it.
    pub path: PathBuf,
    /// Removes it again, if it was received.
    received: Option<Arc<Received>>,
}

/// A file that was received. Unless it is kept, which moves it, nothing stays of it: whoever breaks
/// off, it goes with the last who has it in hand.
#[derive(Debug, PartialEq, Eq)]
struct Received(PathBuf);

impl SnapshotFile {
    /// One that is kept.
    pub(crate) fn kept(path: PathBuf) -> Self {
        Self {
            path,
            received: None,
        }
    }

    /// One that is received into a file.
    pub(crate) fn received(path: PathBuf) -> Self {
        let received = Some(Arc::new(Received(path.clone())));
        Self { path, received }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        // What stays all the same goes at the next start.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A node's number in the cluster; never given twice.
pub(crate) type NodeId = u64;
/// A position in the log.
pub(crate) type LogId = openraft::LogId<NodeId>;
/// One entry, as the log holds it.
pub(crate) type LogEntry = openraft::Entry<TypeConfig>;
/// A vote in an election of a term.
pub(crate) type Vote = openraft::Vote<NodeId>;
/// The members of the cluster and the entry that made them so.
pub(crate) type Membership = openraft::StoredMembership<NodeId, Peer>;
/// The position and the members that a snapshot stands for.
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<NodeId, Peer>;
/// A snapshot and what it stands for.
pub(crate) type Snapshot = openraft::Snapshot<TypeConfig>;
/// A fault of this node's disk, as openraft passes it on.
pub(crate) type StorageError = openraft::StorageError<NodeId>;
/// The consensus, as openraft runs it.
pub(crate) type Raft = openraft::Raft<TypeConfig>;
