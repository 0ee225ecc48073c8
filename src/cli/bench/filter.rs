//! `notty bench filter`: how long a mailing takes that reaches one customer in a thousand.

use std::time::Instant;

use serde_json::json;

use super::{super::client::count, Rounds, record::Record, stage::Stage};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct FilterArgs {
    /// Number of customers to import
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(super) customers: u64,
    #[command(flatten)]
    pub(super) rounds: Rounds,
}

pub(super) async fn measure(args: &FilterArgs) -> anyhow::Result<Record> {
    let mut stage = Stage::office(1).await?;
    stage.import(args.customers).await?;
    let mut rounds = Vec::new();
    for round in 0..args.rounds.rounds {
        let mut record = Record::new("filter", vec![("customers", json!(args.customers))]);
        stage.begin();
        let began = Instant::now();
        let id = format!("bench-{round}");
        // The hardest of the filters: nearly every phone is another.
        stage.mail(&id, "%777", 3_600).await?;
        stage.await_caught_up(&id).await?;
        record.add("expanded_seconds", began.elapsed().as_secs_f64());
        let stats = stage.client().get(&format!("/stats/mailings/{id}")).await?;
        record.add("messages", count(&stats, "done") as f64);
        stage.add_costs(&mut record, args.customers);
        rounds.push(record);
    }
    Ok(Record::median(&rounds))
}
