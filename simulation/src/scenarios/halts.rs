//! Providers that halt, and what each rule about halts is there for.

use notty_storage::planted::Planted;

use super::{Scenario, calm, mailing, rules::rule};
use crate::plan::{HaltSpan, Plan};

pub(super) const SCENARIOS: &[Scenario] = &[
    rule(
        "the_account_is_empty_for_a_while",
        Planted::HaltRefuses,
        empty_account,
    ),
    rule(
        "one_node_is_not_served_for_a_while",
        Planted::HaltIsTry,
        banned_node,
    ),
    rule(
        "the_account_is_empty_for_minutes",
        Planted::HaltUnheeded,
        empty_for_minutes,
    ),
    rule(
        "a_text_is_forbidden_for_ever",
        Planted::HaltOfMailingSpreads,
        forbidden_text,
    ),
    rule(
        "a_text_is_forbidden_for_a_while",
        Planted::HaltNeverProbed,
        doubted_text,
    ),
];

/// Nothing is taken, from a moment to another.
fn all(from_ms: u64, until_ms: u64) -> HaltSpan {
    HaltSpan {
        from_ms,
        until_ms: Some(until_ms),
        machine: None,
        mailing: None,
    }
}

/// A day with halts, on which the mailing lasts until everything must be sent.
fn halting(seed: u64, halts: Vec<HaltSpan>) -> Plan {
    let mut plan = Plan {
        halts,
        ..calm(seed)
    };
    let by = plan.sent_by_ms(0);
    plan.mailings[0].end_ms = by.expect("no text is forbidden for ever");
    plan
}

fn empty_account() -> Plan {
    halting(1, vec![all(5_000, 20_000)])
}

fn banned_node() -> Plan {
    let span = HaltSpan {
        machine: Some(1),
        ..all(4_000, 20_000)
    };
    halting(1, vec![span])
}

/// Postmen probe in vain after one, two and four minutes at most.
fn empty_for_minutes() -> Plan {
    halting(1, vec![all(5_000, 200_000)])
}

/// Two mailings are sent at once, and the text of the first is forbidden.
fn forbidden_text() -> Plan {
    let forbidden = HaltSpan {
        until_ms: None,
        mailing: Some(0),
        ..all(3_000, 0)
    };
    let plan = Plan {
        halts: vec![forbidden],
        customers: 600,
        mailings: vec![mailing("m0", 3_000, 40_000), mailing("m1", 3_000, 95_000)],
        ..calm(1)
    };
    debug_assert_eq!(plan.sent_by_ms(1), Some(95_000));
    plan
}

fn doubted_text() -> Plan {
    let doubted = HaltSpan {
        mailing: Some(0),
        ..all(4_000, 20_000)
    };
    halting(1, vec![doubted])
}
