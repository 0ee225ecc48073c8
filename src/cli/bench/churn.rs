//! `notty bench churn`: mailing after mailing, with a retention that keeps none: the disk must not grow.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    super::{out, process::disk_bytes},
    Output,
    record::Record,
    stage::Stage,
};

/// Duration of each mailing, in seconds.
const RUNS: i64 = 2;
/// Time limit for a mailing to be deleted.
const AT_MOST: Duration = Duration::from_secs(300);
/// Pause between two requests.
const LOOK: Duration = Duration::from_millis(50);
/// Messages of a mailing go at once when it is finished.
const KEEP_NONE: &str = "[retention]\nfinished_days = 0\n";

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ChurnArgs {
    /// Number of customers of each mailing
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(super) customers: u64,
    /// Number of mailings, one after the other, each to all customers
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(4..=10_000))]
    pub(super) mailings: u64,
    #[command(flatten)]
    pub(super) output: Output,
}

pub(super) async fn measure(args: &ChurnArgs) -> anyhow::Result<Record> {
    let settings = vec![
        ("customers", json!(args.customers)),
        ("mailings", json!(args.mailings)),
    ];
    let mut record = Record::new("churn", settings);
    let mut stage = Stage::office_with(1, KEEP_NONE).await?;
    stage.import(args.customers).await?;
    stage.begin();

    let mut disk_mb = Vec::new();
    for n in 1..=args.mailings {
        let id = format!("bench-{n}");
        stage.mail(&id, "%", RUNS).await?;
        stage.await_caught_up(&id).await?;
        await_gone(&stage, &id).await?;
        let disk = disk_bytes(stage.leads().home()) as f64 / 1e6;
        out::note(&format!(
            "{n} of {}: {disk:.1} MB on the disk",
            args.mailings
        ));
        disk_mb.push(disk);
    }

    // The first mailings fill the disk up to its usual size. After that it must not grow.
    let most = |disk_mb: &[f64]| disk_mb.iter().copied().fold(0.0, f64::max);
    let (first, last) = disk_mb.split_at(disk_mb.len() / 2);
    record.add("first_half_most_mb", most(first));
    record.add("second_half_most_mb", most(last));
    record.add("growth", most(last) / most(first));
    stage.add_costs(&mut record, args.customers * args.mailings);
    Ok(record)
}

/// Waits until a mailing is finished and its messages are gone.
async fn await_gone(stage: &Stage, id: &str) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let messages = stage
            .client()
            .get(&format!("/messages?mailing={id}&limit=1"))
            .await?;
        let left = messages
            .get("items")
            .and_then(Value::as_array)
            .map_or(1, Vec::len);
        if left == 0 {
            return Ok(());
        }
        anyhow::ensure!(began.elapsed() < AT_MOST, "the messages of {id} do not go");
        tokio::time::sleep(LOOK).await;
    }
}
