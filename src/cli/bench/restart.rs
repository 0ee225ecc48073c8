//! `notty bench restart`: killed at full rate, and the time until it is ready again.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    super::nodes::Plan,
    Rounds,
    record::Record,
    stage::{Stage, Taker},
};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct RestartArgs {
    /// Number of customers to import
    #[arg(long, value_name = "N", default_value_t = 400_000)]
    pub(super) customers: u64,
    #[command(flatten)]
    pub(super) rounds: Rounds,
}

pub(super) async fn measure(args: &RestartArgs) -> anyhow::Result<Record> {
    let mut rounds = Vec::new();
    for _ in 0..args.rounds.rounds {
        let mut record = Record::new("restart", vec![("customers", json!(args.customers))]);
        let gateway = Taker::start(0)?;
        let mut stage = Stage::start(&Plan::new(1, gateway.address(), 256)).await?;
        stage.import(args.customers).await?;
        stage.mail("bench", "%", 3_600).await?;
        while gateway.rate().await?.0 < args.customers / 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        kill_and_start(&mut stage, &mut record).await?;
        stage.await_caught_up("bench").await?;
        // No duplicate came of it, or this says so.
        let (messages, _) = gateway.rate().await?;
        record.add("at_the_gateway", messages as f64);
        rounds.push(record);
    }
    Ok(Record::median(&rounds))
}

/// Kills the only node and starts it on the same data; adds how long that took.
pub(super) async fn kill_and_start(stage: &mut Stage, record: &mut Record) -> anyhow::Result<()> {
    let node = &mut stage.nodes.nodes[0];
    node.kill();
    let began = Instant::now();
    node.start()?;
    node.client.await_ready(Duration::from_secs(600)).await?;
    record.add("ready_seconds", began.elapsed().as_secs_f64());
    Ok(())
}
