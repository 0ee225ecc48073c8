//! `notty bench size`: memory, disk, stats and restart of a node that holds a lot.

use std::time::Duration;

use serde_json::json;

use super::{
    super::{client::count, out, process::disk_bytes},
    Output,
    record::Record,
    restart::kill_and_start,
    stage::Stage,
    stats::ask_all,
};

/// Time for an idle node to finish its writes.
const REST: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, clap::Args)]
pub(super) struct SizeArgs {
    /// Number of customers to import
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(super) customers: u64,
    /// Number of mailings, each to all customers
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(super) mailings: u64,
    #[command(flatten)]
    pub(super) output: Output,
}

pub(super) async fn measure(args: &SizeArgs) -> anyhow::Result<Record> {
    let settings = vec![
        ("customers", json!(args.customers)),
        ("mailings", json!(args.mailings)),
    ];
    let mut record = Record::new("size", settings);
    let mut stage = Stage::office(1).await?;
    stage.import(args.customers).await?;
    stage.begin();

    for n in 1..=args.mailings {
        let id = format!("bench-{n}");
        stage.mail(&id, "%", 36_000).await?;
        stage.await_caught_up(&id).await?;
        let memory = stage.leads().cost().memory_bytes as f64 / 1e6;
        out::note(&format!(
            "{n} of {}: {memory:.0} MB of memory",
            args.mailings
        ));
    }

    tokio::time::sleep(REST).await;
    let messages = args.customers * args.mailings;
    let stats = stage.client().get("/stats").await?;
    anyhow::ensure!(
        count(&stats, "done") == messages,
        "{messages} were to be done: {stats}"
    );

    record.add("messages", messages as f64);
    record.add("memory_mb", stage.leads().cost().memory_bytes as f64 / 1e6);
    stage.add_costs(&mut record, messages);
    for part in ["state", "log", "snapshots"] {
        let dir = stage.leads().home().join("data").join(part);
        record.add(format!("{part}_disk_mb"), disk_bytes(&dir) as f64 / 1e6);
    }

    ask_all(&stage, "bench-1", &mut record).await?;

    // The kill must hit a node at full rate.
    stage.mail("bench-last", "%", 36_000).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    kill_and_start(&mut stage, &mut record).await?;
    record.add(
        "restarted_memory_mb",
        stage.leads().cost().memory_bytes as f64 / 1e6,
    );
    Ok(record)
}
