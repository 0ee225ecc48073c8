//! A request starts only under a token that was committed first, by the postman that it was granted
//! to, and each token starts one request.

use std::time::Duration;

use super::{Facts, Invariant, Judgement, ensure};
use crate::event::Event;

/// See above.
pub(super) struct NoSendWithoutLease {
    /// What each machine's postman is called.
    pub(super) postmen: Vec<String>,
}

impl Invariant for NoSendWithoutLease {
    fn name(&self) -> &'static str {
        "no_send_without_lease"
    }

    fn judge(&mut self, event: &Event<'_>, facts: &Facts, _now: Duration) -> Judgement {
        let Event::Begun { machine, id, .. } = event else {
            return Ok(());
        };
        let message = &facts.messages[id];
        let (begun, granted) = (message.begun.len(), message.grants.len());
        ensure(begun <= granted, || {
            format!("message {id} was begun {begun} times under {granted} grants")
        })?;
        let epoch = message
            .grants
            .last()
            .map(|grant| grant.lease.epoch)
            .unwrap_or_default();
        let holder = facts.postmen.get(&epoch).map_or("nobody", |(name, _)| name);
        ensure(holder == self.postmen[*machine], || {
            format!("message {id} was begun by node {machine}, but is leased to {holder}")
        })
    }
}
