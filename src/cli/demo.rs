//! `notty demo`: the whole thing in one command.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::{
    client::{Client, count},
    out, process, sample,
    watch::{STATUSES, follow},
};
use crate::{
    config::{Config, ConfigError},
    gateway::practice::{Behaviour, Practice},
    server::Server,
    surroundings::Surroundings,
    telemetry,
};

/// The demo's mailing.
const MAILING: &str = "demo";
/// Customers, at most: what a number of seven digits names.
const CUSTOMERS: u64 = 9_999_999;

#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// Sample customers
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    customers: u64,
    /// Nodes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=3))]
    nodes: u8,
    /// Kill the leader in the middle
    #[arg(long)]
    kill_leader: bool,
    /// End after the balance, instead of serving until Ctrl-C
    #[arg(long)]
    exit: bool,
}

pub(super) fn run(args: &DemoArgs) -> anyhow::Result<()> {
    if args.nodes != 1 || args.kill_leader {
        let what = "this version runs one node: --nodes 3 and --kill-leader are not there yet";
        return Err(ConfigError(what.to_owned()).into());
    }
    if args.customers == 0 || args.customers > CUSTOMERS {
        return Err(ConfigError(format!("--customers: 1 to {CUSTOMERS} are possible")).into());
    }
    // The bar shares the terminal: only what goes wrong is logged.
    telemetry::init_quiet();
    process::block_on(demo(args))
}

async fn demo(args: &DemoArgs) -> anyhow::Result<()> {
    let dir = tempfile::Builder::new().prefix("notty-demo-").tempdir()?;
    let practice = Practice::new(String::new(), Behaviour::default());
    let gateway = practice.spawn(std::net::TcpListener::bind("127.0.0.1:0")?)?;
    let server = start(dir.path(), &gateway.to_string()).await?;
    let api = format!("http://{}", server.address());
    out::line(&format!("API        {api}/docs"));
    out::line(&format!("gateway    http://{gateway}/"));
    out::line(&format!("data       {}", dir.path().display()));
    let client = Client::new(&api)?;
    client.await_ready(Duration::from_secs(20)).await?;
    let began = Instant::now();
    let imported =
        client.upload("/customers/import", "text/csv", sample::stream(args.customers)).await?;
    let created = count(&imported, "created");
    let seconds = began.elapsed().as_secs_f64();
    out::line(&format!("imported   {} customers in {seconds:.1} s", out::number(created)));
    let began = Instant::now();
    client.post("/mailings", &mailing()?).await?;
    let stats = follow(&client, MAILING).await?;
    let seconds = began.elapsed().as_secs_f64();
    let balanced = show_balance(&stats, &practice, args.customers, seconds);
    if !args.exit {
        out::line("serving until Ctrl-C");
        process::told_to_stop().await?;
    }
    server.stop().await?;
    if !balanced {
        bail!("the balance is wrong: this must not happen, please report it");
    }
    Ok(())
}

async fn start(dir: &std::path::Path, gateway: &str) -> anyhow::Result<Server> {
    let mut config = Config::default();
    config.node.data_dir = dir.join("data");
    config.gateway.url = format!("http://{gateway}/v1/send");
    // The usual port, so that the commands of the README work; another if it is taken.
    if std::net::TcpListener::bind(&config.api.listen).is_err() {
        config.api.listen = "127.0.0.1:0".to_owned();
    }
    Server::start(&config, Surroundings::real()).await.context("the node did not start")
}

/// A mailing to everyone, from now on for an hour.
fn mailing() -> anyhow::Result<Value> {
    let now = jiff::Timestamp::now();
    let end = now.checked_add(jiff::Span::new().hours(1))?;
    Ok(json!({
        "id": MAILING,
        "desc": "A demonstration",
        "text": "Здравствуйте! Это проверка рассылки.",
        "start": now.to_string(),
        "end": end.to_string(),
    }))
}

/// The balance: what the state says, what the gateway says, and whether both agree.
fn show_balance(stats: &Value, practice: &Practice, customers: u64, seconds: f64) -> bool {
    let tally = practice.tally();
    for status in STATUSES {
        let n = count(stats, status);
        if n > 0 || status == "done" {
            out::line(&format!("{status:<10} {:>10}", out::number(n)));
        }
    }
    let total: u64 = STATUSES.iter().map(|status| count(stats, status)).sum();
    let rate = tally.messages as f64 / (tally.span_ms.max(1) as f64 / 1e3);
    out::line(&format!(
        "total      {:>10}  of {} customers",
        out::number(total),
        out::number(customers)
    ));
    out::line(&format!("gateway    {:>10}  messages taken", out::number(tally.messages)));
    out::line(&format!("duplicates {:>10}", out::number(tally.duplicates)));
    out::line(&format!(
        "in {seconds:.1} s, {} messages/s at the gateway",
        out::number(rate as u64)
    ));
    let right =
        total == customers && tally.duplicates == 0 && tally.messages == count(stats, "done");
    out::line(if right { "balance    right" } else { "balance    WRONG" });
    right
}
