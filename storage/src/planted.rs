//! Faults on purpose, for the simulation to find: what is not found is not tested.
//!
//! Nothing of this is in the service as it is shipped: without the feature `planted-faults`, which
//! the simulation alone asks for, no fault can be planted and every condition of [`crate::rules`] is
//! worked out by the compiler. That module alone asks for a fault.
//!
//! With the feature, all faults are off until `plant` is called, which the simulation alone does.
//! (`cargo build --workspace` builds the service with the feature too, and so with faults that nobody
//! can switch on; `cargo build` and `cargo build -p notty` do not.)

/// A rule that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Planted {
    /// A lease that runs out makes its messages wait again.
    RequeueOnExpiry = 1,
    /// A grant takes messages whatever their status.
    GrantUnchecked,
    /// Kept replies to clients do not come with a snapshot.
    RepliesNotInSnapshot,
    /// A vote is not synced.
    VoteNotSynced,
    /// What is unsure counts as not sent.
    UnsureIsNotSent,
    /// A report of an old attempt settles the present one.
    OldReportAccepted,
    /// A node with an empty disk takes part under its old number.
    WipedNodeVotes,
    /// Apply reads this node's clock.
    ClockInApply,
    /// A later report takes the place of the first.
    LaterReportWins,
    /// Entries are acknowledged before they are synced.
    AppendNotSynced,
    /// A postman sends under an old view of pauses, ends and deletions.
    ViewUnchecked,
    /// Damage in the state does not mark it suspect.
    DamageUnmarked,
    /// A message in doubt may go to any gateway.
    DoubtGoesAnywhere,
    /// Whatever cannot be read of a postman's journal counts as never begun.
    DamageIsNeverBegun,
    /// The breaker counts results in a row, and no shares.
    BreakerCountsRowsOnly,
    /// A wall clock is believed although it contradicts its own machine.
    JumpBelieved,
    /// A gateway that asks for a pause gets requests all the same.
    PauseIgnored,
    /// A mailing does not see that customers share a phone.
    SharedPhonesUnseen,
    /// A report that comes after a receipt settles its message all the same.
    ReceiptUnheeded,
    /// A postman is not told that a receipt has settled a message that it holds.
    ReceiptUntold,
    /// An answer that halts is a refusal of its message.
    HaltRefuses,
    /// An answer that halts is a try of its message, from the first one on.
    HaltIsTry,
    /// A gateway or a mailing that is halted gets requests all the same.
    HaltUnheeded,
    /// The halt of a mailing is one of its whole gateway.
    HaltOfMailingSpreads,
    /// No message probes whether a halt has ended.
    HaltNeverProbed,
}

/// Those that chance may miss: only their scenarios must find them.
///
/// A postman holds little more than it has in flight, so an old view rarely lets it begin anything, nor does
/// a receipt that it was not told of.
/// Few days move to another account while a message is in doubt there, and in few does the gateway
/// lose many answers, but never many in a row.
pub const BY_SCENARIO: [Planted; 4] = [
    Planted::ViewUnchecked,
    Planted::DoubtGoesAnywhere,
    Planted::BreakerCountsRowsOnly,
    Planted::ReceiptUntold,
];

/// All faults, in the order of their numbers.
pub const PLANTED: [Planted; 25] = [
    Planted::RequeueOnExpiry,
    Planted::GrantUnchecked,
    Planted::RepliesNotInSnapshot,
    Planted::VoteNotSynced,
    Planted::UnsureIsNotSent,
    Planted::OldReportAccepted,
    Planted::WipedNodeVotes,
    Planted::ClockInApply,
    Planted::LaterReportWins,
    Planted::AppendNotSynced,
    Planted::ViewUnchecked,
    Planted::DamageUnmarked,
    Planted::DoubtGoesAnywhere,
    Planted::DamageIsNeverBegun,
    Planted::BreakerCountsRowsOnly,
    Planted::JumpBelieved,
    Planted::PauseIgnored,
    Planted::SharedPhonesUnseen,
    Planted::ReceiptUnheeded,
    Planted::ReceiptUntold,
    Planted::HaltRefuses,
    Planted::HaltIsTry,
    Planted::HaltUnheeded,
    Planted::HaltOfMailingSpreads,
    Planted::HaltNeverProbed,
];

impl Planted {
    /// The one of a name, as it is written in the code.
    pub fn named(name: &str) -> Option<Self> {
        PLANTED
            .into_iter()
            .find(|planted| format!("{planted:?}") == name)
    }
}

#[cfg(feature = "planted-faults")]
mod switch {
    use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

    use super::Planted;

    static NOW: AtomicU8 = AtomicU8::new(0);
    static WALL_MS: AtomicI64 = AtomicI64::new(0);

    /// From now on a rule is left out, in the whole process.
    pub fn plant(planted: Planted) {
        NOW.store(planted as u8, Ordering::Relaxed);
    }

    /// True if a rule is left out.
    pub(crate) fn is_planted(planted: Planted) -> bool {
        NOW.load(Ordering::Relaxed) == planted as u8
    }

    /// Sets the wall clock that apply must not read, in milliseconds.
    pub fn set_wall(ms: i64) {
        WALL_MS.store(ms, Ordering::Relaxed);
    }

    /// The wall clock that apply must not read, in milliseconds.
    pub(crate) fn wall() -> i64 {
        WALL_MS.load(Ordering::Relaxed)
    }
}

#[cfg(not(feature = "planted-faults"))]
mod switch {
    use super::Planted;

    /// Nothing is planted in the service as it is shipped.
    #[inline(always)]
    pub(crate) fn is_planted(_planted: Planted) -> bool {
        false
    }

    /// Without the feature there is no such clock.
    #[inline(always)]
    pub(crate) fn wall() -> i64 {
        0
    }
}

pub(crate) use switch::{is_planted, wall};
#[cfg(feature = "planted-faults")]
pub use switch::{plant, set_wall};
