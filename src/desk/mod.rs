//! Desks, where postmen ask: a node's own, and the one at which a standalone postman reaches a cluster.
//!
//! [`node`] turns calls into commands and reads, [`service`] answers those that come from elsewhere,
//! and [`waiting`] holds a call until there is something to send. [`remote`] makes calls of nodes;
//! [`calls`] is what goes over the wire between the two, and [`contact`] what the log says of it.
//! [`presence`] and [`roll`] know which standalone
//! postmen there are. Both desks are a
//! [`Desk`](crate::postman::desk::Desk): a postman does not know which of them it has.

mod calls;
mod contact;
mod node;
mod presence;
mod remote;
mod roll;
mod service;
#[cfg(test)]
mod tests;
mod waiting;

pub use node::NodeDesk;
pub use presence::PostmanSight;
pub use remote::{RemoteDesk, RemoteDeskOptions};
pub use roll::follow as follow_postmen;
