//! Setting the time, after clocks that were wrong.
//!
//! The time goes back or forward in one entry. Nothing else has to change: ages and pauses are
//! measured in the steady time, which stays as it is. So a lease neither runs out by this nor lasts for
//! ever, a retry stays due after its pause, and a kept reply is kept as long as before. Only how much
//! time has really passed is not known: what a gateway got before is not repeated there any more
//! ([`crate::records::TimeSetting::came_after`]).

use super::ruled::Ruled;
use crate::{
    changes::Changes,
    command::{Rejection, SetTime},
    model::Timestamp,
};

/// The last millisecond that the time may be set to: the end of the year 9999.
const LAST: Timestamp = Timestamp::from_millis(253_402_300_799_999);

/// Sets the time to one within bounds.
pub(super) fn set(changes: &mut Changes<'_>, set: &SetTime) -> Ruled<()> {
    let to = set.to;
    if to <= Timestamp::default() || to > LAST {
        let what = "the time is set to one after 1970 and before 10000".to_owned();
        return Err(Rejection::OutOfBounds { what }.into());
    }
    changes.set_time(to);
    Ok(())
}
