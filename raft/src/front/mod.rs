//! The front of a node: the peers that it admits, and its answers to their calls.
//!
//! Reading order: `acquaintance` knows the members and the admitted nodes; `answers` admits a peer,
//! decides what it may ask, and answers.

pub(crate) mod acquaintance;
pub(crate) mod answers;
#[cfg(test)]
pub(crate) mod tests;
