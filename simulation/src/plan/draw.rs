//! Drawing a plan from a seed.

use notty_raft::log::LogOptions;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::{Fate, GatewayMix, MOOD_COUNT, MailingPlan, Mood, Plan, USUAL_MOODS, halts};
use crate::faults::{Fault, JOURNAL_DAMAGES, Target};

/// 2026-03-02, 08:58 UTC: windows that begin or end at nine are met soon.
const BASE_MS: i64 = 1_772_441_880_000;
/// When the first fault may strike, in milliseconds: the cluster has formed by then.
const FIRST_FAULT_MS: u64 = 5_000;

/// The plan of a seed.
pub(super) fn plan(seed: u64) -> Plan {
    let rng = &mut StdRng::seed_from_u64(seed);
    let nodes = if rng.random_ratio(3, 4) { 3 } else { 5 };
    let quiet_ms = rng.random_range(35_000..75_000);
    let concurrency = rng.random_range(2..=8);
    let connect_timeout_ms = rng.random_range(300..1_000);
    let gateway_timeout_ms = rng.random_range(1_500..4_000);
    let lease_ttl_ms = connect_timeout_ms + gateway_timeout_ms + rng.random_range(2_000..6_000);
    let mut plan = Plan {
        seed,
        nodes,
        spares: 0,
        postmen: 0,
        one_postman: false,
        clients: rng.random_range(1..=3),
        base_ms: BASE_MS,
        sled: rng.random_ratio(1, 16),
        // Not drawn, so that all other draws stay as they are.
        upgrades: seed.is_multiple_of(4),
        receipts: seed.is_multiple_of(3),
        idempotent: rng.random_ratio(1, 6),
        one_name: rng.random_ratio(1, 10),
        concurrency,
        lease_size: rng.random_range(4..=60),
        lease_ttl_ms,
        connect_timeout_ms,
        gateway_timeout_ms,
        retry_ms: (rng.random_range(200..1_000), rng.random_range(2_000..8_000)),
        log: log(rng),
        customers: rng.random_range(150..450),
        mailings: Vec::new(),
        skews_ms: skews(rng, nodes),
        latency_ms: (0, rng.random_range(1..=30)),
        wait_s: rng.random_range(1..=3),
        gateway: GatewayMix {
            shares: usual(rng),
            latency_ms: (1, 1),
        },
        halts: Vec::new(),
        faults: Vec::new(),
        quiet_ms,
    };
    plan.mailings = mailings(rng, quiet_ms);
    if plan.receipts {
        // Not drawn either.
        let per_mille = (seed % 50) as u32;
        plan.gateway = plan.gateway.and(Mood::TakesAndSays503, per_mille);
    }
    plan.gateway.latency_ms = pace(rng, &plan);
    plan.postmen = *[0, 0, 1, 1, 2].choose(rng).expect("it is not empty");
    plan.one_postman = plan.postmen > 1 && rng.random_bool(0.5);
    plan.spares = usize::from(rng.random_ratio(1, 4));
    plan.faults = faults(rng, &plan);
    halts::draw(&mut plan);
    plan
}

fn log(rng: &mut StdRng) -> LogOptions {
    LogOptions {
        segment_bytes: rng.random_range(2_000..60_000),
        cache_bytes: rng.random_range(500..200_000),
        kept_entries: rng.random_range(1..200),
        compact_bytes: rng.random_range(20_000..400_000),
    }
}

/// Most clocks are right, some a little off.
fn skews(rng: &mut StdRng, nodes: usize) -> Vec<i64> {
    let off = rng.random_ratio(1, 3);
    (0..nodes)
        .map(|_| if off { rng.random_range(-700..=700) } else { 0 })
        .collect()
}

/// A gateway on a usual day does a little of everything; in some, it also asks to wait.
fn usual(rng: &mut StdRng) -> [u32; MOOD_COUNT] {
    let busy = rng.random_range(0..=8);
    let mut shares = [0; MOOD_COUNT];
    shares[..USUAL_MOODS].fill_with(|| rng.random_range(0..=busy));

    // A single such answer stops a postman for seconds.
    let asks_to_wait = &mut shares[12];
    *asks_to_wait = if rng.random_ratio(1, 3) {
        (*asks_to_wait).min(3)
    } else {
        0
    };
    shares
}

/// Answers take so long that sending lasts about as long as the faults.
fn pace(rng: &mut StdRng, plan: &Plan) -> (u64, u64) {
    let messages = u64::from(plan.customers) * plan.mailings.len() as u64;
    let postmen = if plan.one_name { 1 } else { plan.nodes as u64 };
    let slots = plan.concurrency as u64 * postmen;
    let lasting = plan.quiet_ms * rng.random_range(4..9) / 10;
    let mean = (lasting * slots / messages).clamp(10, plan.gateway_timeout_ms / 3);
    (mean / 4, mean * 7 / 4)
}

fn mailings(rng: &mut StdRng, quiet_ms: u64) -> Vec<MailingPlan> {
    let count = rng.random_range(2..=4);
    (0..count).map(|n| mailing(rng, n, quiet_ms)).collect()
}

fn mailing(rng: &mut StdRng, n: usize, quiet_ms: u64) -> MailingPlan {
    let at_ms = rng.random_range(3_000..quiet_ms / 3);
    let start_ms = at_ms + rng.random_range(0..5_000);
    let end_ms = match n {
        // One at least lasts.
        0 => quiet_ms + rng.random_range(5_000..15_000),
        _ => rng.random_range(start_ms + 8_000..quiet_ms + 15_000),
    };
    let middle =
        |rng: &mut StdRng| rng.random_range(start_ms..end_ms.min(quiet_ms).max(start_ms + 1));
    let fate = match rng.random_range(0..10) {
        _ if n == 0 => Fate::Kept,
        0 | 1 => Fate::Cancelled(middle(rng)),
        2 => Fate::Deleted(middle(rng)),
        3 | 4 => {
            let from = middle(rng);
            Fate::Paused(from, from + rng.random_range(1_000..8_000))
        }
        5 => {
            let at = middle(rng);
            Fate::Shortened(at, at + rng.random_range(1_500..6_000))
        }
        _ => Fate::Kept,
    };
    // Windows end, or begin, a minute or two after the beginning.
    let window = (n > 0 && rng.random_ratio(1, 3)).then(|| match rng.random_bool(0.5) {
        true => (539, 720),
        false => (480, 539),
    });
    let tag_filter = *["%", "%", "a%", "%new"]
        .choose(rng)
        .expect("it is not empty");
    MailingPlan {
        id: format!("m{n}"),
        at_ms,
        start_ms,
        end_ms,
        tag_filter,
        window,
        fate,
    }
}

/// How much of each kind of fault this seed has.
fn appetite(rng: &mut StdRng) -> [u32; Fault::KINDS] {
    std::array::from_fn(|_| *[0, 1, 1, 2, 4].choose(rng).expect("it is not empty"))
}

fn faults(rng: &mut StdRng, plan: &Plan) -> Vec<(u64, Fault)> {
    let mut faults = Vec::new();
    let appetite = appetite(rng);
    let most = rng.random_range(2_000..7_000);
    let mut at = FIRST_FAULT_MS + rng.random_range(0..3_000);
    // Whoever leads goes down once in each: that is the least that a bad day has.
    let fall = rng.random_range(10_000..plan.quiet_ms - 5_000);
    let down_ms = rng.random_range(2_500..6_000);
    faults.push((
        fall,
        Fault::Kill {
            target: Target::Leader,
            power: rng.random_bool(0.5),
            down_ms,
        },
    ));
    while at < plan.quiet_ms {
        if let Some(fault) = Fault::draw(rng, plan, &appetite) {
            faults.push((at, fault));
        }
        at += rng.random_range(500..most);
    }
    fall_at_starts(rng, plan, &mut faults);
    deafen_at_fates(rng, plan, &mut faults);
    lose_disk(rng, plan, &mut faults);
    change_members(rng, plan, &mut faults);
    spoil_states(rng, plan, &mut faults);
    jump_clocks(rng, plan, &mut faults);
    damage_journals(rng, plan, &mut faults);
    open_accounts(rng, plan, &mut faults);
    lose_answers(rng, plan, &mut faults);
    faults.sort_by_key(|(at, _)| *at);
    faults
}

/// In some, leaders fall just when mailings start, over a network so slow that what they propose is
/// still on its way.
fn fall_at_starts(rng: &mut StdRng, plan: &Plan, faults: &mut Vec<(u64, Fault)>) {
    if !rng.random_ratio(1, 4) {
        return;
    }
    for mailing in &plan.mailings {
        let (at, latency_ms) = (mailing.start_ms, rng.random_range(80..200));
        let down_ms = rng.random_range(100..4_000);
        let fall = Fault::Kill {
            target: Target::Leader,
            power: rng.random(),
            down_ms,
        };
        faults.push((
            at.saturating_sub(500),
            Fault::Slow {
                latency_ms,
                ms: 4_000,
            },
        ));
        faults.push((at + rng.random_range(50..600), fall));
    }
}

/// In some, a postman hears nothing just when a mailing is stopped, while its slots wait for a
/// gateway that hangs.
fn deafen_at_fates(rng: &mut StdRng, plan: &Plan, faults: &mut Vec<(u64, Fault)>) {
    if !rng.random_ratio(1, 3) {
        return;
    }
    for mailing in &plan.mailings {
        let (Fate::Cancelled(at) | Fate::Deleted(at) | Fate::Paused(at, _)) = mailing.fate else {
            continue;
        };
        let deaf = rng.random_range(0..plan.machines());
        let mut mix = plan.gateway;
        mix.shares[1] += 800;
        faults.push((at.saturating_sub(400), Fault::Gateway { mix, ms: 900 }));
        for node in (0..plan.nodes).filter(|node| *node != deaf) {
            let from = Target::Node(node);
            faults.push((
                at.saturating_sub(100),
                Fault::OneWay {
                    from,
                    to: deaf,
                    ms: 5_000,
                },
            ));
        }
    }
}

/// In a few, one node comes back with an empty disk, or with an old copy of its disk.
fn lose_disk(rng: &mut StdRng, plan: &Plan, faults: &mut Vec<(u64, Fault)>) {
    let at = rng.random_range(15_000..plan.quiet_ms);
    let target = Target::Node(rng.random_range(0..plan.nodes));
    match rng.random_range(0..16) {
        0 | 1 => faults.push((at, Fault::Wipe { target })),
        2 => {
            faults.push((
                rng.random_range(FIRST_FAULT_MS..at),
                Fault::CopyDisk { target },
            ));
            faults.push((at, Fault::OldDisk { target }));
        }
        _ => {}
    }
}

/// In some, journals are damaged.
fn damage_journals(rng: &mut StdRng, plan: &Plan, faults: &mut Vec<(u64, Fault)>) {
    if !rng.random_ratio(1, 4) {
        return;
    }
    for _ in 0..rng.random_range(1..=4) {
        let target = Target::Node(rng.random_range(0..plan.machines()));
        let damage = *JOURNAL_DAMAGES.choose(rng).expect("it is not empty");
        let (place, down_ms) = (rng.random(), rng.random_range(100..4_000));
        let at = rng.random_range(FIRST_FAULT_MS..plan.quiet_ms);
        faults.push((
            at,
            Fault::DamageJournal {
                target,
                damage,
                place,
                down_ms,
            },
        ));
    }
}

/// In some, postmen get another account at the gateway, all of them at about the same time.
fn open_accounts(rng: &mut StdRng, plan: &Plan, faults: &mut Vec<(u64, Fault)>) {
    if !rng.random_ratio(1, 4) {
        return;
    }
    let at = rng.random_range(FIRST_FAULT_MS..plan.quiet_ms);
    for machine in 0..plan.machines() {
        let (target, down_ms) = (Target::Node(machine), rng.random_range(100..2_000));
        let later = rng.random_range(0..6_000);
        faults.push((at + later, Fault::NewAccount { target, down_ms }));
    }
}

/// In some, a part of the gateway is bad for long: many answers are lost, and many are not.
fn lose_answers(rng: &mut StdRng, plan: &Plan, faults: &mut Vec<(u64, Fault)>) {
    if !rng.random_ratio(1, 4) {
        return;
    }
    let mood = *[
        Mood::TakesAndResets,
        Mood::TakesAndHangs,
        Mood::TakesAndSays502,
    ]
    .choose(rng)
    .expect("it is not empty");
    let mix = GatewayMix {
        latency_ms: plan.gateway.latency_ms,
        ..GatewayMix::only(mood, rng.random_range(300..950))
    };
    let at = rng.random_range(FIRST_FAULT_MS..plan.quiet_ms);
    faults.push((
        at,
        Fault::Gateway {
            mix,
            ms: rng.random_range(5_000..20_000),
        },
    ));
}

/// Where there is a spare node, it is taken in, and perhaps another one out after that; of five
/// nodes, perhaps one out anyway.
fn change_members(rng: &mut StdRng, plan: &Plan, faults: &mut Vec<(u64, Fault)>) {
    let at = rng.random_range(8_000..plan.quiet_ms - 8_000);
    if plan.spares > 0 {
        faults.push((at, Fault::Join { node: plan.nodes }));
    }
    if rng.random_bool(0.5) && (plan.spares > 0 || plan.nodes > 3) {
        let node = rng.random_range(0..plan.nodes);
        faults.push((rng.random_range(at..plan.quiet_ms), Fault::Leave { node }));
    }
}

/// In some, what a state holds is damaged, or a flush of it does not come to its end.
fn spoil_states(rng: &mut StdRng, plan: &Plan, faults: &mut Vec<(u64, Fault)>) {
    for _ in 0..rng.random_range(0..=3) {
        let at = rng.random_range(FIRST_FAULT_MS..plan.quiet_ms);
        let leads = rng.random_ratio(1, 3);
        let node = rng.random_range(0..plan.nodes);
        let target = if leads {
            Target::Leader
        } else {
            Target::Node(node)
        };
        let per_mille = rng.random_range(0..=1_000);
        let fault = match rng.random_ratio(1, 3) {
            true => Fault::HangFlush { target },
            false => Fault::Damage { target, per_mille },
        };
        // On sled there is no seam for it.
        if !plan.sled {
            faults.push((at, fault));
        }
    }
}

/// In some, clocks jump far for some seconds: one machine's, the leader's, or those of all.
fn jump_clocks(rng: &mut StdRng, plan: &Plan, faults: &mut Vec<(u64, Fault)>) {
    if !rng.random_ratio(1, 3) {
        return;
    }
    for _ in 0..rng.random_range(1..=3) {
        let target = match rng.random_range(0..4) {
            0 => Some(Target::Leader),
            1 => Some(Target::Node(rng.random_range(0..plan.machines()))),
            _ => None,
        };
        let (minute, year) = (60_000, 365 * 86_400_000);
        let far = *[7 * minute, 60 * minute, year, 40 * year]
            .choose(rng)
            .expect("not empty");
        let ms = if rng.random_ratio(1, 3) { -far } else { far };
        let for_ms = rng.random_range(300..8_000);
        faults.push((
            rng.random_range(FIRST_FAULT_MS..plan.quiet_ms),
            Fault::Jump { target, ms, for_ms },
        ));
    }
}
