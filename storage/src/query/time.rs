//! The time of the state: what the last entry carried, and how people set it.

use crate::{error::Error, keys::MetaKey, model::Timestamp, records::TimeSetting, source::Source};

/// The time of the entry applied last; the beginning of time where there was none.
pub fn at<S: Source>(source: &S) -> Result<Timestamp, Error> {
    Ok(source.get_or_default(&MetaKey)?.at)
}

/// How people set the time.
pub fn setting<S: Source>(source: &S) -> Result<TimeSetting, Error> {
    Ok(source.get_or_default(&MetaKey)?.set)
}
