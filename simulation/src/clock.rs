//! The clocks of a simulated node: true time, and a wall clock that may be wrong or jump.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use notty_raft::Clock;
use notty_storage::Timestamp;

/// The time of the simulation. Zero outside of a host: nobody may ask there.
pub fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

/// The clocks of one machine.
#[derive(Debug)]
pub struct NodeClock {
    /// The wall clock when the simulation begins.
    base_ms: i64,
    /// How far the wall clock is off, in milliseconds.
    skew_ms: AtomicI64,
    /// Starts of the machine.
    boots: AtomicU64,
    machine: u64,
}

impl NodeClock {
    /// The clocks of a machine; `base_ms` is the true time when the simulation begins.
    pub fn new(machine: usize, base_ms: i64) -> Arc<Self> {
        let (skew_ms, boots) = (AtomicI64::new(0), AtomicU64::new(0));
        Arc::new(Self {
            base_ms,
            skew_ms,
            boots,
            machine: machine as u64,
        })
    }

    /// From now on the wall clock is off by so much.
    pub fn skew(&self, ms: i64) {
        self.skew_ms.store(ms, Ordering::Relaxed);
    }

    /// The machine starts anew: what is only in its memory is gone.
    pub fn reboot(&self) {
        self.boots.fetch_add(1, Ordering::Relaxed);
    }
}

impl Clock for NodeClock {
    fn wall(&self) -> Timestamp {
        let skew = self.skew_ms.load(Ordering::Relaxed);
        Timestamp::from_millis(self.base_ms + now().as_millis() as i64 + skew)
    }

    fn boot(&self) -> Duration {
        // Machines have been up for a while before anything begins.
        Duration::from_secs(3_600) + now()
    }

    fn boot_id(&self) -> io::Result<u64> {
        Ok(self.machine << 32 | self.boots.load(Ordering::Relaxed))
    }
}
