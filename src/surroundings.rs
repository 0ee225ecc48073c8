//! Everything that the process takes from outside: clocks, connections, files, threads, and its end.
//!
//! The real ones are made here; a simulation brings its own.

use std::sync::Arc;

use notty_raft::{
    Clock, Fatal, Onlooker, SystemClock, TcpTransport, Transport,
    disk::files::{Files, RealFiles},
    log::LogOptions,
};
use notty_storage::{
    StoreOptions,
    level::{FIRST_LEVEL, LEVEL},
};

use crate::{
    api::CONNECTIONS,
    gateway::{Connector, TcpConnector},
    telemetry,
};

/// The things that a server needs from outside.
#[derive(Clone)]
pub struct Surroundings {
    /// Clocks of the machine.
    pub clock: Arc<dyn Clock>,
    /// Streams between nodes, and those of the API's clients.
    pub transport: Arc<dyn Transport>,
    /// Connections to the gateway.
    pub connector: Arc<dyn Connector>,
    /// The files of the log.
    pub files: Arc<dyn Files>,
    /// Options of the log; `None` means those of the configuration.
    pub log: Option<LogOptions>,
    /// Options of the state's store.
    pub store: StoreOptions,
    /// True if a leader proposes commands of the second level all the time, for tests and simulations.
    pub exercises_levels: bool,
    /// Number of threads for sending; 0 means that sending has none of its own.
    pub sender_threads: usize,
    /// The most connections to the API at the same time.
    pub connections: usize,
    /// Observer of what the node does, for a simulation.
    pub onlooker: Option<Arc<dyn Onlooker>>,
    /// Ends the process, with a last line in the log.
    pub fatal: Fatal,
}

/// The level that this process is told to understand: tests have one binary play an older one.
fn test_level() -> Option<u32> {
    let level = std::env::var("NOTTY_TEST_LEVEL").ok()?;
    let level = level.parse().ok()?;
    (FIRST_LEVEL..=LEVEL).contains(&level).then_some(level)
}

impl Surroundings {
    /// The real surroundings, of this machine.
    pub fn real() -> Self {
        let test_level = test_level();
        Self {
            clock: Arc::new(SystemClock),
            transport: Arc::new(TcpTransport),
            connector: Arc::new(TcpConnector::default()),
            files: Arc::new(RealFiles),
            log: None,
            store: StoreOptions {
                level: test_level.unwrap_or(LEVEL),
                ..StoreOptions::default()
            },
            exercises_levels: test_level.is_some(),
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
