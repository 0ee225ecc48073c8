//! The rules that the simulation can leave out, each as a condition with a name.
//!
//! The code that keeps a rule asks the condition, and reads as the rule does. Only this module knows
//! that a rule can be left out ([`crate::planted`]). Without the feature `planted-faults` every
//! condition is what its rule demands, and the compiler removes the question.
//!
//! The numbers are those of docs/rules.md, which has each rule whole, with where it is kept.

use std::{cmp::Ordering, time::Duration};

use crate::{
    model::{SendResult, Status, Timestamp},
    planted::{self, Planted, is_planted},
};

/// Rule 1: a grant takes only messages that wait: never tried, or failed.
pub(crate) fn may_be_granted(status: Status) -> bool {
    status.is_ready() || is_planted(Planted::GrantUnchecked)
}

/// Rule 1: a grant takes a failed message only once its pause is over. One that was never tried has
/// no pause.
pub(crate) fn is_due(status: Status, due: Timestamp, now: Timestamp) -> bool {
    status == Status::Created || due <= now || is_planted(Planted::GrantUnchecked)
}

/// Rule 3: a lease that runs out leaves its open messages unconfirmed. None of them waits again.
pub(crate) fn status_after_expiry() -> Status {
    if is_planted(Planted::RequeueOnExpiry) {
        Status::Created
    } else {
        Status::Unconfirmed
    }
}

/// Rules 4 and 7: an answer that leaves it open whether the message was taken is reported as unsure.
/// The message may go to the gateway again only where that takes repeats, for so many milliseconds.
/// It is never reported as not sent.
pub fn report_of_unsure(pause_ms: impl FnOnce() -> u64, repeat_ms: Option<u64>) -> SendResult {
    if is_planted(Planted::UnsureIsNotSent) {
        let pause_ms = pause_ms();
        return SendResult::NotSent { pause_ms };
    }

    match repeat_ms {
        None => SendResult::Unsure,
        Some(repeat_ms) => SendResult::UnsureRepeatable {
            pause_ms: pause_ms(),
            repeat_ms,
        },
    }
}

/// The place of a report among all that may be said of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReportPlace {
    /// No grant made such a token.
    NoToken,
    /// The attempt is over; another was granted since.
    OldAttempt,
    /// The first report of the present attempt: it settles the message.
    First,
    /// The present attempt was reported before.
    Later,
}

/// Rule 5: the first report of a token stands, and a report of an old attempt does not settle the
/// present one. So a report settles the message only if it is the first of the present attempt.
pub(crate) fn place_of_report(attempt: u16, present: u16, is_reported: bool) -> ReportPlace {
    match attempt.cmp(&present) {
        Ordering::Greater => ReportPlace::NoToken,
        _ if attempt == 0 => ReportPlace::NoToken,
        Ordering::Less if is_planted(Planted::OldReportAccepted) => ReportPlace::First,
        Ordering::Less => ReportPlace::OldAttempt,
        Ordering::Equal if !is_reported || is_planted(Planted::LaterReportWins) => {
            ReportPlace::First
        }
        Ordering::Equal => ReportPlace::Later,
    }
}

/// Rule 6: kept replies are part of snapshots, so a repeat is not executed by a node that began with
/// one.
pub(crate) fn kept_replies_come_with_snapshots() -> bool {
    !is_planted(Planted::RepliesNotInSnapshot)
}

/// Rule 8: a message is begun only under a view of pauses, ends and deletions that is not older than
/// a limit.
pub fn is_fresh(view_age: Duration, limit: Duration) -> bool {
    view_age <= limit || is_planted(Planted::ViewUnchecked)
}

/// Rule 9: a journal that lacks something, or cannot be read, proves nothing: what it does not show
/// may have been begun.
pub fn damage_proves_nothing() -> bool {
    !is_planted(Planted::DamageIsNeverBegun)
}

/// Rule 10: results in doubt count as a share of all results, however they are spread: not only those
/// in a row open the breaker.
pub fn doubts_count_as_shares() -> bool {
    !is_planted(Planted::BreakerCountsRowsOnly)
}

/// Rule 10: a gateway that asks for a pause gets no request until the pause is over.
pub fn is_paused(holds: bool) -> bool {
    holds && !is_planted(Planted::PauseIgnored)
}

/// Rules 4 and 10: the first answer to a message that halts is no try, and no refusal: the message goes back
/// as if it had not been begun.
pub fn report_of_halt(pause_ms: impl FnOnce() -> u64) -> SendResult {
    if is_planted(Planted::HaltRefuses) {
        return SendResult::Invalid;
    }
    if is_planted(Planted::HaltIsTry) {
        let pause_ms = pause_ms();
        return SendResult::NotTaken { pause_ms };
    }
    SendResult::HandedBack
}

/// Rule 10: what is halted gets no request before its next probe is due.
pub fn is_halted(holds: bool) -> bool {
    holds && !is_planted(Planted::HaltUnheeded)
}

/// Rule 10: one message probes whether a halt has ended, once its time has come.
pub fn may_probe_halt(is_due: bool) -> bool {
    is_due && !is_planted(Planted::HaltNeverProbed)
}

/// Rule 10: the halt of a mailing stops that mailing alone.
pub fn halts_of_mailings_stay_there() -> bool {
    !is_planted(Planted::HaltOfMailingSpreads)
}

/// Rule 11: a member is known by its disk. A node with another disk is another node.
pub fn is_same_disk(claimed: &str, known: &str) -> bool {
    claimed == known || is_planted(Planted::WipedNodeVotes)
}

/// Rule 11: a caller that claims a number is looked up, with its disk, among members and admitted
/// nodes.
pub fn callers_are_looked_up() -> bool {
    !is_planted(Planted::WipedNodeVotes)
}

/// Rule 11: a node with an empty disk never votes under its old number. It waits until it is taken in
/// under a new one.
pub fn empty_disk_waits() -> bool {
    !is_planted(Planted::WipedNodeVotes)
}

/// Rule 13: the time of an entry is the leader's stamp in it. Apply reads no clock.
pub(crate) fn time_of_entry(stamp: Timestamp) -> Timestamp {
    if is_planted(Planted::ClockInApply) {
        Timestamp::from_millis(planted::wall())
    } else {
        stamp
    }
}

/// Rule 14: entries are acknowledged only once they are synced.
pub fn appends_are_synced() -> bool {
    !is_planted(Planted::AppendNotSynced)
}

/// Rule 14: a vote is given only once it is synced.
pub fn votes_are_synced() -> bool {
    !is_planted(Planted::VoteNotSynced)
}

/// Rule 15: damage that is found in an open state marks it suspect, and the next start rebuilds it.
pub fn damage_is_marked() -> bool {
    !is_planted(Planted::DamageUnmarked)
}

/// Rule 16: a message in doubt belongs to the gateway and account that may have it.
pub(crate) fn is_gateway_of_doubt(asked_for: u64, doubtful: u64) -> bool {
    asked_for == doubtful || is_planted(Planted::DoubtGoesAnywhere)
}

/// Rule 17: a postman is told of the messages that it holds and that a receipt has settled.
pub(crate) fn receipts_are_told() -> bool {
    !is_planted(Planted::ReceiptUntold)
}

/// Rule 17: what a receipt has settled stays, whatever a report says of it afterwards.
pub(crate) fn receipt_stands() -> bool {
    !is_planted(Planted::ReceiptUnheeded)
}

/// Time (rules without a number): a look at the clock that finds a contradiction leaves it in doubt.
pub fn contradicting_clock_is_doubted() -> bool {
    !is_planted(Planted::JumpBelieved)
}

/// Time (rules without a number): between two looks, a reading of the clock counts only if it agrees
/// with the machine's other clock.
pub fn is_believed(agrees: bool) -> bool {
    agrees || is_planted(Planted::JumpBelieved)
}

/// Phones (rules without a number): a mailing that gives a phone one message looks who shares it.
pub(crate) fn looks_for_shared_phones(unique_phones: bool) -> bool {
    unique_phones && !is_planted(Planted::SharedPhonesUnseen)
}
