//! Halts by their answers, on a clock of the test.

use std::sync::atomic::AtomicU32;

use super::*;
use crate::gateway::LaterScope;

const ONE: MailingNumber = MailingNumber(1);
const OTHER: MailingNumber = MailingNumber(2);
const HALTED: GatewayOutcome = GATEWAY_HALTS;
const MAILING_HALTED: GatewayOutcome = GatewayOutcome::Halted {
    scope: HaltScope::Mailing,
};

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A message of a mailing.
fn subject(mailing: MailingNumber, position: u32) -> HaltSubject {
    HaltSubject {
        message: MessageId { mailing, position },
        mailing,
    }
}

/// A message of a mailing that no other call returns.
fn another(mailing: MailingNumber) -> HaltSubject {
    static NEXT: AtomicU32 = AtomicU32::new(1_000);
    subject(mailing, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Sends one message that must be permitted. Returns the pause of each change, in seconds.
#[track_caller]
fn send(
    halts: &Halts,
    mailing: MailingNumber,
    outcome: GatewayOutcome,
    now: u64,
) -> Vec<Option<u64>> {
    let news = send_one(halts, another(mailing), outcome, now);
    let pause = |change: &HaltChange| change.pause.map(|pause| pause.as_secs());
    news.changes.iter().map(pause).collect()
}

/// The same with a message of the test's choice.
#[track_caller]
fn send_one(halts: &Halts, message: HaltSubject, outcome: GatewayOutcome, now: u64) -> HaltNews {
    let pass = halts.may_begin(message.mailing, secs(now));
    halts.note(pass.expect("permitted"), message, outcome, secs(now))
}

/// Halts whose gateway is halted from a time on.
fn halted_at(now: u64) -> Halts {
    let halts = Halts::default();
    for changes in [vec![], vec![], vec![Some(60)]] {
        assert_eq!(send(&halts, ONE, HALTED, now), changes);
    }
    halts
}

#[test]
fn halting_answers_to_three_messages_in_a_row_halt_the_gateway() {
    let halts = halted_at(100);
    assert!(halts.is_halted() && halts.holds(secs(159)));
    assert_eq!(halts.may_begin(ONE, secs(159)), None);
    assert_eq!(halts.may_begin(OTHER, secs(159)), None);
}

#[test]
fn any_other_clear_answer_between_ends_the_row_and_doubt_does_not() {
    let later = GatewayOutcome::NotTaken {
        status: 429,
        retry_after: None,
        scope: LaterScope::Message,
    };
    for clear in [GatewayOutcome::Done, GatewayOutcome::Invalid, later] {
        let halts = Halts::default();
        for outcome in [HALTED, HALTED, clear, HALTED, HALTED] {
            assert_eq!(send(&halts, ONE, outcome, 1), []);
        }
        assert!(!halts.is_halted(), "{clear:?}");
    }

    let halts = Halts::default();
    for outcome in [
        HALTED,
        GatewayOutcome::Unsure,
        HALTED,
        GatewayOutcome::NotSent,
    ] {
        assert_eq!(send(&halts, ONE, outcome, 1), []);
    }
    assert_eq!(send(&halts, ONE, HALTED, 1), [Some(60)]);
}

#[test]
fn one_message_probes_after_growing_pauses() {
    let halts = halted_at(0);
    let mut now = 60;
    for pause in [120, 240, 480, 900, 900, 900] {
        assert!(halts.holds(secs(now) - Duration::from_nanos(1)));
        assert!(halts.wants_probe(secs(now)) && !halts.holds(secs(now)));

        let pass = halts.may_begin(ONE, secs(now)).expect("the probe");
        assert_eq!(halts.may_begin(ONE, secs(now)), None, "it is under way");
        assert!(halts.holds(secs(now)) && !halts.wants_probe(secs(now)));
        assert!(halts.still_permits(pass, ONE));

        let changes = halts.note(pass, another(ONE), HALTED, secs(now)).changes;
        assert_eq!(changes[0].pause, Some(secs(pause)));
        assert!(changes[0].was_halted);
        now += pause;
    }

    assert_eq!(send(&halts, ONE, GatewayOutcome::Done, now), [None]);
    assert!(!halts.is_halted());
    // The next halt begins with the first pause again.
    for changes in [vec![], vec![], vec![Some(60)]] {
        assert_eq!(send(&halts, ONE, HALTED, now), changes);
    }
}

#[test]
fn answers_to_what_was_begun_before_the_halt_neither_end_it_nor_lengthen_it() {
    let halts = Halts::default();
    let early: Vec<_> = (0..5).map(|_| halts.may_begin(ONE, secs(0))).collect();
    let early: Vec<_> = early.into_iter().map(|pass| pass.expect("it")).collect();
    for pass in &early[..3] {
        halts.note(*pass, another(ONE), HALTED, secs(1));
    }
    assert!(!halts.still_permits(early[3], ONE), "it is not begun");
    let changes = |pass, outcome, now| halts.note(pass, another(ONE), outcome, secs(now)).changes;
    assert_eq!(changes(early[3], HALTED, 2), []);
    assert_eq!(changes(early[4], GatewayOutcome::Done, 3), []);
    assert!(halts.is_halted() && halts.wants_probe(secs(61)));
}

#[test]
fn a_probe_that_was_not_begun_leaves_its_place_to_another() {
    let halts = halted_at(0);
    let pass = halts.may_begin(ONE, secs(60)).expect("the probe");
    halts.lapsed(pass, ONE, secs(61));
    assert!(halts.wants_probe(secs(61)));
    assert!(halts.may_begin(OTHER, secs(61)).is_some());
}

#[test]
fn a_probe_in_doubt_is_followed_by_a_longer_pause() {
    for outcome in [GatewayOutcome::Unsure, GatewayOutcome::NotSent] {
        let halts = halted_at(0);
        assert_eq!(send(&halts, ONE, outcome, 60), []);
        assert!(halts.is_halted() && halts.holds(secs(179)) && halts.wants_probe(secs(180)));
    }
}

#[test]
fn a_mailing_halts_at_once_and_others_go_on() {
    let halts = Halts::default();
    assert_eq!(send(&halts, ONE, MAILING_HALTED, 0), [Some(60)]);
    assert_eq!(halts.may_begin(ONE, secs(59)), None);
    assert!(halts.holds_mailing(ONE, secs(59)) && !halts.holds_mailing(OTHER, secs(59)));
    assert!(!halts.holds(secs(59)), "the gateway takes others");
    assert_eq!(send(&halts, OTHER, GatewayOutcome::Done, 59), []);

    assert_eq!(send(&halts, ONE, MAILING_HALTED, 60), [Some(120)]);
    assert_eq!(send(&halts, ONE, GatewayOutcome::Done, 180), [None]);
    assert_eq!(halts.halted_mailings(secs(180)), 0);
    assert!(halts.is_quiet());
}

#[test]
fn a_mailing_that_is_halted_is_no_probe_of_its_gateway() {
    let halts = Halts::default();
    assert_eq!(send(&halts, ONE, MAILING_HALTED, 0), [Some(60)]);
    assert_eq!(send(&halts, ONE, MAILING_HALTED, 60), [Some(120)]);
    for _ in 0..3 {
        send(&halts, OTHER, HALTED, 70);
    }
    assert_eq!(halts.may_begin(ONE, secs(130)), None);
    assert_eq!(send(&halts, OTHER, GatewayOutcome::Done, 130), [None]);
}

#[test]
fn a_mailing_that_nobody_probes_any_more_is_forgotten() {
    let halts = Halts::default();
    send(&halts, ONE, MAILING_HALTED, 0);
    assert_eq!(halts.halted_mailings(secs(180)), 1);
    assert_eq!(halts.halted_mailings(secs(181)), 0);
    assert!(halts.is_quiet());
}

#[test]
fn one_message_that_halts_over_and_over_halts_no_gateway() {
    let halts = Halts::default();
    let bad = subject(ONE, 7);
    let first = send_one(&halts, bad, HALTED, 0);
    assert_eq!(first, HaltNews::default(), "the first time is no try");
    for now in 1..10 {
        let news = send_one(&halts, bad, HALTED, now);
        assert!(news.halts_again && news.changes.is_empty(), "{news:?}");
    }
    assert!(!halts.is_halted());

    // Others are counted beside it.
    assert_eq!(send(&halts, ONE, HALTED, 10), []);
    assert_eq!(send(&halts, ONE, HALTED, 10), [Some(60)]);
}

#[test]
fn a_message_that_halts_again_is_known_although_the_gateway_took_another_between() {
    let halts = Halts::default();
    let bad = subject(ONE, 7);
    send_one(&halts, bad, HALTED, 0);
    send(&halts, ONE, GatewayOutcome::Done, 1);
    assert!(halts.is_quiet());
    assert!(send_one(&halts, bad, HALTED, 2).halts_again);
    assert!(halts.is_quiet(), "the row has not begun");
}

#[test]
fn a_probe_that_halts_again_is_told_apart_so_that_the_next_one_is_another_message() {
    let halts = Halts::default();
    let mailing_halts = subject(ONE, 7);
    assert!(!send_one(&halts, mailing_halts, MAILING_HALTED, 0).halts_again);
    let probe = send_one(&halts, mailing_halts, MAILING_HALTED, 60);
    assert!(probe.halts_again && probe.changes.len() == 1, "{probe:?}");
}

#[test]
fn halted_mailings_are_not_wanted_until_their_probe_is_due() {
    let halts = Halts::default();
    assert_eq!(halts.unwanted(secs(0)), []);
    send(&halts, OTHER, MAILING_HALTED, 0);
    send(&halts, ONE, MAILING_HALTED, 10);
    assert_eq!(halts.unwanted(secs(59)), [ONE, OTHER]);
    assert_eq!(halts.unwanted(secs(60)), [ONE]);

    // A probe is enough.
    let probe = halts.may_begin(OTHER, secs(60)).expect("the probe");
    assert_eq!(halts.unwanted(secs(61)), [ONE, OTHER]);
    halts.note(probe, another(OTHER), GatewayOutcome::Done, secs(62));
    assert_eq!(halts.unwanted(secs(62)), [ONE]);
}

#[test]
fn no_more_mailings_are_named_than_an_ask_may() {
    let halts = Halts::default();
    for number in 0..100 {
        send(&halts, MailingNumber(number), MAILING_HALTED, 0);
    }
    assert_eq!(halts.unwanted(secs(1)).len(), UNWANTED);
}
