//! Any clause of any rule taken out, there is a history that violates what the clause is for.
//! `-- --nocapture` prints it.
//!
//! Every world here is one that `rules_in.rs` goes through with all rules in.

use std::io::Write;

use notty_model::{
    Clause, Rules,
    properties::{
        CLOSED_GETS_NOTHING, DONE_ENDS_IT, DONE_STANDS, GRANTED_WHEN_READY, HEARD_OF, ONE_TOKEN,
        OVER_IS_SETTLED, REACHED_ONCE, REPEAT_CLOSES_NOBODY, RUN_ONCE, TAKEN_IS_KNOWN, TAKEN_ONCE,
        UNDER_A_TOKEN,
    },
    worlds::{self, World},
};

/// A clause, the world in which it is missed, and what is then violated.
struct Case {
    clause: Clause,
    world: fn() -> World,
    violates: &'static [&'static str],
}

const fn case(clause: Clause, world: fn() -> World, violates: &'static [&'static str]) -> Case {
    Case {
        clause,
        world,
        violates,
    }
}

const CASES: [Case; 17] = [
    case(
        Clause::CommittedFirst,
        worlds::two_leaders,
        &[UNDER_A_TOKEN, TAKEN_ONCE],
    ),
    case(
        Clause::ApplyPicks,
        worlds::two_leaders,
        &[GRANTED_WHEN_READY, ONE_TOKEN, TAKEN_ONCE],
    ),
    case(Clause::SameLeaseAgain, worlds::two_postmen, &[HEARD_OF]),
    case(
        Clause::OneAnswer,
        worlds::two_postmen,
        &[UNDER_A_TOKEN, TAKEN_ONCE],
    ),
    case(
        Clause::NewerClosesOlder,
        worlds::one_name,
        &[CLOSED_GETS_NOTHING],
    ),
    case(
        Clause::SameNonceSameEpoch,
        worlds::one_name,
        &[REPEAT_CLOSES_NOBODY],
    ),
    case(
        Clause::ExpiryNeverResends,
        worlds::two_postmen,
        &[ONE_TOKEN, TAKEN_ONCE],
    ),
    case(
        Clause::ThreeWaysBack,
        worlds::two_postmen,
        &[ONE_TOKEN, TAKEN_ONCE],
    ),
    case(Clause::SettledByNow, worlds::closing, &[OVER_IS_SETTLED]),
    case(
        Clause::DoubtIsKept,
        worlds::idempotent_closing,
        &[TAKEN_IS_KNOWN],
    ),
    case(
        Clause::FirstReportWins,
        worlds::idempotent,
        &[DONE_STANDS, DONE_ENDS_IT],
    ),
    case(
        Clause::OldAttemptsAreOver,
        worlds::three_attempts,
        &[ONE_TOKEN, TAKEN_ONCE],
    ),
    case(Clause::DoneAfterAll, worlds::idempotent, &[DONE_ENDS_IT]),
    case(
        Clause::RepliesAreKept,
        worlds::repeats,
        &[RUN_ONCE, REACHED_ONCE],
    ),
    case(
        Clause::RepeatedUnderOneId,
        worlds::repeats,
        &[RUN_ONCE, REACHED_ONCE],
    ),
    case(Clause::NotedFirst, worlds::crash, &[TAKEN_ONCE]),
    case(Clause::WholeOrNothing, worlds::crash, &[TAKEN_ONCE]),
];

/// Takes out the clauses of one rule, one at a time.
fn rule(number: u8) {
    for case in CASES.iter().filter(|case| case.clause.rule() == number) {
        let world = (case.world)();
        for property in case.violates {
            let out = format!("rule {number} without {:?}, {}", case.clause, world.name);
            let Some(history) = world.violate(Rules::without(case.clause), property) else {
                panic!("{out}: nothing violates \"{property}\"");
            };
            let mut output = std::io::stdout().lock();
            writeln!(output, "{out}: not \"{property}\" after").expect("a line of output");
            for action in history {
                writeln!(output, "    {action:?}").expect("a line of output");
            }
        }
    }
}

#[test]
fn without_rule_1_one_message_is_sent_twice() {
    rule(1);
}

#[test]
fn without_rule_2_a_closed_postman_gets_more() {
    rule(2);
}

#[test]
fn without_rule_3_a_slow_postman_makes_it_two() {
    rule(3);
}

#[test]
fn without_rule_4_doubt_is_sent_again_or_forgotten() {
    rule(4);
}

#[test]
fn without_rule_5_a_late_report_sends_again() {
    rule(5);
}

#[test]
fn without_rule_6_a_repeat_is_a_second_mailing() {
    rule(6);
}

#[test]
fn without_rule_9_a_restart_sends_again() {
    rule(9);
}

#[test]
fn every_clause_is_taken_out() {
    assert_eq!(CASES.map(|case| case.clause), Clause::ALL);
    assert!((1..=6).all(|rule| Clause::ALL.iter().any(|clause| clause.rule() == rule)));
}
