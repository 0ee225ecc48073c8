//! `notty bench import`: rows over HTTP, and whether memory grows with the file.

use serde_json::json;

use super::{super::nodes::Plan, Rounds, record::Record, stage::Stage};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// Number of rows to import
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(super) customers: u64,
    /// Number of nodes to start
    #[arg(long, default_value_t = 1, value_parser = super::nodes())]
    pub(super) nodes: u8,
    #[command(flatten)]
    pub(super) rounds: Rounds,
}

pub(super) async fn measure(args: &ImportArgs) -> anyhow::Result<Record> {
    let mut rounds = Vec::new();
    for _ in 0..args.rounds.rounds {
        let settings = vec![
            ("customers", json!(args.customers)),
            ("nodes", json!(args.nodes)),
        ];
        let mut record = Record::new("import", settings);
        let nodes = usize::from(args.nodes);
        let mut stage = Stage::start(&Plan::new(nodes, "127.0.0.1:9", 1)).await?;
        stage.begin();
        record.add("rows_per_second", stage.import(args.customers).await?);
        stage.add_costs(&mut record, args.customers);
        // The same file again changes nothing in the state: what grows now would grow for ever.
        record.add("again_rows_per_second", stage.import(args.customers).await?);
        let peak = stage.leads().cost().peak_bytes;
        record.add("again_peak_memory_mb", peak as f64 / 1e6);
        rounds.push(record);
    }
    Ok(Record::median(&rounds))
}
