//! `notty bench latency`: from the request that creates a mailing for one customer to the arrival of
//! its message at the gateway, on idle nodes and while a big mailing is sent.

use std::{
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::json;

use super::{
    super::nodes::Plan,
    Rounds,
    record::{Record, percentile},
    stage::Stage,
    wire::Wire,
};
use crate::gateway::practice::{Behaviour, Practice};

/// The time in which a message must arrive, or the benchmark fails.
const AT_MOST: Duration = Duration::from_secs(60);
/// The phone that the probes go to; no sample customer has it.
const PROBE_PHONE: u64 = 70_000_000_001;
/// The phones of the sample customers, who get the big mailing.
const SAMPLE_PHONES: &str = "+79%";
/// The time for which the CPU of idle nodes is measured.
const IDLE: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, clap::Args)]
pub(super) struct LatencyArgs {
    /// Number of mailings measured on idle nodes
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) mailings: u32,
    /// Customers of the big mailing that is sent meanwhile; 0: measure on idle nodes only
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(super) customers: u64,
    /// Number of nodes to start
    #[arg(long, default_value_t = 1, value_parser = super::nodes())]
    pub(super) nodes: u8,
    #[command(flatten)]
    pub(super) rounds: Rounds,
}

/// The medians of all rounds.
pub(super) async fn measure(args: &LatencyArgs) -> anyhow::Result<Record> {
    let mut rounds = Vec::new();
    for round in 0..args.rounds.rounds {
        let settings = vec![
            ("mailings", json!(args.mailings)),
            ("customers", json!(args.customers)),
            ("nodes", json!(args.nodes)),
        ];
        let mut record = Record::new("latency", settings);

        let gateway = Practice::new(String::new(), Behaviour::default());
        let address = gateway
            .spawn(TcpListener::bind("127.0.0.1:0")?)?
            .to_string();
        let mut stage = Stage::start(&Plan::new(usize::from(args.nodes), &address, 256)).await?;
        let mut probe = Probe::new(&stage, gateway, round).await?;

        idle(args, &stage, &mut probe, &mut record).await?;
        cost_of_idling(&mut stage, &mut record).await;
        if args.customers > 0 {
            loaded(args, &stage, &mut probe, &mut record).await?;
        }
        rounds.push(record);
    }
    Ok(Record::median(&rounds))
}

/// Creates mailings for one customer and waits for each at the gateway.
struct Probe {
    gateway: Arc<Practice>,
    wire: Wire,
    round: u32,
    sent: u32,
}

/// The times of one probe, in milliseconds since its request was begun.
struct Times {
    answered: f64,
    arrived: f64,
}

impl Probe {
    /// With a customer for its mailings.
    async fn new(stage: &Stage, gateway: Arc<Practice>, round: u32) -> anyhow::Result<Self> {
        let mut wire = Wire::connect(stage.address()).await?;
        let customer = json!({ "id": "probe", "phone": format!("+{PROBE_PHONE}") });
        wire.post("/customers", customer.to_string()).await?;
        Ok(Self {
            gateway,
            wire,
            round,
            sent: 0,
        })
    }

    /// Creates a mailing to one customer, and waits for its message at the gateway.
    async fn send(&mut self) -> anyhow::Result<Times> {
        self.sent += 1;
        let id = format!("probe-{}-{}", self.round, self.sent);
        let mailing = Stage::mailing(&id, &format!("+{PROBE_PHONE}"), 3_600)?;
        let arrival = self.gateway.await_phone(PROBE_PHONE);

        let began = Instant::now();
        let answered = self.wire.post("/mailings", mailing.to_string()).await?;
        let arrived = tokio::time::timeout(AT_MOST, arrival).await;
        let arrived = arrived.with_context(|| format!("{id} did not arrive"))??;
        let arrived = arrived.saturating_duration_since(began).as_secs_f64() * 1e3;
        Ok(Times { answered, arrived })
    }
}

/// Probes one after another, with pauses that meet the nodes' timers at different moments.
async fn idle(
    args: &LatencyArgs,
    stage: &Stage,
    probe: &mut Probe,
    record: &mut Record,
) -> anyhow::Result<()> {
    let mut answered_ms = Vec::new();
    let mut arrived_ms = Vec::new();
    for n in 0..args.mailings {
        let pause = 50 + u64::from(n) * 37 % 101;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let times = probe.send().await?;
        answered_ms.push(times.answered);
        arrived_ms.push(times.arrived);
    }
    let last = format!("probe-{}-{}", probe.round, probe.sent);
    stage.await_caught_up(&last).await?;

    record.add_times("answered", &mut answered_ms);
    record.add_times("arrived", &mut arrived_ms);
    Ok(())
}

/// Adds the share of a core that each node takes while nothing is to be done.
async fn cost_of_idling(stage: &mut Stage, record: &mut Record) {
    let costs = |stage: &Stage| -> Vec<u64> {
        stage
            .nodes
            .nodes
            .iter()
            .map(|node| node.cost().cpu_micros)
            .collect()
    };
    let before = costs(stage);
    tokio::time::sleep(IDLE).await;
    let shares = costs(stage)
        .into_iter()
        .zip(before)
        .map(|(after, before)| (after - before) as f64 / IDLE.as_micros() as f64 * 100.0);
    record.add("idle_cpu_percent", shares.fold(0.0, f64::max));
}

/// Probes while a big mailing is sent, until it has reached everybody.
async fn loaded(
    args: &LatencyArgs,
    stage: &Stage,
    probe: &mut Probe,
    record: &mut Record,
) -> anyhow::Result<()> {
    stage.import(args.customers).await?;
    let big = format!("big-{}", probe.round);
    // The node has closed the connection that stood idle meanwhile.
    probe.wire = Wire::connect(stage.address()).await?;
    stage.mail(&big, SAMPLE_PHONES, 3_600).await?;

    let mut arrived_ms = Vec::new();
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let arrived = probe.send().await?.arrived;
        // One that ended without the load says nothing about it.
        if stage.is_caught_up(&big).await? {
            break;
        }
        arrived_ms.push(arrived);
    }

    anyhow::ensure!(
        !arrived_ms.is_empty(),
        "the big mailing was over too soon: more --customers"
    );
    record.add("loaded_probes", arrived_ms.len() as f64);
    record.add_times("loaded", &mut arrived_ms);
    record.add("loaded_p90_ms", percentile(&mut arrived_ms, 90));
    Ok(())
}
