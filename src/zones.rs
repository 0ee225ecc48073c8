//! Local time: the time zones of the state in which a daily window is open, and the time it closes.
//!
//! Apply knows zones as numbers only. Their clocks are read here, outside of it, because time zone
//! databases differ between machines.

use jiff::{Timestamp as Instant, tz::TimeZone};
use notty_storage::{
    Source, Timestamp,
    model::{SendWindow, ZoneNumber},
    query,
};

/// The most shifts of a clock within one window: real ones have a few a year.
const SHIFTS: usize = 4;

/// The time zones of the state, by number.
pub struct Zones {
    default: TimeZone,
    zones: Vec<TimeZone>,
}

impl Zones {
    /// No zones yet but that of customers without one of their own.
    pub fn new(default: &str) -> Self {
        Self {
            default: time_zone(default).unwrap_or(TimeZone::UTC),
            zones: Vec::new(),
        }
    }

    /// Adds zones that the state has got since the last call.
    pub fn refresh<S: Source>(&mut self, source: &S) {
        if self.zones.len() == query::work::zone_count(source) as usize {
            return;
        }

        let names = query::work::zones(source);
        self.zones = names
            .iter()
            .enumerate()
            .map(|(number, name)| self.named(number, name))
            .collect();
    }

    /// A zone of the state. Number 0 is that of customers without one; a name that this machine does
    /// not know counts as that, too.
    fn named(&self, number: usize, name: &str) -> TimeZone {
        let known = if number == 0 { None } else { time_zone(name) };
        known.unwrap_or_else(|| self.default.clone())
    }

    /// The zones in which a window is open.
    pub fn open(&self, window: &SendWindow, now: Timestamp) -> Vec<ZoneNumber> {
        let known = 0..self.zones.len().max(1) as u16;
        known
            .map(ZoneNumber)
            .filter(|zone| window.contains(self.minute(*zone, now)))
            .collect()
    }

    /// The time at which a window that is open in a zone closes; `None` if it is closed.
    pub fn closes(
        &self,
        window: &SendWindow,
        zone: ZoneNumber,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let mut at = start_of_minute(now);
        let mut left = window.minutes_left(self.minute(zone, at))?;

        // Minutes are counted up to the next shift of the clock, and anew from there.
        for _ in 0..SHIFTS {
            let closes = at.plus_millis(i64::from(left) * 60_000);
            match self.next_shift(zone, at) {
                // From there on the clock shows another time, in the window or outside.
                Some(shift) if shift <= closes => at = shift,
                _ => return Some(closes),
            }
            match window.minutes_left(self.minute(zone, at)) {
                Some(minutes) => left = minutes,
                None => break,
            }
        }
        Some(at)
    }

    fn zone(&self, zone: ZoneNumber) -> &TimeZone {
        self.zones.get(usize::from(zone.0)).unwrap_or(&self.default)
    }

    /// The time of the next shift of a zone's clock.
    fn next_shift(&self, zone: ZoneNumber, at: Timestamp) -> Option<Timestamp> {
        let from = Instant::from_millisecond(at.as_millis()).ok()?;
        let shift = self.zone(zone).following(from).next()?;
        Some(Timestamp::from_millis(shift.timestamp().as_millisecond()))
    }

    /// Minutes since midnight in a zone.
    fn minute(&self, zone: ZoneNumber, now: Timestamp) -> u16 {
        let instant = Instant::from_millisecond(now.as_millis()).unwrap_or(Instant::UNIX_EPOCH);
        let offset = self.zone(zone).to_offset(instant).seconds();
        let seconds = (instant.as_second() + i64::from(offset)).rem_euclid(86_400);
        (seconds / 60) as u16
    }
}

fn start_of_minute(at: Timestamp) -> Timestamp {
    let ms = at.as_millis();
    Timestamp::from_millis(ms - ms.rem_euclid(60_000))
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
        zones.zones = vec![
            TimeZone::get("Europe/Moscow").expect("known"),
            TimeZone::UTC,
        ];
        let window = SendWindow::parse("09:00", "21:00").expect("valid");
        // 07:30 UTC is 10:30 in Moscow.
        let now = Timestamp::from_millis(1_700_000_000_000 / 86_400_000 * 86_400_000 + 27_000_000);
        assert_eq!(zones.open(&window, now), [ZoneNumber(0)]);
        let closes = zones.closes(&window, ZoneNumber(0), now).expect("open");
        assert_eq!(closes.since(now), (10 * 60 + 30) * 60_000);
        assert_eq!(zones.closes(&window, ZoneNumber(1), now), None);
    }

    /// The same by walking minute by minute, as people look at a clock.
    fn walk(zones: &Zones, window: &SendWindow, now: Timestamp) -> Option<Timestamp> {
        let at = |minute: i64| now.plus_millis(minute * 60_000);
        let open = |minute| window.contains(zones.minute(ZoneNumber(0), at(minute)));
        let end = (0..)
            .find(|minute| !open(*minute))
            .expect("every window ends");
        (end > 0).then(|| at(end))
    }

    #[test]
    fn a_window_closes_by_the_local_clock_also_when_that_is_shifted() {
        // Shifts in spring and autumn; Lord Howe's by half an hour, Apia's by a whole day.
        let places = [
            ("Europe/Berlin", "2026-03-28T12:00:00Z"),
            ("Europe/Berlin", "2026-10-24T12:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-04T03:00:00Z"),
            ("Australia/Lord_Howe", "2026-10-03T03:00:00Z"),
            ("Pacific/Apia", "2011-12-29T22:00:00Z"),
        ];
        let windows = [
            ("09:00", "21:00"),
            ("22:00", "02:30"),
            ("22:00", "03:00"),
            ("22:00", "02:00"),
            ("02:00", "02:30"),
            ("02:30", "03:30"),
            ("01:59", "01:58"),
            ("00:00", "23:59"),
        ];
        for (zone, from) in places {
            let zones = Zones::new(zone);
            let from = from.parse::<Instant>().expect("a time").as_millisecond();
            for (start, end) in windows {
                let window = SendWindow::parse(start, end).expect("valid");
                for minute in (0..36 * 60).step_by(7) {
                    let now = Timestamp::from_millis(from + minute * 60_000);
                    let closes = zones.closes(&window, ZoneNumber(0), now);
                    let walked = walk(&zones, &window, now);
                    assert_eq!(closes, walked, "{zone} {start} to {end} {minute} min after");
                }
            }
        }
    }
}
