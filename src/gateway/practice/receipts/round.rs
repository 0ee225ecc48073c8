//! All receipts of one message, filled and ready to be sent.

use std::time::Duration;

use notty_storage::model::ReceiptState;

use super::{
    super::behaviour::draw,
    plan::{KnownStates, plan},
    shares::ReceiptShares,
};
use crate::gateway::profile::{FilledReceipt, PracticeReceipt, Profile, receipts::ReceiptReply};

/// The draw that picks one of several receipts of the same state.
const PICK: u8 = 0x8f;

/// The receipts of a message, in the order in which they are sent.
#[derive(Clone, Debug)]
pub(in crate::gateway::practice) struct ReceiptRound {
    /// The address that is called.
    pub(super) url: String,
    /// True if the first one comes before the answer to the request.
    pub(super) is_early: bool,
    /// Empty if all of them are lost.
    pub(super) calls: Vec<RoundCall>,
    /// The answer that the provider takes for "noted".
    pub(super) wanted: ReceiptReply,
    /// The pause before a call is made again.
    pub(super) again: Duration,
}

/// One receipt of a round.
#[derive(Clone, Debug)]
pub(super) struct RoundCall {
    /// The time after the receipt before.
    pub(super) after: Duration,
    pub(super) state: ReceiptState,
    pub(super) filled: FilledReceipt,
}

/// A message as its receipts need it.
pub(in crate::gateway::practice) struct RoundMessage<'r> {
    pub(in crate::gateway::practice) profile: &'r Profile,
    /// The number by which the message is known to draws.
    pub(in crate::gateway::practice) number: u64,
    pub(in crate::gateway::practice) url: String,
    pub(in crate::gateway::practice) shares: &'r ReceiptShares,
}

impl ReceiptRound {
    /// The round of a message; `None` if its provider has no receipts. `fill` makes the call of a receipt.
    pub(in crate::gateway::practice) fn of(
        message: RoundMessage<'_>,
        fill: impl Fn(&PracticeReceipt) -> Option<FilledReceipt>,
    ) -> Option<Self> {
        let RoundMessage {
            profile,
            number,
            url,
            shares,
        } = message;
        // Without a call for `delivered` no message could come to an end.
        let form = profile.receipts()?;
        pick(profile, ReceiptState::Delivered, number)?;

        let plan = plan(number, shares, known(profile));
        let calls = plan.steps.iter().map(|step| {
            let receipt = pick(profile, step.state, number)?;
            Some(RoundCall {
                after: step.after,
                state: step.state,
                filled: fill(receipt)?,
            })
        });

        Some(Self {
            url,
            is_early: plan.is_early,
            calls: calls.collect::<Option<_>>()?,
            wanted: form.reply().clone(),
            again: Duration::from_millis(shares.again_ms),
        })
    }

    /// True if the first receipt comes before the answer to the request.
    pub(in crate::gateway::practice) fn is_early(&self) -> bool {
        self.is_early
    }
}

fn known(profile: &Profile) -> KnownStates {
    let has = |state| receipts(profile, state).next().is_some();
    KnownStates {
        progress: has(ReceiptState::Progress),
        undelivered: has(ReceiptState::Undelivered),
    }
}

fn receipts(profile: &Profile, state: ReceiptState) -> impl Iterator<Item = &PracticeReceipt> {
    let all = profile.practice_receipts().iter();
    all.filter(move |receipt| receipt.state() == state)
}

/// One of the receipts of a state, the same for the same message.
fn pick(profile: &Profile, state: ReceiptState, number: u64) -> Option<&PracticeReceipt> {
    let drawn = draw(number, PICK) as usize;
    let n = drawn.checked_rem(receipts(profile, state).count())?;
    receipts(profile, state).nth(n)
}
