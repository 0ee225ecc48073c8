//! Tests of what a peer may ask.

pub(crate) mod intruders;
mod levels;
