//! No entry is later than the true time, beyond what a clock may be ahead that its own machine believes:
//! whatever clocks jump to for some seconds, nothing starts, ends or expires by it.
//!
//! Mailings end, and with them their messages expire, by the time of an entry alone.

use std::time::Duration;

use notty_storage::query;

use super::{Facts, Invariant, Judgement, ensure};
use crate::{event::Event, plan::Plan};

/// See above.
pub(super) struct TimeIsTheTrueTime {
    base_ms: i64,
    /// How far ahead a clock may be that is believed.
    ahead_ms: i64,
}

impl TimeIsTheTrueTime {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            base_ms: plan.base_ms,
            ahead_ms: plan.believed_ahead_ms(),
        }
    }
}

impl Invariant for TimeIsTheTrueTime {
    fn name(&self) -> &'static str {
        "time_is_the_true_time"
    }

    fn judge(&mut self, event: &Event<'_>, _facts: &Facts, now: Duration) -> Judgement {
        let Event::Applied { applied, .. } = event else {
            return Ok(());
        };
        let at = query::time::at(&applied.view.read()).map_err(|error| error.to_string())?;
        let ahead = at.as_millis() - (self.base_ms + now.as_millis() as i64);
        ensure(ahead <= self.ahead_ms, || {
            format!(
                "entry {} is {ahead} ms ahead of the true time",
                applied.index
            )
        })
    }
}
