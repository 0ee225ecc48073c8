//! Tests of the state machine and the snapshots, over real files.

mod installs;
mod snapshots;
mod suite;
