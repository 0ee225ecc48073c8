//! Nothing is begun before its mailing's start, after its end, or outside its daily window, beyond
//! what clocks may be apart before somebody notices.

use std::time::Duration;

use notty_storage::Timestamp;

use super::{Facts, Invariant, Judgement, ensure};
use crate::{event::Event, plan::Plan};

/// How far the clocks of leader and postman may be apart, and a look take, in milliseconds.
const APART_MS: i64 = 2_000;
/// How old what a postman knows of an end may be, in milliseconds.
const VIEW_MS: i64 = 1_000;

/// See above.
pub(super) struct NoSendOutsideWindow {
    base_ms: i64,
    /// What clocks may be off without anybody noticing; none: they all are right.
    apart_ms: i64,
}

impl NoSendOutsideWindow {
    pub(super) fn new(plan: &Plan) -> Self {
        // A jump is noticed by a look within a quarter of a second or so; what it sees may be that old.
        let apart = plan.clocks_apart_ms();
        let unnoticed = if apart == 0 {
            0
        } else {
            apart.min(2 * APART_MS)
        };
        Self {
            base_ms: plan.base_ms,
            apart_ms: unnoticed,
        }
    }
}

impl Invariant for NoSendOutsideWindow {
    fn name(&self) -> &'static str {
        "no_send_outside_window"
    }

    fn judge(&mut self, event: &Event<'_>, facts: &Facts, now: Duration) -> Judgement {
        let Event::Begun { id, .. } = event else {
            return Ok(());
        };
        let Some(mailing) = facts.mailing_of(*id) else {
            return Err(format!("message {id} belongs to no mailing"));
        };
        let at = self.base_ms + now.as_millis() as i64;
        let early = mailing.start.as_millis() - at;
        ensure(early <= self.apart_ms, || {
            format!("message {id} was begun {early} ms too early")
        })?;
        // An end that was moved is known after a while.
        let known = mailing
            .ended_before
            .filter(|(moved, _)| now.saturating_sub(*moved).as_millis() as i64 <= VIEW_MS);
        let end = known.map_or(mailing.end, |(_, before)| before.max(mailing.end));
        let late = at - end.as_millis();
        ensure(late < self.apart_ms.max(1), || {
            format!("message {id} was begun {late} ms after its mailing's end")
        })?;
        let Some(window) = &mailing.window else {
            return Ok(());
        };
        // All customers of the simulation live by UTC.
        let open = |at: i64| {
            let minute = Timestamp::from_millis(at)
                .as_millis()
                .rem_euclid(86_400_000)
                / 60_000;
            window.contains(minute as u16)
        };
        let near = open(at) || open(at - self.apart_ms) || open(at + self.apart_ms);
        ensure(near, || {
            format!("message {id} was begun outside its window")
        })
    }
}
