//! The level at which the cluster stands.

use crate::{error::Error, keys::ClusterLevelKey, records::ClusterLevel, source::Source};

/// The level that the members have agreed on.
pub fn cluster_level(source: &impl Source) -> Result<ClusterLevel, Error> {
    source.get_or_default(&ClusterLevelKey)
}
