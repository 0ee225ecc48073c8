//! The pause that an answer asks for, as `Retry-After` has it: in seconds, or as a date.

use std::time::Duration;

use http::HeaderValue;

/// Reads the value of a header; `None` if it is neither a number nor a date.
pub(in crate::gateway) fn pause_of(value: &HeaderValue) -> Option<Duration> {
    let value = value.to_str().ok()?.trim();
    if is_number(value) {
        return Some(of_seconds(value));
    }
    until_date(value)
}

/// True for digits alone: a sign is no part of a number in a header.
fn is_number(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit())
}

fn of_seconds(number: &str) -> Duration {
    // A number that does not fit is a very long time, and no wish to be ignored.
    let seconds = number.parse().unwrap_or(u32::MAX);
    Duration::from_secs(seconds.into())
}

/// The time from now to a date; zero if it is over.
fn until_date(value: &str) -> Option<Duration> {
    let date = jiff::fmt::rfc2822::parse(value).ok()?;
    let wait = date.timestamp().duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or_default())
}
