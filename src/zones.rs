//! Local time: which of the state's time zones are in a daily window, and until when.
//!
//! Apply knows zones as numbers only; their clocks are read here, outside of it.

use jiff::{Timestamp as Instant, tz::TimeZone};
use notty_storage::{
    Source, Timestamp,
    model::{SendWindow, ZoneNumber},
    query,
};

/// Minutes looked ahead for a window's end: a day and the longest shift of a clock.
const MINUTES_AHEAD: u16 = 24 * 60 + 180;

/// The time zones of the state, by number.
pub struct Zones {
    default: TimeZone,
    zones: Vec<TimeZone>,
}

impl Zones {
    /// With the time zone of customers without one.
    pub fn new(default: &str) -> Self {
        Self { default: time_zone(default).unwrap_or(TimeZone::UTC), zones: Vec::new() }
    }

    /// Learns of zones that came since it was last asked.
    pub fn refresh<S: Source>(&mut self, source: &S) {
        if self.zones.len() == query::work::zone_count(source) as usize {
            return;
        }
        let names = query::work::zones(source);
        let zone = |(number, name): (usize, &String)| match number {
            0 => self.default.clone(),
            _ => time_zone(name).unwrap_or_else(|| self.default.clone()),
        };
        self.zones = names.iter().enumerate().map(zone).collect();
    }

    /// The zones in which a window is open.
    pub fn open(&self, window: &SendWindow, now: Timestamp) -> Vec<ZoneNumber> {
        let known = 0..self.zones.len().max(1) as u16;
        known.map(ZoneNumber).filter(|zone| window.contains(self.minute(*zone, now))).collect()
    }

    /// When a window that is open in a zone closes; none if it is closed.
    pub fn closes(
        &self,
        window: &SendWindow,
        zone: ZoneNumber,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let minute_start = now.as_millis() - now.as_millis().rem_euclid(60_000);
        let at = |minute: u16| Timestamp::from_millis(minute_start + i64::from(minute) * 60_000);
        if !window.contains(self.minute(zone, now)) {
            return None;
        }
        let closed = (1..MINUTES_AHEAD).find(|n| !window.contains(self.minute(zone, at(*n))));
        Some(at(closed.unwrap_or(MINUTES_AHEAD)))
    }

    /// Minutes since midnight in a zone.
    fn minute(&self, zone: ZoneNumber, now: Timestamp) -> u16 {
        let zone = self.zones.get(usize::from(zone.0)).unwrap_or(&self.default);
        let now = Instant::from_millisecond(now.as_millis()).unwrap_or(Instant::UNIX_EPOCH);
        let offset = zone.to_offset(now).seconds();
        let seconds = (now.as_second() + i64::from(offset)).rem_euclid(86_400);
        (seconds / 60) as u16
    }
}

fn time_zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_closes_when_the_local_clock_says_so() {
        let mut zones = Zones::new("Europe/Moscow");
        zones.zones = vec![TimeZone::get("Europe/Moscow").expect("known"), TimeZone::UTC];
        let window = SendWindow::parse("09:00", "21:00").expect("valid");
        // 07:30 UTC is 10:30 in Moscow.
        let now = Timestamp::from_millis(1_700_000_000_000 / 86_400_000 * 86_400_000 + 27_000_000);
        assert_eq!(zones.open(&window, now), [ZoneNumber(0)]);
        let closes = zones.closes(&window, ZoneNumber(0), now).expect("open");
        assert_eq!(closes.since(now), (10 * 60 + 30) * 60_000);
        assert_eq!(zones.closes(&window, ZoneNumber(1), now), None);
    }
}
