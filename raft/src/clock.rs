//! The clocks, as a seam: the only way a reading of time enters a command or a postman's checks.

use std::{
    fs, io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use notty_storage::Timestamp;

/// What the time is.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, UTC; may jump.
    fn wall(&self) -> Timestamp;
    /// Time since the machine started, sleep included; never goes back.
    fn boot(&self) -> Duration;
    /// Which start of which machine this is: another after each.
    fn boot_id(&self) -> io::Result<u64> {
        let id = fs::read("/proc/sys/kernel/random/boot_id")?;
        Ok(notty_storage::codec::hash(&id))
    }
}

/// The clocks of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(since.as_millis() as i64)
    }

    fn boot(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
    }
}
