//! The gateway never gets a message again that it may have taken, unless it denied that: what it says by
//! receipts is the matter of another invariant. Where it drops repeats, and the
//! service knows, it may get them, and takes none twice. And no phone gets two messages of a mailing,
//! however many customers share it, and whoever gives it to whom while the mailing lasts.

use std::{collections::BTreeMap, time::Duration};

use super::{Facts, Invariant, Judgement, ensure};
use crate::event::Event;

/// See above.
pub(super) struct GatewayGetsOnce {
    pub(super) idempotent: bool,
    /// Which message of a mailing goes to which phone.
    pub(super) takers: BTreeMap<(u64, u64), u64>,
}

impl Invariant for GatewayGetsOnce {
    fn name(&self) -> &'static str {
        "gateway_gets_once"
    }

    fn judge(&mut self, event: &Event<'_>, facts: &Facts, _now: Duration) -> Judgement {
        let Event::Received { id, .. } = event else {
            return Ok(());
        };
        let phone = facts.messages[id].phone;
        let other = *self.takers.entry((id >> 32, phone)).or_insert(*id);
        ensure(other == *id, || {
            format!("phone {phone} gets message {id}, and got message {other} of the same mailing")
        })?;
        let Some((_, before)) = facts.messages[id].received.split_last() else {
            return Ok(());
        };
        let taken = facts.messages[id]
            .received
            .iter()
            .filter(|receipt| receipt.is_owned())
            .count();
        ensure(taken <= 1, || {
            format!("the gateway took message {id} {taken} times")
        })?;
        // What it refused itself may be tried again: it says that it did not take it.
        let refused =
            |status: u16| !(200..300).contains(&status) && ![400, 502, 504].contains(&status);
        let all_refused = before
            .iter()
            .all(|receipt| receipt.answered.is_some_and(refused));
        ensure(self.idempotent || all_refused, || {
            format!("the gateway got message {id} again, after {before:?}")
        })
    }
}
