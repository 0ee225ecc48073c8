//! The clocks, as a seam: the only way a reading of time enters a command or a postman's checks.
//!
//! A simulation has clocks of its own behind it. A reading is not judged here.

use std::{
    fs, io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use notty_storage::Timestamp;
use rtime_clock::adjtime;

/// `STA_UNSYNC` of adjtimex(2): set at boot, by anything that sets the clock, and when no NTP daemon
/// has been heard of for hours.
const UNSYNCHRONISED: i32 = 0x40;

/// The clocks of one machine.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, UTC; may jump.
    fn wall(&self) -> Timestamp;
    /// Time since the machine started, sleep included; never goes back.
    fn boot(&self) -> Duration;
    /// The kernel's own time, as long as it reports that NTP keeps its clock right.
    fn disciplined(&self) -> Option<Timestamp> {
        None
    }
    /// The start of the machine, as a number that is another after each start.
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
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(since.as_millis() as i64)
    }

    fn boot(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
    }

    fn disciplined(&self) -> Option<Timestamp> {
        // Without any mode the call only reads.
        let mut timex = adjtime::Timex::new();
        adjtime::adjtimex(&mut timex).ok()?;

        let synchronised = timex.0.status & UNSYNCHRONISED == 0;
        synchronised.then(|| Timestamp::from_millis(timex.0.time.tv_sec.saturating_mul(1_000)))
    }
}
