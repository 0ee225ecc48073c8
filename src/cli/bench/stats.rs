//! `notty bench stats`: whether stats take the same time with few messages and with many.

use serde_json::{Value, json};

use super::{
    super::client::count, Output, record::Record, stage::Stage, wire::Wire, wire::scattered,
};

/// Questions of each kind whose answer should cost next to nothing, and of the others.
const QUESTIONS: u64 = 1_000;
const FILTERED: u64 = 20;
/// Customers of the mailings whose number is what counts.
const FEW: u64 = 1_000;
/// Duration of the mailings, in seconds: long enough to create all of them meanwhile.
const SHORT: i64 = 3;
/// Of them, so many are created in a second at the least.
const CREATED: u64 = 50;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct StatsArgs {
    /// Numbers of messages to measure with
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1_000, 1_000_000])]
    pub(super) messages: Vec<u64>,
    /// Numbers of mailings of one customer to measure with, most of them finished
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1_000])]
    pub(super) mailings: Vec<u64>,
    #[command(flatten)]
    pub(super) output: Output,
}

pub(super) async fn measure(args: &StatsArgs) -> anyhow::Result<Record> {
    let settings = vec![
        ("messages", json!(args.messages)),
        ("mailings", json!(args.mailings)),
    ];
    let mut record = Record::new("stats", settings);

    for messages in &args.messages {
        let mut turn = Record::new("stats", Vec::new());
        let stage = Stage::office(1).await?;
        stage.import(*messages).await?;
        stage.mail("bench", "%", 36_000).await?;
        stage.await_caught_up("bench").await?;
        let stats = stage.client().get("/stats").await?;
        anyhow::ensure!(
            count(&stats, "done") == *messages,
            "{messages} were to be done: {stats}"
        );
        ask_all(&stage, "bench", &mut turn).await?;
        record.join(&format!("messages_{messages}"), turn);
    }

    for mailings in &args.mailings {
        let stage = Stage::office(1).await?;
        stage.import(FEW).await?;
        send_many(&stage, *mailings).await?;
        let mut wire = Wire::connect(stage.address()).await?;
        let path = |n| format!("/stats/customers/customer-{:07}", scattered(n, FEW));
        let mut took_ms = ask(&mut wire, QUESTIONS, path).await?;
        record.add_times(&format!("mailings_{mailings}_customer"), &mut took_ms);
    }
    Ok(record)
}

/// Sends so many mailings, and waits until most of them are finished.
async fn send_many(stage: &Stage, mailings: u64) -> anyhow::Result<()> {
    let open = mailings.div_ceil(100);
    let short = SHORT + (mailings / CREATED) as i64;
    for n in 1..=mailings {
        let seconds = if n <= open { 36_000 } else { short };
        stage.mail(&format!("bench-{n}"), "%", seconds).await?;
    }
    loop {
        let path = "/mailings?status=finished&limit=1000";
        let finished = stage.client().get(path).await?;
        let finished = finished
            .get("items")
            .and_then(Value::as_array)
            .map_or(0, Vec::len) as u64;
        if finished >= (mailings - open).min(1_000) {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

/// Asks every kind of stats, and adds what that took.
pub(super) async fn ask_all(
    stage: &Stage,
    mailing: &str,
    record: &mut Record,
) -> anyhow::Result<()> {
    let mut wire = Wire::connect(stage.address()).await?;
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let paths = [
        ("overall", "/stats".to_owned(), QUESTIONS),
        ("mailing", format!("/stats/mailings/{mailing}"), QUESTIONS),
        (
            "customer",
            "/stats/customers/customer-0000500".to_owned(),
            QUESTIONS,
        ),
        ("by_tag", "/stats?tag=clients.omsk.%25".to_owned(), FILTERED),
        ("by_operator", "/stats?operator=t2".to_owned(), FILTERED),
        (
            "by_day",
            format!("/stats?from={today}&to=2036-01-01"),
            FILTERED,
        ),
        (
            "by_all",
            format!("/stats?tag=%25.best&operator=t2&from={today}"),
            FILTERED,
        ),
    ];

    for (name, path, times) in paths {
        let mut took_ms = ask(&mut wire, times, |_| path.clone()).await?;
        record.add_times(name, &mut took_ms);
    }
    Ok(())
}

async fn ask(
    wire: &mut Wire,
    times: u64,
    path: impl Fn(u64) -> String,
) -> anyhow::Result<Vec<f64>> {
    let mut took_ms = Vec::new();
    for n in 0..times {
        took_ms.push(wire.get(&path(n)).await?);
    }
    Ok(took_ms)
}
