//! Time zones as numbers, and the daily window in which a mailing may send.

use serde::{Deserialize, Serialize};

use super::Invalid;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// A time zone's number in the state's dictionary; 0 means the customer has none.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ZoneNumber(pub u16);

/// An IANA time zone name. Whether the zone exists is checked by the service, which has the
/// time-zone database; the state only keeps the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ZoneName(String);

impl ZoneName {
    /// Bounded ASCII in the form of an IANA name; `invalid_timezone` otherwise.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let fits = !text.is_empty() && text.len() <= 64;
        let form = |b: u8| b.is_ascii_alphanumeric() || b"/_+-".contains(&b);
        if fits && text.bytes().all(form) {
            return Ok(Self(text.to_owned()));
        }
        let detail = "a time zone is an IANA name, like Europe/Moscow";
        Err(Invalid::new("invalid_timezone", detail))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The part of the day in which a mailing may send, in the customer's local time: `from`
/// inclusive, `to` exclusive, and across midnight where `to` comes before `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendWindow {
    from_minute: u16,
    to_minute: u16,
}

impl SendWindow {
    /// Two times of the day as `HH:MM`, not equal; `invalid_send_window` otherwise.
    pub fn parse(from: &str, to: &str) -> Result<Self, Invalid> {
        let detail = "a send window is two different times of the day, like 09:00 and 21:00";
        let invalid = || Invalid::new("invalid_send_window", detail);
        let from_minute = minute(from).ok_or_else(invalid)?;
        let to_minute = minute(to).ok_or_else(invalid)?;
        if from_minute == to_minute {
            return Err(invalid());
        }
        Ok(Self {
            from_minute,
            to_minute,
        })
    }

    /// Whether a minute of the day (0 to 1,439) lies inside.
    pub fn contains(&self, minute: u16) -> bool {
        if self.from_minute < self.to_minute {
            (self.from_minute..self.to_minute).contains(&minute)
        } else {
            minute >= self.from_minute || minute < self.to_minute
        }
    }

    /// Minutes of an even clock from a minute of the day until the window ends; none outside.
    pub fn minutes_left(&self, minute: u16) -> Option<u16> {
        self.contains(minute)
            .then(|| (self.to_minute + DAY - minute) % DAY)
    }

    /// The first minute inside, as `HH:MM`.
    pub fn from(&self) -> String {
        format!("{:02}:{:02}", self.from_minute / 60, self.from_minute % 60)
    }

    /// The first minute after, as `HH:MM`.
    pub fn to(&self) -> String {
        format!("{:02}:{:02}", self.to_minute / 60, self.to_minute % 60)
    }
}

fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_includes_its_start_and_not_its_end() {
        let day = SendWindow::parse("09:00", "21:00").expect("valid");
        assert!(day.contains(9 * 60) && day.contains(21 * 60 - 1));
        assert!(!day.contains(21 * 60) && !day.contains(9 * 60 - 1));
    }

    #[test]
    fn a_window_may_cross_midnight() {
        let night = SendWindow::parse("22:00", "06:00").expect("valid");
        assert!(night.contains(23 * 60) && night.contains(0) && !night.contains(6 * 60));
        assert_eq!(
            (night.from(), night.to()),
            ("22:00".to_owned(), "06:00".to_owned())
        );
        let left = [22 * 60, 0, 6 * 60 - 1, 6 * 60].map(|minute| night.minutes_left(minute));
        assert_eq!(left, [Some(8 * 60), Some(6 * 60), Some(1), None]);
    }

    #[test]
    fn a_window_that_makes_no_sense_is_refused() {
        for (from, to) in [
            ("9:00", "21:00"),
            ("09:00", "24:00"),
            ("09:00", "09:00"),
            ("", "1"),
        ] {
            assert!(SendWindow::parse(from, to).is_err(), "{from} {to}");
        }
    }
}
