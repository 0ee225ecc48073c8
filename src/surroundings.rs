//! What the process takes from outside: clocks, connections, files, threads, and how it ends. Real
//! ones here; a simulation brings its own.

use std::sync::Arc;

use notty_raft::{
    Clock, Fatal, Onlooker, SystemClock, TcpTransport, Transport,
    disk::files::{Files, RealFiles},
    log::LogOptions,
};
use notty_storage::StoreOptions;

use crate::{
    api::CONNECTIONS,
    gateway::{Connector, TcpConnector},
    telemetry,
};

/// What a server needs from outside.
#[derive(Clone)]
pub struct Surroundings {
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Streams between nodes, and those of the API's clients.
    pub transport: Arc<dyn Transport>,
    /// Connections to the gateway.
    pub connector: Arc<dyn Connector>,
    /// The files that the log lies in.
    pub files: Arc<dyn Files>,
    /// How the log is kept; none: as it is configured.
    pub log: Option<LogOptions>,
    /// How the state is kept.
    pub store: StoreOptions,
    /// Threads that send; 0: none of their own.
    pub sender_threads: usize,
    /// Connections to the API at once, at most.
    pub connections: usize,
    /// Who looks on, if anybody does.
    pub onlooker: Option<Arc<dyn Onlooker>>,
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
            files: Arc::new(RealFiles),
            log: None,
            store: StoreOptions::default(),
            sender_threads: std::thread::available_parallelism().map_or(1, usize::from),
            connections: CONNECTIONS,
            onlooker: None,
            fatal: Arc::new(|line| {
                telemetry::end_process(&[
                    line,
                    "the node ends: what it acknowledged is on the disk",
                ])
            }),
        }
    }
}
