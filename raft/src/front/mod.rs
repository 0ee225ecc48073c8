//! The front of a node: the peers that it admits, and its answers to their calls.
//!
//! The front is there before the node belongs to a cluster: then it answers who it is, and takes an
//! invitation. Once raft runs, everything else goes to the node, through `responder::Responder`.
//!
//! Reading order: `acquaintance` knows the members and the admitted nodes; `admission` decides who a
//! peer is, which calls it may make, and whose votes count; `answers` gives each call its answer;
//! `invitations` and `received` take in what arrives with two of the calls; `service` is the seam
//! to the program above.

pub(crate) mod acquaintance;
pub(crate) mod admission;
pub(crate) mod answers;
pub(crate) mod invitations;
mod received;
pub(crate) mod responder;
pub(crate) mod service;
#[cfg(test)]
pub(crate) mod tests;
