//! `notty bench write`: single creates, one request each, by several clients at once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::JoinSet;

use super::{super::nodes::Plan, Rounds, record::Record, stage::Stage, wire::Wire};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct WriteArgs {
    /// Numbers of clients at once to measure with
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    pub(super) clients: Vec<u64>,
    /// Seconds for each number of clients
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(super) seconds: u64,
    /// Number of nodes to start
    #[arg(long, default_value_t = 1, value_parser = super::nodes())]
    pub(super) nodes: u8,
    #[command(flatten)]
    pub(super) rounds: Rounds,
}

pub(super) async fn measure(args: &WriteArgs) -> anyhow::Result<Record> {
    let mut rounds = Vec::new();
    for _ in 0..args.rounds.rounds {
        let settings = vec![
            ("seconds", json!(args.seconds)),
            ("nodes", json!(args.nodes)),
        ];
        let mut record = Record::new("write", settings);

        // Nothing listens there, and there are no mailings: only the writes cost anything.
        let plan = Plan::new(usize::from(args.nodes), "127.0.0.1:9", 1);
        let mut stage = Stage::start(&plan).await?;
        for clients in &args.clients {
            stage.begin();
            let mut took_ms = turn(&stage, *clients, args.seconds).await?;
            let rate = took_ms.len() as f64 / args.seconds as f64;
            record.add(format!("clients_{clients}_rate"), rate);
            record.add_times(&format!("clients_{clients}"), &mut took_ms);

            let mut costs = Record::new("write", Vec::new());
            stage.add_costs(&mut costs, took_ms.len() as u64);
            let names = [
                "node_cpu_micros",
                "leader_cpu_micros",
                "peak_memory_mb",
                "disk_mb",
            ];
            for name in names {
                let figure = costs.figure(name);
                figure.inspect(|figure| record.add(format!("clients_{clients}_{name}"), *figure));
            }
        }
        rounds.push(record);
    }
    Ok(Record::median(&rounds))
}

/// Creates customers for a while; milliseconds of each write.
async fn turn(stage: &Stage, clients: u64, seconds: u64) -> anyhow::Result<Vec<f64>> {
    let until = Instant::now() + Duration::from_secs(seconds);
    let address: Arc<str> = stage.address().into();
    let mut running = JoinSet::new();
    for client in 0..clients {
        let address = address.clone();
        running.spawn(async move {
            let (mut wire, mut took_ms) = (Wire::connect(&address).await?, Vec::new());
            while Instant::now() < until {
                let n = took_ms.len();
                let body = json!({ "id": format!("w-{clients}-{client}-{n}"), "name": "Анна Мороз",
                    "phone": format!("+7000{:07}", client * 10_000 + n as u64),
                    "operator": "МТС", "tag": "clients.moscow.new", "timezone": "Europe/Moscow" });
                took_ms.push(wire.post("/customers", body.to_string()).await?);
            }
            anyhow::Ok(took_ms)
        });
    }
    let mut took_ms = Vec::new();
    while let Some(ended) = running.join_next().await {
        took_ms.extend(ended??);
    }
    Ok(took_ms)
}
