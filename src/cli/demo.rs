//! `notty demo`: gateway, nodes, customers and one mailing in one command, with the balance at the end.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::{
    client::{Client, count},
    demo_gateway::DemoGateway,
    demo_receipts, files,
    nodes::{Nodes, Plan, ReportAddress, free_addresses},
    out, process, sample,
    signals::Stop,
    watch::{STATUSES, follow},
};
use crate::{
    config::{Config, ConfigError},
    gateway::practice::Practice,
    server::Server,
    surroundings::Surroundings,
    telemetry,
};

/// Id of the demo's mailing.
const MAILING: &str = "demo";
/// Delay of the practice gateway when a leader is killed.
const LATENCY_MS: u64 = 50;
/// Approximate duration of the mailing then.
const KILL_SECONDS: u64 = 12;
/// Files that gateway and node have open without any connection, generously; also the fewest with which the
/// demo is one.
const FILES: usize = 192;
/// Requests in flight of each node, if there are files for them.
const CONCURRENCY: usize = 256;
/// Customers, at most: what a number of seven digits names.
const CUSTOMERS: u64 = 9_999_999;

#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// Number of sample customers
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    customers: u64,
    /// Number of nodes, 1 or 3
    #[arg(long, value_name = "N", default_value_t = 1)]
    nodes: u8,
    /// Kill the leader (kill -9) in the middle of the mailing; needs --nodes 3
    #[arg(long)]
    kill_leader: bool,
    /// Send as to a provider: the name of a built-in profile, like twilio; its secrets are made up
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Exit after the balance; without this option, the demo serves until Ctrl-C
    #[arg(long)]
    exit: bool,
}

pub(super) fn run(args: &DemoArgs) -> anyhow::Result<()> {
    check(args)?;

    // The bar shares the terminal: only what goes wrong is logged.
    telemetry::init_quiet();
    out::wait_for_nobody()?;
    files::require("demo", FILES)?;
    process::block_on(async {
        let stop = Stop::listen()?;
        match args.nodes {
            1 => alone(args, stop).await,
            _ => three(args, stop).await,
        }
    })
}

/// Rejects numbers with which there is no demo.
fn check(args: &DemoArgs) -> Result<(), ConfigError> {
    let nodes = args.nodes;
    if nodes != 1 && nodes != 3 {
        let what =
            format!("--nodes: {nodes}: use 1 or 3; two nodes survive no more failures than one");
        return Err(ConfigError(what));
    }
    if args.kill_leader && args.nodes != 3 {
        let what = "--kill-leader: use it with --nodes 3, so that other nodes can take over";
        return Err(ConfigError(what.to_owned()));
    }

    let customers = args.customers;
    if customers == 0 || customers > CUSTOMERS {
        let what = format!("--customers: {customers} is not a number from 1 to {CUSTOMERS}");
        return Err(ConfigError(what));
    }
    DemoGateway::check(args.profile.as_deref())
}

/// One node, in this process.
async fn alone(args: &DemoArgs, mut stop: Stop) -> anyhow::Result<()> {
    let dir = tempfile::Builder::new().prefix("notty-demo-").tempdir()?;
    let gateway = DemoGateway::start(args.profile.as_deref(), 0)?;
    let server = start(dir.path(), &gateway).await?;
    let api = format!("http://{}", server.address());

    out::line(&format!("API        {api}/docs"));
    out::line(&format!("gateway    {}", gateway.shown()));
    out::line(&format!("data       {}", dir.path().display()));

    let client = Client::new(&api)?;
    let showing = async {
        client.await_ready(Duration::from_secs(20)).await?;
        let began = fill(&client, args.customers, &gateway).await?;
        let stats = follow(&client, MAILING).await?;
        let seconds = began.elapsed().as_secs_f64();
        let balanced = show_balance(&stats, &gateway.practice, args.customers, seconds);
        Ok(show_receipts(&client, &gateway).await? && balanced)
    };

    // Whatever the demo came to, the node stops in order, and its directory goes.
    let shown = unless_stopped(&mut stop, showing).await;
    if shown.is_ok() {
        serve_on(args, &mut stop).await;
    }
    server.stop().await?;
    end(shown?)
}

/// Three nodes, each a process of its own; the leader may be killed in the middle.
async fn three(args: &DemoArgs, mut stop: Stop) -> anyhow::Result<()> {
    let dir = tempfile::Builder::new().prefix("notty-demo-").tempdir()?;
    let latency_ms = if args.kill_leader { LATENCY_MS } else { 0 };
    let gateway = DemoGateway::start(args.profile.as_deref(), latency_ms)?;

    // The mailing must last long enough for a kill in its middle.
    let for_a_while = args.customers * LATENCY_MS / 1_000 / 3 / KILL_SECONDS;
    let each = if args.kill_leader {
        for_a_while.clamp(4, CONCURRENCY as u64) as usize
    } else {
        CONCURRENCY
    };
    // Each node has its own files, but the gateway has the other ends of all three.
    let each = each.min((files::limit() - FILES) / 3).max(1);
    out::line(&format!("gateway    {}", gateway.shown()));
    out::line(&format!("data       {}", dir.path().display()));
    let plan = Plan {
        provider: gateway.section(each),
        reports: if gateway.reports() {
            ReportAddress::OwnApi
        } else {
            ReportAddress::None
        },
        ..Plan::new(3, &gateway.address.to_string(), each)
    };
    let mut nodes = Nodes::start(dir.path(), &plan).await?;
    let shown = unless_stopped(&mut stop, show_three(args, &mut nodes, &gateway)).await;
    if shown.is_ok() {
        serve_on(args, &mut stop).await;
    }
    drop(nodes);
    end(shown?)
}

async fn show_three(
    args: &DemoArgs,
    nodes: &mut Nodes,
    gateway: &DemoGateway,
) -> anyhow::Result<bool> {
    let leader = nodes.leader().await?;
    for (n, node) in nodes.nodes.iter().enumerate() {
        let leads = if n == leader { "  (leads)" } else { "" };
        out::line(&format!("{:<10} {}/docs{leads}", node.name, node.api));
    }

    // The bar follows a node that is not killed.
    let other = nodes.nodes[(leader + 1) % nodes.nodes.len()].client.clone();
    let began = fill(&other, args.customers, gateway).await?;

    let killing = async {
        if args.kill_leader {
            kill_in_the_middle(nodes, leader, args.customers).await
        } else {
            Ok(())
        }
    };
    let (stats, killed) = tokio::join!(follow(&other, MAILING), killing);
    let (stats, ()) = (stats?, killed?);
    let seconds = began.elapsed().as_secs_f64();

    let mut balanced = show_balance(&stats, &gateway.practice, args.customers, seconds);
    balanced &= show_receipts(&other, gateway).await?;
    let path = format!("/stats/mailings/{MAILING}");
    let agree = nodes.agree(&path, Duration::from_secs(10)).await;
    balanced &= agree;
    out::line(if agree {
        "nodes      all three agree"
    } else {
        "nodes      DIFFER"
    });
    Ok(balanced)
}

/// Kills the leader when half of the mailing is done, and restarts it once another node leads.
async fn kill_in_the_middle(
    nodes: &mut Nodes,
    leader: usize,
    customers: u64,
) -> anyhow::Result<()> {
    let other = nodes.nodes[(leader + 1) % nodes.nodes.len()].client.clone();
    let path = format!("/stats/mailings/{MAILING}");
    while count(&other.get(&path).await?, "done") < customers / 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let name = nodes.nodes[leader].name.clone();
    nodes.nodes[leader].kill();
    let killed = Instant::now();
    out::note(&format!("{name}, the leader, was killed (kill -9)"));

    let next = nodes.leader_but(leader).await?;
    let seconds = killed.elapsed().as_secs_f64();
    out::note(&format!(
        "{} leads after {seconds:.1} s; {name} is started again",
        nodes.nodes[next].name
    ));
    nodes.nodes[leader].start()
}

/// Imports customers and creates the mailing. Returns when it was created.
async fn fill(client: &Client, customers: u64, gateway: &DemoGateway) -> anyhow::Result<Instant> {
    let began = Instant::now();
    let imported = client
        .upload("/customers/import", "text/csv", sample::stream(customers))
        .await?;
    let created = count(&imported, "created");
    let seconds = began.elapsed().as_secs_f64();
    out::line(&format!(
        "imported   {} customers in {seconds:.1} s",
        out::number(created)
    ));
    if gateway.reports() {
        demo_receipts::await_addresses(client).await?;
    }

    let began = Instant::now();
    client.post("/mailings", &mailing()?).await?;
    Ok(began)
}

/// Shows the demo, or fails when a signal comes first, so that the caller ends what was started.
async fn unless_stopped(
    stop: &mut Stop,
    showing: impl Future<Output = anyhow::Result<bool>>,
) -> anyhow::Result<bool> {
    tokio::select! {
        shown = showing => shown,
        _ = stop.told() => bail!("stopped before the balance; the data of the demo was deleted"),
    }
}

/// The address of the API for a gateway, which must know the port before the node has one.
fn reachable(listen: &mut String) -> anyhow::Result<String> {
    if listen.ends_with(":0") {
        let (_, api) = free_addresses(1)?.remove(0);
        *listen = api;
    }
    Ok(format!("http://{listen}"))
}

/// Shows the receipts of messages, if there are any. Returns whether they agree.
async fn show_receipts(client: &Client, gateway: &DemoGateway) -> anyhow::Result<bool> {
    if !gateway.reports() {
        return Ok(true);
    }
    let agree = demo_receipts::show(client, MAILING, &gateway.practice).await?;
    out::line(if agree {
        "receipts   correct"
    } else {
        "receipts   WRONG"
    });
    Ok(agree)
}

async fn serve_on(args: &DemoArgs, stop: &mut Stop) {
    if !args.exit {
        out::line("serving until Ctrl-C");
        stop.told().await;
    }
}

fn end(balanced: bool) -> anyhow::Result<()> {
    if !balanced {
        bail!("the balance is wrong: this must not happen, please report it");
    }
    Ok(())
}

async fn start(dir: &std::path::Path, gateway: &DemoGateway) -> anyhow::Result<Server> {
    let mut config = Config::default();
    config.node.data_dir = dir.join("data");
    // Both ends of a connection are in this process.
    let concurrency = ((files::limit() - FILES) / 2).clamp(1, CONCURRENCY);
    gateway.configure(&mut config, concurrency);
    // The usual port, so that the commands of the README work; another if it is taken.
    if std::net::TcpListener::bind(&config.api.listen).is_err() {
        config.api.listen = "127.0.0.1:0".to_owned();
    }
    if gateway.reports() {
        config.node.public_url = reachable(&mut config.api.listen)?;
    }
    Server::start(&config, Surroundings::real())
        .await
        .context("the node did not start")
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

/// Prints the counts of the state and of the gateway. Returns whether they agree.
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
    out::line(&format!(
        "gateway    {:>10}  messages taken",
        out::number(tally.messages)
    ));
    out::line(&format!("duplicates {:>10}", out::number(tally.duplicates)));
    out::line(&format!(
        "in {seconds:.1} s, {} messages/s at the gateway",
        out::number(rate as u64)
    ));

    // The gateway may have some of the unconfirmed messages, or none: its count lies between the two.
    let done = count(stats, "done");
    let doubt = count(stats, "unconfirmed");
    if doubt > 0 {
        out::line(
            "           unconfirmed: in flight when the leader was killed; the gateway may have them, \
             so they are never sent again",
        );
    }
    let taken = (done..=done + doubt).contains(&tally.messages);
    let right = total == customers && tally.duplicates == 0 && taken;
    out::line(if right {
        "balance    correct"
    } else {
        "balance    WRONG"
    });
    right
}
