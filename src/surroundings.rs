//! What the process takes from outside: clocks, connections to the gateway, and how it ends. Real
//! ones here; a simulation brings its own.

use std::sync::Arc;

use notty_raft::{Clock, Fatal, SystemClock, TcpTransport, Transport};

use crate::gateway::{Connector, TcpConnector};

/// What a server needs from outside.
#[derive(Clone)]
pub struct Surroundings {
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Streams between nodes.
    pub transport: Arc<dyn Transport>,
    /// Connections to the gateway.
    pub connector: Arc<dyn Connector>,
    /// Ends the process with a line.
    pub fatal: Fatal,
}

impl Surroundings {
    /// Those of this machine.
    pub fn real() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            transport: Arc::new(TcpTransport),
            connector: Arc::new(TcpConnector),
            fatal: Arc::new(|line| {
                tracing::error!("{line}");
                tracing::error!("the node ends: what it acknowledged is on the disk");
                std::process::exit(1);
            }),
        }
    }
}
