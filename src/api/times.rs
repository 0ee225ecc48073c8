//! Times in requests and answers: RFC 3339.

use std::str::FromStr;

use notty_storage::Timestamp;

use super::{Code, error::InvalidValue};

/// The last time that has a text form. Later ones come only from arithmetic, and are shown as this.
const LAST: &str = "9999-12-30T22:00:00Z";

/// A time as people read it.
pub(super) fn time_text(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.as_millis()) {
        Ok(time) => time.to_string(),
        Err(_) => LAST.to_owned(),
    }
}

/// Parses a time with an offset.
pub(super) fn parse_time(text: &str) -> Result<Timestamp, InvalidValue> {
    let parsed = jiff::Timestamp::from_str(text);
    let time = parsed.map_err(|_| {
        let detail = format!(
            "a time with its offset is needed (RFC 3339), like 2026-11-23T10:00:00Z, and not after \
             {LAST}"
        );
        InvalidValue::new(Code::InvalidTime, detail)
    })?;
    Ok(Timestamp::from_millis(time.as_millisecond()))
}
