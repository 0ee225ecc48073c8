//! Histories that are written down instead of drawn: one for each rule that can be left out on
//! purpose, and one for each fault that seeds have found in the service.
//!
//! A scenario begins with a calm day of three nodes, one client and one mailing, and adds what its
//! rule is there for. Its seed decides only what is left to chance.

mod found;
mod halts;
mod rules;

use notty_raft::log::LogOptions;
use notty_storage::planted::Planted;

use crate::{
    faults::{Fault, Target},
    plan::{Fate, GatewayMix, MOOD_COUNT, MailingPlan, Plan},
};

/// A history that is written down.
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// The rule that it is about; it passes, and fails once this is left out.
    pub rule: Option<Planted>,
    /// What is planned.
    pub plan: fn() -> Plan,
}

/// All of them.
pub const SCENARIOS: &[&[Scenario]] = &[rules::SCENARIOS, halts::SCENARIOS, found::SCENARIOS];

/// The one of a name.
pub fn named(name: &str) -> Option<&'static Scenario> {
    SCENARIOS
        .iter()
        .flat_map(|some| *some)
        .find(|scenario| scenario.name == name)
}

/// 2026-03-02, 08:58 UTC.
const BASE_MS: i64 = 1_772_441_880_000;

/// A day on which nothing goes wrong.
fn calm(seed: u64) -> Plan {
    Plan {
        seed,
        nodes: 3,
        spares: 0,
        postmen: 0,
        one_postman: false,
        clients: 1,
        base_ms: BASE_MS,
        sled: false,
        upgrades: false,
        receipts: false,
        idempotent: false,
        one_name: false,
        concurrency: 4,
        lease_size: 20,
        lease_ttl_ms: 5_500,
        connect_timeout_ms: 500,
        gateway_timeout_ms: 2_000,
        retry_ms: (300, 2_000),
        log: LogOptions {
            segment_bytes: 20_000,
            cache_bytes: 20_000,
            kept_entries: 20,
            compact_bytes: 60_000,
        },
        customers: 240,
        mailings: vec![mailing("m0", 3_000, 30_000)],
        skews_ms: vec![0; 3],
        latency_ms: (0, 5),
        wait_s: 2,
        gateway: GatewayMix {
            shares: [0; MOOD_COUNT],
            latency_ms: (200, 900),
        },
        halts: Vec::new(),
        faults: Vec::new(),
        quiet_ms: 25_000,
    }
}

/// For everyone, from a moment to another.
fn mailing(id: &str, from_ms: u64, end_ms: u64) -> MailingPlan {
    MailingPlan {
        id: id.to_owned(),
        at_ms: from_ms,
        start_ms: from_ms,
        end_ms,
        tag_filter: "%",
        window: None,
        fate: Fate::Kept,
    }
}

/// A process is killed; with power, its machine too.
fn kill(target: Target, power: bool, down_ms: u64) -> Fault {
    Fault::Kill {
        target,
        power,
        down_ms,
    }
}
