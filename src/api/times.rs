//! Times in requests and answers: RFC 3339, and no other form.
//!
//! A time is kept in whole milliseconds; what is finer is cut off. The calendar is `jiff`'s; its parser
//! of times takes more forms than RFC 3339 has, and ends some hours before the year 9999 does.

use jiff::{
    SignedDuration,
    civil::{DateTime, date},
};
use notty_storage::Timestamp;

use super::{Code, error::InvalidValue};

/// The point that timestamps are counted from.
const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);
/// The last time that has a text form. Later ones come only from arithmetic, and are shown as this.
const LAST: &str = "9999-12-31T23:59:59.999Z";

/// A time as people read it.
pub(super) fn time_text(at: Timestamp) -> String {
    match calendar(at.as_millis()) {
        Some(time) => format!("{time}Z"),
        None => LAST.to_owned(),
    }
}

/// Parses a time with an offset.
pub(crate) fn parse_time(text: &str) -> Result<Timestamp, InvalidValue> {
    let parsed = Rest(text).instant();
    let millis = parsed.filter(|millis| calendar(*millis).is_some());
    millis.map(Timestamp::from_millis).ok_or_else(|| {
        let detail = format!(
            "a time with its offset is needed (RFC 3339), like 2026-11-23T10:00:00Z, and not after \
             {LAST}"
        );
        InvalidValue::new(Code::InvalidTime, detail)
    })
}

/// Date and time in UTC; `None` outside of the years that RFC 3339 has, 0000 to 9999.
fn calendar(millis: i64) -> Option<DateTime> {
    let time = EPOCH
        .checked_add(SignedDuration::from_millis(millis))
        .ok()?;
    (time.year() >= 0).then_some(time)
}

/// Seconds of a day since its midnight.
struct SecondsOfDay {
    counted: i64,
    /// True for a 61st second of a minute, which is counted as the first one of the next.
    is_leap: bool,
}

/// The part of a time that was not read yet. Each method returns `None` if something else stands there.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    /// Milliseconds since the epoch; the whole text is one time.
    fn instant(mut self) -> Option<i64> {
        let midnight = self.day()?;
        self.either("Tt")?;
        let seconds = self.time_of_day()?;
        let millis = self.fraction()?;
        let offset_seconds = self.offset()?;
        if !self.0.is_empty() {
            return None;
        }

        let local = midnight.duration_since(EPOCH).as_secs() + seconds.counted;
        let in_utc = local - offset_seconds;
        // Leap seconds are inserted at ends of months, by UTC.
        if seconds.is_leap && !begins_a_month(in_utc) {
            return None;
        }
        Some(in_utc * 1_000 + millis)
    }

    /// A date, at its midnight.
    fn day(&mut self) -> Option<DateTime> {
        let year = self.number(4)?;
        self.either("-")?;
        let month = self.number(2)?;
        self.either("-")?;
        let day = self.number(2)?;

        let month = month.try_into().ok()?;
        let day = day.try_into().ok()?;
        DateTime::new(year, month, day, 0, 0, 0, 0).ok()
    }

    /// Hour, minute and second.
    fn time_of_day(&mut self) -> Option<SecondsOfDay> {
        let hour = self.number(2).filter(|hour| *hour < 24)?;
        self.either(":")?;
        let minute = self.number(2).filter(|minute| *minute < 60)?;
        self.either(":")?;
        let second = self.number(2).filter(|second| *second <= 60)?;

        Some(SecondsOfDay {
            counted: i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second),
            is_leap: second == 60,
        })
    }

    /// A fraction of a second in whole milliseconds; 0 if there is none.
    fn fraction(&mut self) -> Option<i64> {
        if self.either(".").is_none() {
            return Some(0);
        }
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (fraction, rest) = self.0.split_at(digits);
        self.0 = rest;

        let millis = format!("{:0<3}", fraction.get(..3).unwrap_or(fraction));
        millis.parse().ok().filter(|_| digits > 0)
    }

    /// The offset from UTC, in seconds.
    fn offset(&mut self) -> Option<i64> {
        if self.either("Zz").is_some() {
            return Some(0);
        }
        let sign = self.either("+-")?;
        let hours = self.number(2).filter(|hours| *hours < 24)?;
        self.either(":")?;
        let minutes = self.number(2).filter(|minutes| *minutes < 60)?;

        let offset = i64::from(hours) * 3_600 + i64::from(minutes) * 60;
        Some(if sign == '-' { -offset } else { offset })
    }

    /// A number of so many digits.
    fn number(&mut self, digits: usize) -> Option<i16> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        // The parser of numbers takes a sign too.
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.0 = rest;
        number.parse().ok()
    }

    /// One of these characters.
    fn either(&mut self, chars: &str) -> Option<char> {
        let found = self.0.chars().next().filter(|char| chars.contains(*char))?;
        self.0 = &self.0[found.len_utf8()..];
        Some(found)
    }
}

/// True for the first second of a month in UTC: leap seconds stand before such seconds only.
fn begins_a_month(seconds: i64) -> bool {
    let time = calendar(seconds.saturating_mul(1_000));
    time.is_some_and(|time| time == time.first_of_month().start_of_day())
}

#[cfg(test)]
mod tests;
