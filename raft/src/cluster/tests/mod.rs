//! Tests of how the members of a cluster change.

mod taken_in;
