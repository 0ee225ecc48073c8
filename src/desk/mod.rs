//! Desks, where postmen ask: a node's own, and the one at which a postman by itself reaches a cluster.
//!
//! [`node`] turns calls into commands and reads, and answers those that come from elsewhere;
//! [`remote`] makes calls of nodes; [`calls`] is what goes over the wire between the two. Both are a
//! [`Desk`](crate::postman::desk::Desk): a postman does not know which of them it has.

mod calls;
mod node;
mod remote;
#[cfg(test)]
mod tests;

pub use node::NodeDesk;
pub use remote::{RemoteDesk, RemoteDeskOptions};
