//! What lives in the simulated world: machines with nodes, the gateway, clients.

pub mod client;
pub mod gateway;
pub mod http;
mod machine;
pub mod node;

pub use machine::{Death, Machine};
