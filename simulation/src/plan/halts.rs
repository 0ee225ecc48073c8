//! Spans of time in which the gateway takes nothing, or nothing of one mailing, as a provider does: no money,
//! a forbidden text.
//!
//! Such a gateway speaks as a provider, because only a profile knows answers that halt. Mailings last until a
//! halt has surely ended, so that everything that is still due must be sent.

use std::path::Path;

use notty::config::gateways::ProviderConfig;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{Fate, GatewayMix, MOOD_COUNT, MailingPlan, Plan};

/// The profile of the simulated gateway.
pub const PROVIDER: &str = include_str!("provider.toml");
/// Its file, beside the data directory of a machine.
pub const PROVIDER_FILE: &str = "simulated.toml";

/// One seed in so many has halts.
const EVERY: u64 = 5;
/// The earliest beginning of a span: the cluster has formed, in milliseconds.
const FIRST_MS: u64 = 5_000;
/// The pauses of a postman before its probes, in milliseconds; the last one goes on.
pub const PROBE_PAUSES_MS: [u64; 5] = [60_000, 120_000, 240_000, 480_000, 900_000];
/// Time for everything that is still due, in milliseconds: the breaker may rest for a minute first.
const SENDING_MS: u64 = 70_000;

/// A span of time in which the gateway halts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HaltSpan {
    /// Its beginning, in milliseconds.
    pub from_ms: u64,
    /// Its end; `None`: it has none.
    pub until_ms: Option<u64>,
    /// The machine whose address is not served; `None`: that of every machine.
    pub machine: Option<usize>,
    /// The mailing whose text is forbidden, by its place in the plan; `None`: nothing is taken.
    pub mailing: Option<usize>,
}

impl HaltSpan {
    fn is_at(&self, now_ms: u64) -> bool {
        now_ms >= self.from_ms && self.until_ms.is_none_or(|until| now_ms < until)
    }

    fn stops(&self, mailing: usize) -> bool {
        self.mailing.is_none_or(|stopped| stopped == mailing)
    }
}

impl Plan {
    /// The text of a mailing. Where there are halts, the gateway knows mailings by their texts.
    pub fn text(&self, mailing: &MailingPlan) -> String {
        if self.halts.is_empty() {
            return "Good day".to_owned();
        }
        format!("Good day from {}", mailing.id)
    }

    /// The span that a request falls into, by its host and its text; one without a mailing first.
    pub fn halt_of(&self, now_ms: u64, host: &str, text: &str) -> Option<HaltSpan> {
        let is_for = |span: &&HaltSpan| {
            let text_of = |n: usize| self.text(&self.mailings[n]);
            span.is_at(now_ms)
                && span.machine.is_none_or(|n| self.host(n) == host)
                && span.mailing.is_none_or(|n| text_of(n) == text)
        };
        let spans = self.halts.iter().filter(is_for);
        spans.min_by_key(|span| span.mailing).copied()
    }

    /// The time until which everything that was due of a mailing must be sent, in milliseconds; `None` if its
    /// text stays forbidden.
    pub fn sent_by_ms(&self, mailing: usize) -> Option<u64> {
        let spans = self.halts.iter().filter(|span| span.stops(mailing));
        let spans: Vec<_> = spans.collect();
        let Some(from) = spans.iter().map(|span| span.from_ms).min() else {
            return Some(self.quiet_ms + SENDING_MS);
        };

        let ends: Option<Vec<u64>> = spans.iter().map(|span| span.until_ms).collect();
        let end = ends?.into_iter().fold(self.quiet_ms, u64::max);
        Some(end + last_pause_ms(from, end) + SENDING_MS)
    }

    /// The gateway once nothing strikes any more: after a halt, it has much to take.
    pub fn calm_gateway(&self) -> GatewayMix {
        let latency_ms = if self.halts.is_empty() {
            self.gateway.latency_ms
        } else {
            (1, 20)
        };
        GatewayMix {
            shares: [0; MOOD_COUNT],
            latency_ms,
        }
    }

    /// The gateway as a provider, where it halts.
    pub(super) fn providers(&self, data_dir: &Path) -> Vec<ProviderConfig> {
        if self.halts.is_empty() {
            return Vec::new();
        }
        vec![ProviderConfig {
            name: "simulated".to_owned(),
            profile_file: data_dir.with_file_name(PROVIDER_FILE),
            concurrency: self.concurrency,
            connect_timeout_ms: self.connect_timeout_ms,
            timeout_ms: self.gateway_timeout_ms,
            ..ProviderConfig::default()
        }]
    }
}

/// The longest pause of a postman that halts in a span: one of before the end of it may have just begun.
fn last_pause_ms(from_ms: u64, end_ms: u64) -> u64 {
    let mut probe = from_ms;
    for pause in PROBE_PAUSES_MS {
        probe += pause;
        if probe >= end_ms {
            return pause;
        }
    }
    PROBE_PAUSES_MS[4]
}

/// In some seeds, the gateway halts. Drawn by itself, so that all other draws stay as they are.
pub(super) fn draw(plan: &mut Plan) {
    if plan.seed % EVERY != 1 {
        return;
    }
    let rng = &mut StdRng::seed_from_u64(plan.seed ^ 0x6861_6c74);
    // Providers do not drop repeats.
    plan.idempotent = false;

    let kind = rng.random_range(0..4);
    if kind != 0 {
        let count = rng.random_range(1..=2);
        let spans: Vec<_> = (0..count).map(|_| of_all(rng, plan)).collect();
        plan.halts.extend(spans);
    }
    if kind < 2 {
        plan.halts.push(of_text(rng, plan));
    }
    last_longer(plan);
}

/// The provider takes nothing for some seconds, or until the end of all faults.
fn of_all(rng: &mut StdRng, plan: &Plan) -> HaltSpan {
    let from_ms = rng.random_range(FIRST_MS..plan.quiet_ms - FIRST_MS);
    let short_ms = from_ms + rng.random_range(500..5_000);
    let until_ms = if rng.random() {
        plan.quiet_ms
    } else {
        short_ms
    };
    HaltSpan {
        from_ms,
        until_ms: Some(until_ms),
        machine: any_machine(rng, plan),
        mailing: None,
    }
}

/// The provider forbids a text for a time, or for ever.
fn of_text(rng: &mut StdRng, plan: &Plan) -> HaltSpan {
    let from_ms = rng.random_range(FIRST_MS..plan.quiet_ms - FIRST_MS);
    let end_ms = rng.random_range(from_ms..plan.quiet_ms);
    let until_ms = rng.random::<bool>().then_some(end_ms);
    HaltSpan {
        from_ms,
        until_ms,
        machine: any_machine(rng, plan),
        mailing: Some(rng.random_range(0..plan.mailings.len())),
    }
}

fn any_machine(rng: &mut StdRng, plan: &Plan) -> Option<usize> {
    let machine = rng.random_range(0..plan.machines());
    rng.random::<bool>().then_some(machine)
}

/// Two mailings last until everything that is due of them must be sent.
fn last_longer(plan: &mut Plan) {
    for n in 0..2 {
        let Some(end_ms) = plan.sent_by_ms(n) else {
            continue;
        };
        let mailing = &mut plan.mailings[n];
        mailing.end_ms = end_ms;
        mailing.fate = Fate::Kept;
        mailing.window = None;
    }
}
