//! Tests of a node within its cluster.

mod standing;
