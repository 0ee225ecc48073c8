//! What each rule is there for.

use notty_storage::planted::Planted;

use super::{Scenario, calm, kill, mailing};
use crate::{
    faults::{Fault, JOURNAL_DAMAGES, Target},
    plan::{Fate, GatewayMix, Mood, Plan},
};

pub(super) const SCENARIOS: &[Scenario] = &[
    rule(
        "a_postman_stays_away_for_longer_than_its_leases",
        Planted::RequeueOnExpiry,
        long_away,
    ),
    rule(
        "two_postmen_ask_for_the_same_mailing",
        Planted::GrantUnchecked,
        || calm(1),
    ),
    rule(
        "a_client_repeats_itself_to_a_node_with_a_snapshot",
        Planted::RepliesNotInSnapshot,
        repeats,
    ),
    rule("the_power_goes_after_votes", Planted::VoteNotSynced, votes),
    rule(
        "the_power_goes_after_appends",
        Planted::AppendNotSynced,
        appends,
    ),
    rule(
        "the_gateway_takes_and_hangs_up",
        Planted::UnsureIsNotSent,
        hangs_up,
    ),
    rule(
        "answers_to_reports_are_lost",
        Planted::OldReportAccepted,
        lost_receipts,
    ),
    rule("a_node_loses_its_disk", Planted::WipedNodeVotes, lost_disk),
    Scenario {
        name: "leaders_fall_while_they_expand",
        rule: None,
        plan: falling_leaders,
    },
    rule("clocks_differ_a_little", Planted::ClockInApply, skewed),
    rule(
        "a_postman_contradicts_itself",
        Planted::LaterReportWins,
        contradictions,
    ),
    rule(
        "all_clocks_jump_for_some_seconds",
        Planted::JumpBelieved,
        jumping,
    ),
    rule(
        "a_mailing_is_cancelled_behind_a_postmans_back",
        Planted::ViewUnchecked,
        cancelled,
    ),
    rule(
        "a_state_is_damaged_under_its_node",
        Planted::DamageUnmarked,
        damaged,
    ),
    rule(
        "doubts_meet_another_account",
        Planted::DoubtGoesAnywhere,
        new_accounts,
    ),
    rule(
        "journals_are_damaged",
        Planted::DamageIsNeverBegun,
        damaged_journals,
    ),
    rule(
        "most_answers_are_lost_and_never_many_in_a_row",
        Planted::BreakerCountsRowsOnly,
        lossy,
    ),
    rule(
        "the_gateway_asks_to_wait_now_and_then",
        Planted::PauseIgnored,
        asks_to_wait,
    ),
    Scenario {
        name: "an_idempotent_gateway_declines_repeats",
        rule: None,
        plan: declines_repeats,
    },
    rule(
        "customers_share_phones_and_swap_them",
        Planted::SharedPhonesUnseen,
        shared_phones,
    ),
    rule(
        "receipts_come_before_lost_answers",
        Planted::ReceiptUnheeded,
        receipts,
    ),
    rule(
        "receipts_come_of_messages_that_were_declined",
        Planted::ReceiptUntold,
        declined_receipts,
    ),
];

pub(super) const fn rule(name: &'static str, rule: Planted, plan: fn() -> Plan) -> Scenario {
    Scenario {
        name,
        rule: Some(rule),
        plan,
    }
}

/// Two clients write customers of their own, who have fewer phones than they are, while mailings to
/// everybody follow each other.
fn shared_phones() -> Plan {
    let mailings = ["m0", "m1", "m2"].into_iter().zip([3_000, 9_000, 15_000]);
    Plan {
        clients: 2,
        mailings: mailings
            .map(|(id, from)| mailing(id, from, 40_000))
            .collect(),
        quiet_ms: 32_000,
        ..calm(17)
    }
}

/// A gateway that does one thing to so many of a thousand.
fn gateway(mood: Mood, per_mille: u32) -> GatewayMix {
    GatewayMix {
        latency_ms: (200, 900),
        ..GatewayMix::only(mood, per_mille)
    }
}

fn long_away() -> Plan {
    let faults = vec![(6_000, kill(Target::Node(1), true, 12_000))];
    Plan { faults, ..calm(1) }
}

/// A node is away while the others write snapshots; keys of before are used again after that.
fn repeats() -> Plan {
    let away = |node| Fault::LongOutage {
        target: Target::Node(node),
        down_ms: 4_000,
    };
    let faults = vec![(5_000, away(1)), (12_000, away(2)), (19_000, away(0))];
    Plan {
        faults,
        clients: 3,
        ..calm(1)
    }
}

/// Leaders fall, and right after the next is elected, everyone who voted for it.
fn votes() -> Plan {
    let mut faults = vec![];
    for round in 0..5 {
        let at = 4_000 + round * 4_000;
        faults.push((at, kill(Target::Leader, true, 1_000)));
        faults.extend((0..3).map(|node| (at + 2_300, kill(Target::Node(node), true, 300))));
    }
    Plan { faults, ..calm(1) }
}

/// The power goes everywhere at once, again and again.
fn appends() -> Plan {
    let mut faults = vec![];
    for round in 0..5 {
        let at = 5_000 + round * 4_000;
        faults.extend((0..3).map(|node| (at, kill(Target::Node(node), true, 300))));
    }
    Plan { faults, ..calm(1) }
}

fn hangs_up() -> Plan {
    Plan {
        gateway: gateway(Mood::TakesAndResets, 200),
        ..calm(1)
    }
}

/// A standalone postman is cut off from what the nodes say, not from what it tells them.
fn lost_receipts() -> Plan {
    let mut faults = vec![];
    // In no step with the pauses between tries: each round meets reports at another moment.
    for round in 0..10 {
        let at = 4_500 + round * 2_300;
        let deaf = |node| Fault::OneWay {
            from: Target::Node(node),
            to: 3,
            ms: 1_200,
        };
        faults.extend((0..3).map(|node| (at, deaf(node))));
    }
    let gateway = gateway(Mood::Says429, 500);
    Plan {
        postmen: 1,
        gateway,
        faults,
        ..calm(1)
    }
}

/// One node is cut off while two agree; then one of the two loses its disk, and the other is away.
fn lost_disk() -> Plan {
    let faults = vec![
        (
            5_000,
            Fault::Partition {
                nodes: 0b100,
                all: true,
                ms: 3_500,
            },
        ),
        (
            8_300,
            Fault::Wipe {
                target: Target::Node(1),
            },
        ),
        (8_300, kill(Target::Node(0), false, 9_000)),
    ];
    Plan {
        faults,
        clients: 3,
        ..calm(1)
    }
}

/// A mailing starts, and its leader falls while the first entries of it are on their way over a slow
/// network; the next one has them in its log, and has not applied them. No rule is left out here: a
/// leader that waits for its clock to be compared has applied them before it looks. Stories of
/// `budgets` hold the check of the cursor.
fn falling_leaders() -> Plan {
    let starts = |round: u64| 6_000 + round * 6_000;
    let fall = |round| {
        (
            starts(round) + 60 + round * 20,
            kill(Target::Leader, false, 500),
        )
    };
    let mailings = (0..8)
        .map(|n| mailing(&format!("m{n}"), starts(n), 70_000))
        .collect();
    let faults = (0..8).map(fall).collect();
    let (latency_ms, customers, quiet_ms) = ((50, 70), 60, 60_000);
    Plan {
        faults,
        mailings,
        latency_ms,
        customers,
        quiet_ms,
        ..calm(1)
    }
}

fn skewed() -> Plan {
    Plan {
        skews_ms: vec![0, 300, -300],
        ..calm(1)
    }
}

/// All clocks jump by a year for four seconds, forward and back; so does the leader's by itself, and
/// everyone's by hours just when the machines lose their power.
fn jumping() -> Plan {
    const HOUR: i64 = 3_600_000;
    let all = |ms| Fault::Jump {
        target: None,
        ms,
        for_ms: 4_000,
    };
    let leader = Fault::Jump {
        target: Some(Target::Leader),
        ms: 8_760 * HOUR,
        for_ms: 4_000,
    };
    let mut faults = vec![
        (6_000, all(8_760 * HOUR)),
        (11_500, all(-8_760 * HOUR)),
        (17_000, leader),
        (22_000, all(5 * HOUR)),
    ];
    faults.extend((0..3).map(|node| (22_500, kill(Target::Node(node), true, 300))));
    let mailings = vec![mailing("m0", 3_000, 45_000), mailing("m1", 9_000, 40_000)];
    Plan {
        faults,
        mailings,
        quiet_ms: 35_000,
        ..calm(1)
    }
}

fn contradictions() -> Plan {
    Plan {
        faults: (0..10)
            .map(|n| (5_000 + n * 500, Fault::Contradict))
            .collect(),
        ..calm(1)
    }
}

/// A postman that hears nothing any more holds leases of a mailing that is cancelled, while all of
/// its slots wait for a gateway that hangs.
fn cancelled() -> Plan {
    let deaf = |node| {
        (
            9_900,
            Fault::OneWay {
                from: Target::Node(node),
                to: 3,
                ms: 5_000,
            },
        )
    };
    let mut faults: Vec<_> = (0..3).map(deaf).collect();
    let hangs = GatewayMix::only(Mood::Hangs, 1_000);
    faults.push((
        9_700,
        Fault::Gateway {
            mix: hangs,
            ms: 1_000,
        },
    ));
    let mut plan = Plan {
        postmen: 1,
        lease_ttl_ms: 15_000,
        customers: 1_500,
        faults,
        ..calm(1)
    };
    plan.mailings[0].fate = Fate::Cancelled(10_000);
    plan.gateway.latency_ms = (100, 150);
    plan
}

/// What is damaged, each time elsewhere, is met by what is applied and by what is applied again.
fn damaged() -> Plan {
    let spoil = |(n, per_mille)| {
        let target = Target::Node(n % 3);
        (
            8_000 + 2_500 * n as u64,
            Fault::Damage { target, per_mille },
        )
    };
    let faults = [200, 500, 800, 350, 650, 950]
        .into_iter()
        .enumerate()
        .map(spoil)
        .collect();
    Plan {
        faults,
        clients: 3,
        ..calm(1)
    }
}

/// An idempotent gateway takes messages and hangs up; while some of them wait to be repeated, all
/// postmen get another account there, which knows nothing of those.
fn new_accounts() -> Plan {
    let mut faults = vec![];
    for at in [8_000, 14_000, 20_000] {
        let new = |node| Fault::NewAccount {
            target: Target::Node(node),
            down_ms: 300,
        };
        faults.extend((0..3).map(|node| (at, new(node))));
    }
    let gateway = gateway(Mood::TakesAndResets, 100);
    Plan {
        idempotent: true,
        gateway,
        retry_ms: (2_000, 4_000),
        faults,
        ..calm(1)
    }
}

/// Postmen are killed with requests on their way, and find their journals damaged: each kind, in the
/// postman's own file and in its sender's, near the beginning and near the end.
fn damaged_journals() -> Plan {
    let mut faults = vec![];
    for (round, damage) in JOURNAL_DAMAGES.into_iter().cycle().take(8).enumerate() {
        let round = round as u64;
        let place = round / 4 * 64_007 + 64 * 120 + 1;
        let target = Target::Node(round as usize % 3);
        let fault = Fault::DamageJournal {
            target,
            damage,
            place,
            down_ms: 200,
        };
        faults.push((6_000 + round * 2_000, fault));
    }
    Plan {
        faults,
        lease_ttl_ms: 4_000,
        ..calm(1)
    }
}

/// Three in five answers are lost, all the time.
fn lossy() -> Plan {
    let latency_ms = (20, 50);
    let gateway = GatewayMix {
        latency_ms,
        ..gateway(Mood::TakesAndResets, 600)
    };
    Plan {
        gateway,
        one_name: true,
        customers: 800,
        ..calm(1)
    }
}

/// A few messages of a hundred are answered by a wish for a pause.
fn asks_to_wait() -> Plan {
    Plan {
        gateway: gateway(Mood::AsksToWait, 30),
        ..calm(1)
    }
}

/// A gateway takes messages and hangs up. Of their repeats, it refuses some for good, and declines others
/// for now: what it took must not end as refused.
fn declines_repeats() -> Plan {
    let mut gateway = gateway(Mood::TakesAndResets, 100);
    for (mood, per_mille) in [(Mood::Refuses, 200), (Mood::Says429, 100)] {
        gateway = gateway.and(mood, per_mille);
    }
    Plan {
        idempotent: true,
        gateway,
        retry_ms: (300, 1_000),
        ..calm(1)
    }
}

/// One answer in four is lost, and most receipts come early: some of them before the answer.
fn receipts() -> Plan {
    let gateway = GatewayMix {
        latency_ms: (400, 1_500),
        ..gateway(Mood::TakesAndResets, 250)
    };
    Plan {
        receipts: true,
        gateway,
        ..calm(3)
    }
}

/// Half of what the gateway takes, it declines all the same, so that it gets it again. Its receipts come while
/// postmen hold the next attempts, behind slots that wait for a gateway that hangs now and then.
fn declined_receipts() -> Plan {
    let hangs = GatewayMix::only(Mood::Hangs, 1_000);
    let times = [8_000, 12_000, 16_000, 20_000, 24_000];
    let hang = |at| {
        (
            at,
            Fault::Gateway {
                mix: hangs,
                ms: 700,
            },
        )
    };
    let gateway = GatewayMix {
        latency_ms: (100, 150),
        ..gateway(Mood::TakesAndSays503, 500)
    };
    Plan {
        receipts: true,
        gateway,
        lease_ttl_ms: 15_000,
        customers: 1_500,
        faults: times.into_iter().map(hang).collect(),
        ..calm(1)
    }
}
