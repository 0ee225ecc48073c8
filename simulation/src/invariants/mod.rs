//! What must hold whatever happens, one file each; and what they all go by.

mod acknowledged_writes_survive;
mod attempts_explained;
mod doubt_is_bounded;
mod facts;
mod gateway_and_state_agree;
mod gateway_gets_once;
mod halts_are_no_tries;
mod halts_end_by_themselves;
mod no_send_after_the_end_of_its_reason;
mod no_send_outside_window;
mod no_send_while_asked_to_wait;
mod no_send_while_halted;
mod no_send_without_lease;
mod nobody_is_forgotten;
mod nodes_start;
mod nothing_goes_back;
mod receipts_are_kept;
mod replicas_agree;
mod stats_add_up;
mod stops_on_disk_error;
mod time_is_the_true_time;

use std::{collections::BTreeMap, time::Duration};

pub use facts::Facts;

use crate::{
    event::{Event, Final},
    plan::Plan,
};

/// Fine, or what is wrong.
pub type Judgement = Result<(), String>;

/// Something that must hold.
pub trait Invariant: Send {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Judges what happened; the facts know of it already.
    fn judge(&mut self, event: &Event<'_>, facts: &Facts, now: Duration) -> Judgement;

    /// Judges what is reached in the end.
    fn conclude(&mut self, _end: &Final<'_>, _facts: &Facts) -> Judgement {
        Ok(())
    }
}

/// All of them.
pub fn all(plan: &Plan) -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(gateway_gets_once::GatewayGetsOnce {
            idempotent: plan.idempotent,
            takers: BTreeMap::new(),
        }),
        Box::new(no_send_without_lease::NoSendWithoutLease {
            postmen: (0..plan.machines())
                .map(|machine| plan.postman(machine))
                .collect(),
        }),
        Box::new(no_send_outside_window::NoSendOutsideWindow::new(plan)),
        Box::new(no_send_after_the_end_of_its_reason::NoSendAfterTheEndOfItsReason),
        Box::new(gateway_and_state_agree::GatewayAndStateAgree {
            idempotent: plan.idempotent,
        }),
        Box::new(nobody_is_forgotten::NobodyIsForgotten::new(plan)),
        Box::new(stats_add_up::StatsAddUp::new(plan.seed)),
        Box::new(replicas_agree::ReplicasAgree::default()),
        Box::new(acknowledged_writes_survive::AcknowledgedWritesSurvive::default()),
        Box::new(nothing_goes_back::NothingGoesBack::default()),
        Box::new(attempts_explained::AttemptsExplained::new(plan)),
        Box::new(stops_on_disk_error::StopsOnDiskError::default()),
        Box::new(nodes_start::NodesStart::default()),
        Box::new(time_is_the_true_time::TimeIsTheTrueTime::new(plan)),
        Box::new(doubt_is_bounded::DoubtIsBounded::default()),
        Box::new(no_send_while_asked_to_wait::NoSendWhileAskedToWait::default()),
        Box::new(halts_are_no_tries::HaltsAreNoTries),
        Box::new(no_send_while_halted::NoSendWhileHalted::default()),
        Box::new(halts_end_by_themselves::HaltsEndByThemselves::new(plan)),
        Box::new(receipts_are_kept::ReceiptsAreKept::default()),
    ]
}

/// A fault, unless something holds.
fn ensure(holds: bool, what: impl FnOnce() -> String) -> Judgement {
    if holds { Ok(()) } else { Err(what()) }
}
