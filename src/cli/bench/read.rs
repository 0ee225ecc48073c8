//! `notty bench read`: reads by id and lists, while sending at full rate.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    super::nodes::Plan,
    record::Record,
    stage::{Stage, Taker},
    wire::{Wire, scattered},
};

/// Pause between two reads.
const PAUSE: Duration = Duration::from_millis(5);
/// Between two looks at the mailing.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ReadArgs {
    /// Number of customers; each gets one message meanwhile
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(super) customers: u64,
    /// Number of nodes to start
    #[arg(long, default_value_t = 1, value_parser = super::nodes())]
    pub(super) nodes: u8,
    #[command(flatten)]
    pub(super) rounds: super::Rounds,
}

/// A mailing lasts for some 300 reads of each kind only: the p99 of one round is three of them.
pub(super) async fn measure(args: &ReadArgs) -> anyhow::Result<Record> {
    let mut rounds = Vec::new();
    for _ in 0..args.rounds.rounds {
        rounds.push(round(args).await?);
    }
    Ok(Record::median(&rounds))
}

async fn round(args: &ReadArgs) -> anyhow::Result<Record> {
    let settings = vec![
        ("customers", json!(args.customers)),
        ("nodes", json!(args.nodes)),
    ];
    let mut record = Record::new("read", settings);
    let gateway = Taker::start(0)?;
    let nodes = usize::from(args.nodes);
    let plan = Plan::new(nodes, gateway.address(), 256_usize.div_ceil(nodes));
    let mut stage = Stage::start(&plan).await?;
    stage.import(args.customers).await?;

    stage.begin();
    stage.mail("bench", "%", 3_600).await?;

    // Reads are measured only once sending is well under way.
    while gateway.rate().await?.0 < 10_000.min(args.customers / 2) {
        tokio::time::sleep(PAUSE).await;
    }

    let first = stage.first_message("bench").await?;
    let paths: [(&str, &dyn Fn(u64) -> String); 5] = [
        ("customer", &|n| {
            format!("/customers/customer-{:07}", scattered(n, args.customers))
        }),
        // Those that are there from the first second on.
        ("message", &|n| {
            format!("/messages/{}", first + scattered(n, 1_000) - 1)
        }),
        ("customers", &|_| "/customers?limit=100".to_owned()),
        ("customers_by_tag", &|_| {
            "/customers?limit=100&tag=clients.omsk.%25".to_owned()
        }),
        ("messages", &|_| {
            "/messages?mailing=bench&status=done&limit=100".to_owned()
        }),
    ];

    let mut took_ms = vec![Vec::new(); paths.len()];
    let mut wire = Wire::connect(stage.address()).await?;
    let mut looked = Instant::now();
    for n in 0_u64.. {
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            if stage.is_caught_up("bench").await? {
                break;
            }
        }
        for ((_, path), took_ms) in paths.iter().zip(&mut took_ms) {
            took_ms.push(wire.get(&path(n)).await?);
            tokio::time::sleep(PAUSE).await;
        }
    }

    record.add("rate", gateway.rate().await?.1);
    for ((name, _), took_ms) in paths.iter().zip(&mut took_ms) {
        record.add_times(name, took_ms);
    }
    record.add("reads_of_each", took_ms[0].len() as f64);
    stage.add_costs(&mut record, args.customers);
    Ok(record)
}

/// Reads customers by id until so many mailings to all of them are caught up; milliseconds of each
/// read.
pub(super) async fn read_while_sending(
    stage: &Stage,
    customers: u64,
    mailings: u64,
) -> anyhow::Result<Vec<f64>> {
    let mut took_ms = Vec::new();
    let mut wire = Wire::connect(stage.address()).await?;
    let (mut looked, mut from) = (Instant::now(), 1);
    for n in 0_u64.. {
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            if stage.are_caught_up(&mut from, mailings).await? {
                break;
            }
        }
        let id = scattered(n, customers);
        took_ms.push(wire.get(&format!("/customers/customer-{id:07}")).await?);
        tokio::time::sleep(PAUSE * 2).await;
    }
    Ok(took_ms)
}
