//! What the state remembers of the cluster's nodes.

use crate::{error::Error, keys::NodesKey, records::Nodes, source::Source};

/// Numbers given to nodes, and disks that were dismissed.
pub fn nodes<S: Source>(source: &S) -> Result<Nodes, Error> {
    source.get_or_default(&NodesKey)
}
