//! `notty bench dispatch`: from the first to the last message at the gateway.

use anyhow::Context;
use serde_json::{Value, json};

use super::{
    super::{client::count, nodes::Plan, out},
    Rounds,
    read::read_while_sending,
    record::Record,
    stage::{Stage, Taker},
};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct DispatchArgs {
    /// Number of customers to import
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub(super) customers: u64,
    /// Number of mailings at once, each to all customers
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) mailings: u64,
    /// Delay of the gateway before each answer, in milliseconds
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) latency_ms: u64,
    /// Requests in flight, of all nodes together
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(super) concurrency: usize,
    /// Number of nodes to start
    #[arg(long, default_value_t = 1, value_parser = super::nodes())]
    pub(super) nodes: u8,
    /// Let only one follower send, to measure the cost of the other nodes
    #[arg(long)]
    pub(super) one_sends: bool,
    #[command(flatten)]
    pub(super) rounds: Rounds,
}

impl DispatchArgs {
    fn messages(&self) -> u64 {
        self.customers * self.mailings
    }

    fn settings(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("customers", json!(self.customers)),
            ("mailings", json!(self.mailings)),
            ("latency_ms", json!(self.latency_ms)),
            ("concurrency", json!(self.concurrency)),
            ("nodes", json!(self.nodes)),
            ("one_sends", json!(self.one_sends)),
            ("rounds", json!(self.rounds.rounds)),
        ]
    }
}

/// The medians of all rounds; in each, the bare client has its turn first.
pub(super) async fn measure(args: &DispatchArgs) -> anyhow::Result<Record> {
    let mut rounds = Vec::new();
    for n in 1..=args.rounds.rounds {
        let mut record = Record::new("dispatch", args.settings());
        let bare = bare(args, &mut record).await?;
        let rate = notty(args, &mut record).await?;
        record.add("ratio", rate / bare);
        out::note(&format!(
            "round {n}: bare client {bare:.0}/s, notty {rate:.0}/s"
        ));
        rounds.push(record);
    }
    Ok(Record::median(&rounds))
}

async fn bare(args: &DispatchArgs, record: &mut Record) -> anyhow::Result<f64> {
    let gateway = Taker::start(args.latency_ms)?;
    let url = format!("http://{}/v1/send", gateway.address());
    let (count, concurrency) = (args.messages().to_string(), args.concurrency.to_string());

    // A process of its own, so that its CPU time is counted apart.
    let bare = std::process::Command::new(std::env::current_exe()?)
        .args([
            "bench",
            "bare",
            "--url",
            &url,
            "--count",
            &count,
            "--concurrency",
            &concurrency,
        ])
        .output()
        .context("the bare client could not be started")?;
    let told: Value = serde_json::from_slice(&bare.stdout).context("the bare client failed")?;

    let (messages, rate) = gateway.rate().await?;
    anyhow::ensure!(
        messages == args.messages(),
        "the bare client sent {messages}"
    );

    let cpu = told.get("cpu_micros").and_then(Value::as_u64).unwrap_or(0);
    record.add("bare_rate", rate);
    record.add("bare_cpu_micros", cpu as f64 / messages as f64);
    record.add(
        "bare_gateway_cpu_micros",
        gateway.cpu_micros() as f64 / messages as f64,
    );
    Ok(rate)
}

async fn notty(args: &DispatchArgs, record: &mut Record) -> anyhow::Result<f64> {
    let gateway = Taker::start(args.latency_ms)?;
    let count_nodes = usize::from(args.nodes);
    let senders = if args.one_sends { 1 } else { count_nodes };
    let each = args.concurrency.div_ceil(senders);
    let plan = Plan::new(count_nodes, gateway.address(), each);
    let mut stage = Stage::start(&Plan {
        one_sends: args.one_sends,
        ..plan
    })
    .await?;

    stage.import(args.customers).await?;
    stage.begin();
    let before = gateway.cpu_micros();
    stage.mail_all(args.mailings).await?;
    let mut took_ms = read_while_sending(&stage, args.customers, args.mailings).await?;

    let stats = stage.client().get("/stats").await?;
    let (messages, rate) = gateway.rate().await?;
    let wanted = args.messages();
    anyhow::ensure!(
        messages == count(&stats, "done"),
        "{messages} at the gateway, state: {stats}"
    );
    anyhow::ensure!(messages == wanted, "{messages} of {wanted} sent");

    record.add("rate", rate);
    let spent = gateway.cpu_micros() - before;
    record.add("gateway_cpu_micros", spent as f64 / messages as f64);
    stage.add_costs(record, messages);
    record.add_times("read", &mut took_ms);
    Ok(rate)
}
