//! What lives in the simulated world: machines with nodes and postmen, the gateway, clients, and an
//! operator.

pub mod client;
pub mod gateway;
pub mod http;
mod machine;
pub mod node;
pub mod operator;
pub mod postman;
mod receipts;

pub use machine::{Death, Machine};
