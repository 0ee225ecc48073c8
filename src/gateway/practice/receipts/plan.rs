//! The receipts of one message: which ones, in which order, and when. A pure function of the message and the
//! shares, so that a run can be repeated.

use std::time::Duration;

use notty_storage::model::ReceiptState;

use super::{super::behaviour::draw, shares::ReceiptShares};

/// Draws of receipts, apart from each other and from those of answers, which are numbered by tries below
/// this.
const DRAWS: u8 = 0x80;

/// The receipts of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReceiptPlan {
    /// True if they come before the answer to the request.
    pub(super) is_early: bool,
    /// Empty if all of them are lost.
    pub(super) steps: Vec<PlannedReceipt>,
}

/// One receipt: the time after the one before, and the fate that it reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlannedReceipt {
    pub(super) after: Duration,
    pub(super) state: ReceiptState,
}

/// The states that a provider has receipts for.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownStates {
    pub(super) progress: bool,
    pub(super) undelivered: bool,
}

/// A message, with what is asked for.
struct PlannedMessage<'s> {
    number: u64,
    shares: &'s ReceiptShares,
    known: KnownStates,
}

/// Plans the receipts of a message.
pub(super) fn plan(number: u64, shares: &ReceiptShares, known: KnownStates) -> ReceiptPlan {
    let message = PlannedMessage {
        number,
        shares,
        known,
    };
    let is_early = message.is_drawn(1, shares.early_per_mille);
    let states = message.states(is_early);

    // An early receipt comes before the answer to the message, which does not wait.
    let delay = if is_early {
        Duration::ZERO
    } else {
        message.delay()
    };

    ReceiptPlan {
        is_early,
        steps: in_time(&states, delay),
    }
}

impl PlannedMessage<'_> {
    /// A number of the message, another one for each purpose.
    fn draw(&self, purpose: u8) -> u32 {
        draw(self.number, DRAWS + purpose)
    }

    fn is_drawn(&self, purpose: u8, share: u32) -> bool {
        self.draw(purpose) % 1_000 < share
    }

    fn states(&self, is_early: bool) -> Vec<ReceiptState> {
        if self.is_drawn(2, self.shares.lost_per_mille) {
            return Vec::new();
        }

        // Each fault is drawn by a number of its own, so that one share says nothing of another.
        let last = self.last();
        let mut states = if self.is_drawn(3, self.shares.mixed_per_mille) {
            self.mixed(last)
        } else {
            let begins = self.known.progress && !is_early;
            let progress = begins.then_some(ReceiptState::Progress);
            progress.into_iter().chain([last]).collect()
        };

        if self.is_drawn(4, self.shares.twice_per_mille) {
            states.extend(states.last().copied());
        }
        states
    }

    fn last(&self) -> ReceiptState {
        let fails = self.is_drawn(5, self.shares.undelivered_per_mille);
        if fails && self.known.undelivered {
            ReceiptState::Undelivered
        } else {
            ReceiptState::Delivered
        }
    }

    /// Receipts in one of the orders that no message should have.
    fn mixed(&self, last: ReceiptState) -> Vec<ReceiptState> {
        let mut orders = Vec::new();
        if self.known.progress {
            orders.push(vec![last, ReceiptState::Progress]);
        }
        if self.known.undelivered {
            orders.push(vec![ReceiptState::Delivered, ReceiptState::Undelivered]);
            orders.push(vec![ReceiptState::Undelivered, ReceiptState::Delivered]);
        }

        let pick = self.draw(6) as usize;
        let n = pick.checked_rem(orders.len());
        n.map_or(vec![last], |n| orders.swap_remove(n))
    }

    fn delay(&self) -> Duration {
        let spread = self.shares.spread_ms.saturating_add(1);
        let more = u64::from(self.draw(7)) % spread;
        Duration::from_millis(self.shares.delay_ms + more)
    }
}

/// Puts states in time. The delay is before the first one that is no progress.
fn in_time(states: &[ReceiptState], delay: Duration) -> Vec<PlannedReceipt> {
    let first = states
        .iter()
        .position(|state| *state != ReceiptState::Progress);

    let numbered = states.iter().enumerate();
    let steps = numbered.map(|(n, state)| PlannedReceipt {
        after: if Some(n) == first {
            delay
        } else {
            Duration::ZERO
        },
        state: *state,
    });
    steps.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: KnownStates = KnownStates {
        progress: true,
        undelivered: true,
    };

    fn states(number: u64, shares: &ReceiptShares, known: KnownStates) -> Vec<ReceiptState> {
        let plan = plan(number, shares, known);
        plan.steps.iter().map(|step| step.state).collect()
    }

    #[test]
    fn without_faults_a_message_is_under_way_and_then_delivered() {
        let shares = ReceiptShares::default();
        let usual = [ReceiptState::Progress, ReceiptState::Delivered];
        assert!((1..1_000).all(|n| states(n, &shares, ALL) == usual));
    }

    #[test]
    fn shares_come_out_about_right_and_by_themselves() {
        let shares = ReceiptShares {
            lost_per_mille: 100,
            undelivered_per_mille: 200,
            twice_per_mille: 300,
            early_per_mille: 400,
            ..ReceiptShares::default()
        };
        let plans = || (1..=10_000).map(|n| plan(n, &shares, ALL));
        let count = |fits: fn(&ReceiptPlan) -> bool| plans().filter(fits).count();

        let is_about = |n: usize, wanted: usize| assert!(n.abs_diff(wanted) < 400, "{n} {wanted}");
        is_about(count(|plan| plan.steps.is_empty()), 1_000);
        is_about(count(|plan| plan.is_early), 4_000);
        is_about(
            count(|plan| ends_as(plan, ReceiptState::Undelivered)),
            1_800,
        );
        is_about(count(ends_twice), 2_700);
    }

    fn ends_as(plan: &ReceiptPlan, state: ReceiptState) -> bool {
        plan.steps.last().is_some_and(|step| step.state == state)
    }

    fn ends_twice(plan: &ReceiptPlan) -> bool {
        let mut steps = plan.steps.iter().rev().map(|step| step.state);
        let last = steps.next();
        last.is_some() && steps.next() == last
    }

    #[test]
    fn mixed_receipts_have_each_wrong_order_that_the_provider_can_have() {
        let shares = ReceiptShares {
            mixed_per_mille: 1_000,
            ..ReceiptShares::default()
        };
        use ReceiptState::{Delivered, Progress, Undelivered};
        for wrong in [
            [Delivered, Progress],
            [Delivered, Undelivered],
            [Undelivered, Delivered],
        ] {
            assert!(
                (1..100).any(|n| states(n, &shares, ALL) == wrong),
                "{wrong:?}"
            );
        }

        // A provider that knows no other state repeats itself at most.
        let none = KnownStates {
            progress: false,
            undelivered: false,
        };
        assert!((1..100).all(|n| states(n, &shares, none) == [Delivered]));
    }

    #[test]
    fn the_last_receipt_waits_for_the_delay_and_a_part_of_the_spread() {
        let shares = ReceiptShares {
            delay_ms: 500,
            spread_ms: 1_000,
            ..ReceiptShares::default()
        };
        let delays = (1..1_000).map(|n| plan(n, &shares, ALL).steps[1].after.as_millis());
        let delays: Vec<_> = delays.collect();
        assert!(delays.iter().all(|ms| (500..=1_500).contains(ms)));
        assert!(delays.iter().any(|ms| *ms < 700) && delays.iter().any(|ms| *ms > 1_300));
    }
}
