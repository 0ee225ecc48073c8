//! Gateways: which one may get a message again that is in doubt.
//!
//! That is decided when the message would be repeated, by what the postman that asks has declared when
//! it started: the same gateway and account must have it in doubt, take repeats now, and still remember
//! the id. What was true when the doubt arose says nothing of that: the configuration may have changed.

use super::{postmen::why_unknown, ruled::Ruled};
use crate::{
    changes::Changes,
    command::{DeclareGateway, Grant},
    keys::PostmenKey,
    model::Timestamp,
    records::{DeclaredGateway, Doubt, Postman, TimeSetting},
    rules,
    source::Source,
};

/// A postman says where it sends. The same again changes nothing.
pub(super) fn declare(changes: &mut Changes<'_>, declare: &DeclareGateway) -> Ruled<()> {
    let DeclareGateway {
        postman: by,
        gateway,
        repeat_ms,
    } = *declare;
    let mut postmen = changes.get_or_default(&PostmenKey)?;
    let Some(postman) = postmen
        .postmen
        .iter_mut()
        .find(|postman| postman.epoch == by)
    else {
        return Err(why_unknown(changes, &postmen.postmen, by)?.into());
    };
    postman.gateway = Some(DeclaredGateway {
        by,
        gateway,
        repeat_ms,
    });
    changes.put(&PostmenKey, &postmen);
    Ok(())
}

/// Permission for a message that a gateway may have already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    Now,
    /// It waits: another postman may repeat it, until a steady time.
    Elsewhere {
        until: Timestamp,
    },
    Never,
}

/// The gateways of postmen, as one of them asks.
#[derive(Debug)]
pub(super) struct Gateways {
    /// That of the one that asks, and for how long after the first try it may get a message again.
    own: Option<(u64, u64)>,
    asked_for: u64,
    /// Those of the others that take repeats.
    others: Vec<u64>,
    set: TimeSetting,
}

impl Gateways {
    pub(super) fn of(postmen: &[Postman], grant: &Grant, set: TimeSetting) -> Self {
        let asks = |postman: &&Postman| postman.epoch == grant.lease.epoch;
        let own = postmen
            .iter()
            .find(asks)
            .and_then(|postman| postman.gateway);
        // One that has not declared anything yet repeats nothing.
        let own = own.filter(|own| own.by == grant.lease.epoch && own.gateway == grant.gateway);
        let others = postmen.iter().filter(|postman| !asks(postman));
        let others = others.filter_map(|postman| postman.gateway);
        let others = others.filter(|other| other.repeat_ms.is_some());
        Self {
            own: own.and_then(|own| Some((own.gateway, own.repeat_ms?))),
            asked_for: grant.gateway,
            others: others.map(|other| other.gateway).collect(),
            set,
        }
    }

    pub(super) fn allow(&self, doubt: &Doubt, at: Timestamp) -> Allowed {
        let Some(until) = doubt.repeat_until.filter(|until| at <= *until) else {
            return Allowed::Never;
        };
        // How long ago the gateway got it is not known where the time was set since.
        if self.set.came_after(doubt.since) {
            return Allowed::Never;
        }
        if !rules::is_gateway_of_doubt(self.asked_for, doubt.gateway) {
            let waits = self.others.contains(&doubt.gateway);
            return if waits {
                Allowed::Elsewhere { until }
            } else {
                Allowed::Never
            };
        }
        // The time may have been shortened since; lengthening it does not help, because nobody knows
        // from when on the gateway has remembered for longer.
        let repeat_ms = self
            .own
            .map(|(_, repeat_ms)| repeat_ms.min(i64::MAX as u64) as i64);
        match repeat_ms {
            Some(repeat_ms) if at <= doubt.since.plus_millis(repeat_ms) => Allowed::Now,
            _ => Allowed::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, LeaseId, MailingNumber, PostmanName};

    const HERE: u64 = 5;
    const THERE: u64 = 6;

    fn postman(epoch: u64, gateway: Option<DeclaredGateway>) -> Postman {
        let name = PostmanName::parse(&format!("p{epoch}")).expect("a name");
        Postman {
            name,
            epoch: Epoch(epoch),
            nonce: 1,
            last: 0,
            before: Vec::new(),
            gateway,
        }
    }

    fn declared(by: u64, gateway: u64, repeat_ms: Option<u64>) -> Option<DeclaredGateway> {
        Some(DeclaredGateway {
            by: Epoch(by),
            gateway,
            repeat_ms,
        })
    }

    /// The permission of postman 1, which asks for `HERE`, about a message that was first in doubt at 1,000 ms, until 4,000.
    fn allowed(postmen: &[Postman], gateway: u64, at_ms: i64) -> Allowed {
        let grant = Grant {
            lease: LeaseId {
                epoch: Epoch(1),
                n: 1,
            },
            mailing: MailingNumber(1),
            limit: 1,
            batches: 1,
            barren: 1,
            zones: None,
            ttl_ms: 1,
            gateway: HERE,
            from: None,
        };
        let at = Timestamp::from_millis;
        let repeat_until = Some(at(4_000));
        let doubt = Doubt {
            index: 0,
            since: at(1_000),
            repeat_until,
            gateway,
        };
        Gateways::of(postmen, &grant, TimeSetting::default()).allow(&doubt, at(at_ms))
    }

    #[test]
    fn a_doubt_is_repeated_at_its_gateway_by_who_declared_that_it_takes_repeats() {
        let postmen = [postman(1, declared(1, HERE, Some(3_000)))];
        assert_eq!(allowed(&postmen, HERE, 4_000), Allowed::Now);
        assert_eq!(allowed(&postmen, HERE, 4_001), Allowed::Never);
        for undeclared in [
            None,
            declared(1, HERE, None),
            declared(1, THERE, Some(3_000)),
        ] {
            assert_eq!(
                allowed(&[postman(1, undeclared)], HERE, 2_000),
                Allowed::Never
            );
        }
        // Declared by the start before, of which this one may differ.
        let postmen = [postman(1, declared(0, HERE, Some(3_000)))];
        assert_eq!(allowed(&postmen, HERE, 2_000), Allowed::Never);
    }

    #[test]
    fn a_time_that_was_shortened_counts_at_once_and_one_that_was_lengthened_does_not() {
        let shortened = [postman(1, declared(1, HERE, Some(500)))];
        assert_eq!(allowed(&shortened, HERE, 1_500), Allowed::Now);
        assert_eq!(allowed(&shortened, HERE, 1_501), Allowed::Never);
        let lengthened = [postman(1, declared(1, HERE, Some(u64::MAX)))];
        assert_eq!(allowed(&lengthened, HERE, 4_001), Allowed::Never);
    }

    #[test]
    fn a_doubt_waits_for_another_postman_only_if_one_may_repeat_it() {
        let here = || postman(1, declared(1, HERE, Some(3_000)));
        let elsewhere = Allowed::Elsewhere {
            until: Timestamp::from_millis(4_000),
        };
        let there = |repeat_ms| [here(), postman(2, declared(2, THERE, repeat_ms))];
        assert_eq!(allowed(&there(Some(1)), THERE, 2_000), elsewhere);
        assert_eq!(allowed(&there(None), THERE, 2_000), Allowed::Never);
        assert_eq!(allowed(&[here()], THERE, 2_000), Allowed::Never);
        assert_eq!(allowed(&there(Some(1)), THERE, 4_001), Allowed::Never);
    }
}
