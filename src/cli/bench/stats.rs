//! `notty bench stats`: whether stats take the same time with few messages and with many.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{is_caught_up, out, percentile, start_gateway, start_mailing, start_node};
use crate::cli::{client::Client, sample};

/// Questions of each kind.
const QUESTIONS: usize = 2_000;
/// Between two looks at the mailing.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(super) struct StatsArgs {
    /// How many messages there are, one turn for each number
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1_000, 1_000_000])]
    messages: Vec<u64>,
    /// Print one JSON record instead of the table
    #[arg(long)]
    json: bool,
}

/// What one kind of question took, in milliseconds.
struct Took {
    p50: f64,
    p99: f64,
}

pub(super) async fn run(args: &StatsArgs) -> anyhow::Result<()> {
    if !args.json {
        out::line("   messages   overall p50   p99 ms   by mailing p50   p99 ms");
    }
    let mut records = Vec::new();
    for messages in &args.messages {
        let (overall, mailing) = turn(*messages).await?;
        records.push(json!({ "messages": messages,
            "overall_p50_ms": overall.p50, "overall_p99_ms": overall.p99,
            "mailing_p50_ms": mailing.p50, "mailing_p99_ms": mailing.p99 }));
        if !args.json {
            out::line(&format!(
                "{:>11} {:>13.3} {:>8.3} {:>16.3} {:>8.3}",
                out::number(*messages),
                overall.p50,
                overall.p99,
                mailing.p50,
                mailing.p99
            ));
        }
    }
    if args.json {
        out::line(&json!({ "bench": "stats", "turns": records }).to_string());
    }
    Ok(())
}

/// Sends so many messages, then asks.
async fn turn(messages: u64) -> anyhow::Result<(Took, Took)> {
    let gateway = start_gateway(0)?;
    let dir = tempfile::Builder::new().prefix("notty-bench-").tempdir()?;
    let (_node, client) = start_node(dir.path(), &gateway, 256).await?;
    client.upload("/customers/import", "text/csv", sample::stream(messages)).await?;
    start_mailing(&client).await?;
    while !is_caught_up(&client).await? {
        tokio::time::sleep(LOOK).await;
    }
    let stats = client.get("/stats").await?;
    anyhow::ensure!(stats["done"] == messages, "{messages} were to be sent: {stats}");
    Ok((ask(&client, "/stats").await?, ask(&client, "/stats/mailings/bench").await?))
}

async fn ask(client: &Client, path: &str) -> anyhow::Result<Took> {
    let mut took_ms = Vec::with_capacity(QUESTIONS);
    for _ in 0..QUESTIONS {
        let at = Instant::now();
        client.get(path).await?;
        took_ms.push(at.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Took { p50: percentile(&mut took_ms, 50), p99: percentile(&mut took_ms, 99) })
}
