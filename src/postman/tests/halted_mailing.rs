//! Halts of a mailing, as the messages of its leases meet them.

use super::{
    super::outlet::Outlet,
    connecting::{job, lease_of},
    *,
};
use crate::gateway::{GatewayOutcome, HaltScope};

const NOW: Duration = Duration::from_secs(100);
const MAILING_HALTED: GatewayOutcome = GatewayOutcome::Halted {
    scope: HaltScope::Mailing,
};

/// A mailing that is resumed after a restore has another number in the ids of its messages.
#[test]
fn a_mailing_halts_by_the_number_of_its_leases_whatever_the_ids_of_its_messages_have() {
    const RESUMED: MailingNumber = MailingNumber(70_000);
    let outlet = Outlet::new(outlet_options(4));
    let job = job(&lease_of(RESUMED, Epoch(1)), 0);
    let pass = outlet.may_begin(&job, NOW).expect("nothing is halted");

    outlet.note_halts(pass, MAILING_HALTED, NOW);
    assert!(outlet.halts.holds_mailing(RESUMED, NOW));
    assert!(!outlet.halts.holds_mailing(MAILING, NOW));
    assert!(!outlet.still_permits(pass, NOW));
    assert!(outlet.may_begin(&job, NOW).is_none());
}

#[test]
fn only_the_first_halting_answer_to_a_message_is_no_try() {
    let outlet = Outlet::new(outlet_options(4));
    let job = job(&lease_of(MAILING, Epoch(1)), 0);
    let mut results = Vec::new();
    for minute in [0, 1] {
        let now = NOW + minute * Duration::from_secs(60);
        let pass = outlet
            .may_begin(&job, now)
            .expect("the first, or the probe");
        let news = outlet.note_halts(pass, MAILING_HALTED, now);
        results.push(outlet.result(&job, MAILING_HALTED, &news));
    }
    let later = SendResult::NotTaken { pause_ms: 1 };
    assert_eq!(results, [SendResult::HandedBack, later]);
}
