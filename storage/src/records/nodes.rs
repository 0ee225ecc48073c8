//! The nodes of the cluster as far as the state must remember them: numbers given, disks let go.

use serde::{Deserialize, Serialize};

/// Numbers given to nodes, and who they were given to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nodes {
    /// The highest number given; the next node gets the one after it.
    pub last: u64,
    /// Who was admitted or dismissed, the oldest first.
    pub nodes: Vec<NodeRecord>,
}

/// A node that was admitted or dismissed. The first nodes of a cluster have no record until they
/// are dismissed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its number, never given to another.
    pub node: u64,
    /// Its name; a later node may have the same.
    pub name: String,
    /// Its disk, by which it is known for good.
    pub disk: String,
    /// Whether it was dismissed; that is never taken back.
    pub dismissed: bool,
}

impl Nodes {
    /// The record of a disk.
    pub fn of_disk(&self, disk: &str) -> Option<&NodeRecord> {
        self.nodes.iter().find(|record| record.disk == disk)
    }

    /// Whether a disk was dismissed.
    pub fn is_dismissed(&self, disk: &str) -> bool {
        self.of_disk(disk).is_some_and(|record| record.dismissed)
    }
}
