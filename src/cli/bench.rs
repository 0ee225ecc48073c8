//! `notty bench`: measures, always beside a baseline in the same run, because machines wander.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::{Value, json};

use super::{
    client::{Client, count},
    out,
    process::{self, Own},
    sample,
};

mod bare;
mod stats;

/// Between two looks at the mailing, and between two reads by id.
const LOOK: Duration = Duration::from_millis(10);
/// How long a turn may take.
const TURN: Duration = Duration::from_secs(3_600);

#[derive(Debug, clap::Args)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// From the first to the last message at the gateway, in turns with the bare client
    ///
    /// Node and practice gateway are processes of their own. The bare client is the same gateway
    /// client with nothing behind it: what it reaches is the most that there is to reach here.
    Dispatch(DispatchArgs),
    /// How long stats take with few messages and with many
    Stats(stats::StatsArgs),
    /// The bare client by itself
    #[command(hide = true)]
    Bare(bare::BareArgs),
}

#[derive(Debug, clap::Args)]
struct DispatchArgs {
    /// Customers, each of whom gets one message
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    customers: u64,
    /// What the gateway waits before each answer
    #[arg(long, value_name = "N", default_value_t = 0)]
    latency_ms: u64,
    /// Requests in flight
    #[arg(long, value_name = "N", default_value_t = 256)]
    concurrency: usize,
    /// Turns; the medians count
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Print one JSON record instead of the table
    #[arg(long)]
    json: bool,
}

/// What one turn measured.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    rate: f64,
    cpu_micros: f64,
    gateway_micros: f64,
    peak_bytes: u64,
    disk_bytes: u64,
    import_rate: f64,
    read_p99_ms: f64,
}

pub(super) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    match &args.what {
        What::Dispatch(args) => process::block_on(dispatch(args)),
        What::Stats(args) => process::block_on(stats::run(args)),
        What::Bare(args) => bare::run(args),
    }
}

async fn dispatch(args: &DispatchArgs) -> anyhow::Result<()> {
    let (mut bare, mut notty) = (Vec::new(), Vec::new());
    for round in 1..=args.rounds {
        bare.push(bare_turn(args).await?);
        notty.push(notty_turn(args).await?);
        if !args.json {
            let (bare, notty) = (bare[bare.len() - 1].rate, notty[notty.len() - 1].rate);
            out::note(&format!("round {round}: bare {bare:.0}/s, notty {notty:.0}/s"));
        }
    }
    show(args, &bare, &notty);
    Ok(())
}

/// A percentile of some figures; 0 if there are none.
fn percentile(figures: &mut [f64], percent: usize) -> f64 {
    figures.sort_by(f64::total_cmp);
    let at = figures.len().saturating_sub(1) * percent / 100;
    figures.get(at).copied().unwrap_or(0.0)
}

fn median(turns: &[Turn], figure: impl Fn(&Turn) -> f64) -> f64 {
    let mut figures: Vec<_> = turns.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn show(args: &DispatchArgs, bare: &[Turn], notty: &[Turn]) {
    let rate = |turns: &[Turn]| median(turns, |turn| turn.rate);
    let ratios: Vec<_> = notty
        .iter()
        .zip(bare)
        .map(|(notty, bare)| Turn { rate: notty.rate / bare.rate, ..Turn::default() })
        .collect();
    let ratio = rate(&ratios);
    let cpu = |turns: &[Turn]| median(turns, |turn| turn.cpu_micros);
    let gateway = |turns: &[Turn]| median(turns, |turn| turn.gateway_micros);
    let peak = median(notty, |turn| turn.peak_bytes as f64) / 1e6;
    let disk = median(notty, |turn| turn.disk_bytes as f64) / 1e6;
    let import = median(notty, |turn| turn.import_rate);
    let read = median(notty, |turn| turn.read_p99_ms);
    if args.json {
        let record = json!({
            "bench": "dispatch", "customers": args.customers, "latency_ms": args.latency_ms,
            "concurrency": args.concurrency, "rounds": args.rounds,
            "bare": { "rate": rate(bare), "cpu_micros": cpu(bare), "gateway_micros": gateway(bare) },
            "notty": { "rate": rate(notty), "cpu_micros": cpu(notty),
                "gateway_micros": gateway(notty), "peak_mb": peak, "disk_mb": disk,
                "import_rate": import, "read_p99_ms": read },
            "ratio": ratio,
        });
        out::line(&record.to_string());
        return;
    }
    out::line("                 messages/s   CPU µs/message   gateway CPU µs/message");
    let row = |name: &str, turns: &[Turn]| {
        let (rate, cpu, gateway) = (rate(turns), cpu(turns), gateway(turns));
        out::line(&format!("{name:<14} {rate:>12.0} {cpu:>16.1} {gateway:>24.1}"));
    };
    row("bare client", bare);
    row("notty", notty);
    out::line(&format!("ratio          {ratio:>12.2}"));
    out::line(&format!("import         {import:>12.0} rows/s"));
    out::line(&format!("read by id     {read:>12.2} ms p99, while sending"));
    out::line(&format!("peak memory    {peak:>12.0} MB, data on the disk {disk:.0} MB"));
}

fn start_gateway(latency_ms: u64) -> anyhow::Result<Own> {
    let latency = latency_ms.to_string();
    let args = ["gateway", "--listen", "127.0.0.1:0", "--latency-ms", &latency];
    Own::start(&args, &[], false)
}

/// A node with its data in a directory, once it can serve.
async fn start_node(
    dir: &Path,
    gateway: &Own,
    concurrency: usize,
) -> anyhow::Result<(Own, Client)> {
    let data = dir.join("data").display().to_string();
    let environment = [
        ("NOTTY_GATEWAY__URL", format!("http://{}/v1/send", gateway.address)),
        ("NOTTY_GATEWAY__CONCURRENCY", concurrency.to_string()),
    ];
    let serve = ["serve", "--data-dir", &data, "--listen", "127.0.0.1:0"];
    let node = Own::start(&serve, &environment, true)?;
    let client = Client::new(&format!("http://{}", node.address))?;
    client.await_ready(Duration::from_secs(20)).await?;
    Ok((node, client))
}

/// Creates the mailing: to everyone, from now on for an hour.
async fn start_mailing(client: &Client) -> anyhow::Result<()> {
    let now = jiff::Timestamp::now();
    let end = now.checked_add(jiff::Span::new().hours(1))?;
    let mailing = json!({ "id": "bench", "text": "Hello from the benchmark!",
        "start": now.to_string(), "end": end.to_string() });
    client.post("/mailings", &mailing).await?;
    Ok(())
}

async fn is_caught_up(client: &Client) -> anyhow::Result<bool> {
    let mailing = client.get("/mailings/bench").await?;
    Ok(mailing.get("caught_up").and_then(Value::as_bool) == Some(true))
}

/// Messages that the gateway took, and its rate from the first to the last.
async fn gateway_rate(gateway: &Own) -> anyhow::Result<(u64, f64)> {
    let tally = Client::new(&format!("http://{}", gateway.address))?.get("/stats").await?;
    anyhow::ensure!(count(&tally, "duplicates") == 0, "the gateway saw duplicates: {tally}");
    let messages = count(&tally, "messages");
    Ok((messages, messages as f64 / (count(&tally, "span_ms").max(1) as f64 / 1e3)))
}

async fn bare_turn(args: &DispatchArgs) -> anyhow::Result<Turn> {
    let gateway = start_gateway(args.latency_ms)?;
    let url = format!("http://{}/v1/send", gateway.address);
    let (count, concurrency) = (args.customers.to_string(), args.concurrency.to_string());
    let bare = std::process::Command::new(std::env::current_exe()?)
        .args(["bench", "bare", "--url", &url, "--count", &count, "--concurrency", &concurrency])
        .output()
        .context("the bare client could not be started")?;
    let record: Value = serde_json::from_slice(&bare.stdout).context("the bare client failed")?;
    let (messages, rate) = gateway_rate(&gateway).await?;
    anyhow::ensure!(messages == args.customers, "the bare client sent {messages}");
    let cpu = record.get("cpu_micros").and_then(Value::as_u64).unwrap_or(0);
    Ok(Turn {
        rate,
        cpu_micros: cpu as f64 / messages as f64,
        gateway_micros: gateway.cost().cpu_micros as f64 / messages as f64,
        ..Turn::default()
    })
}

async fn notty_turn(args: &DispatchArgs) -> anyhow::Result<Turn> {
    let gateway = start_gateway(args.latency_ms)?;
    let dir = tempfile::Builder::new().prefix("notty-bench-").tempdir()?;
    let (node, client) = start_node(dir.path(), &gateway, args.concurrency).await?;
    let began = Instant::now();
    client.upload("/customers/import", "text/csv", sample::stream(args.customers)).await?;
    let import_rate = args.customers as f64 / began.elapsed().as_secs_f64();
    let (node_before, gateway_before) = (node.cost(), gateway.cost());
    start_mailing(&client).await?;
    let read_p99_ms = read_while_sending(&client, args.customers).await?;
    let stats = client.get("/stats/mailings/bench").await?;
    let (messages, rate) = gateway_rate(&gateway).await?;
    anyhow::ensure!(messages == count(&stats, "done"), "{messages} at the gateway, state: {stats}");
    anyhow::ensure!(messages == args.customers, "{messages} of {} sent", args.customers);
    let (node_cost, gateway_cost) = (node.cost(), gateway.cost());
    let each = |micros: u64| micros as f64 / messages as f64;
    Ok(Turn {
        rate,
        cpu_micros: each(node_cost.cpu_micros - node_before.cpu_micros),
        gateway_micros: each(gateway_cost.cpu_micros - gateway_before.cpu_micros),
        peak_bytes: node_cost.peak_bytes,
        disk_bytes: process::disk_bytes(dir.path()),
        import_rate,
        read_p99_ms,
    })
}

/// Reads customers by id until the mailing is caught up; the 99th percentile of what a read took.
async fn read_while_sending(client: &Client, customers: u64) -> anyhow::Result<f64> {
    let mut took_ms = Vec::new();
    let began = Instant::now();
    let mut looked = Instant::now();
    for n in 0_u64.. {
        if looked.elapsed() >= LOOK * 20 {
            looked = Instant::now();
            if is_caught_up(client).await? {
                break;
            }
            anyhow::ensure!(began.elapsed() < TURN, "the mailing is not caught up after an hour");
        }
        // Jumps about, so that neighbours in a block are no help.
        let id = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % customers + 1;
        let at = Instant::now();
        client.get(&format!("/customers/customer-{id:07}")).await?;
        took_ms.push(at.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(LOOK).await;
    }
    Ok(percentile(&mut took_ms, 99))
}
