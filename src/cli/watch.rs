//! `notty watch`: follows a mailing until it is caught up or ends.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::{
    ApiArgs,
    client::{Client, count},
    out, runtime,
};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// Between two lines where there is no terminal.
const LINE: Duration = Duration::from_secs(2);
/// The statuses, in the order in which they are shown.
pub(super) const STATUSES: [&str; 8] =
    ["created", "sending", "done", "failed", "invalid", "expired", "cancelled", "unconfirmed"];

#[derive(Debug, clap::Args)]
pub(super) struct WatchArgs {
    /// The mailing's id
    mailing: String,
    #[command(flatten)]
    api: ApiArgs,
}

pub(super) fn run(args: &WatchArgs) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let client = Client::new(&args.api.api)?;
        let stats = follow(&client, &args.mailing).await?;
        out::line(&counts(&stats));
        Ok(())
    })
}

/// The counts as one line; those that are 0 are left out.
pub(super) fn counts(stats: &Value) -> String {
    let shown = STATUSES.iter().map(|status| (status, count(stats, status)));
    let shown = shown.filter(|(_, n)| *n > 0);
    let shown: Vec<_> = shown.map(|(status, n)| format!("{status} {}", out::number(n))).collect();
    if shown.is_empty() { "no messages yet".to_owned() } else { shown.join(", ") }
}

fn total(stats: &Value) -> u64 {
    STATUSES.iter().map(|status| count(stats, status)).sum()
}

fn finals(stats: &Value) -> u64 {
    total(stats) - ["created", "sending", "failed"].iter().map(|s| count(stats, s)).sum::<u64>()
}

/// Follows a mailing until it is caught up, finished or cancelled; its last stats.
pub(super) async fn follow(client: &Client, id: &str) -> anyhow::Result<Value> {
    let path: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    let mailing = client.get(&format!("/mailings/{path}")).await?;
    let expected = match client.post("/mailings/preview", &mailing).await {
        Ok(preview) => count(&preview, "customers"),
        Err(_) => 0,
    };
    let terminal = std::io::stderr().is_terminal();
    let bar = if terminal { ProgressBar::new(expected) } else { ProgressBar::hidden() };
    let style = "{bar:30} {percent:>3} %  {pos}/{len}  {per_sec}  {eta} left  {msg}";
    bar.set_style(
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut line_at = Instant::now();
    let (mut before, mut before_at) = (0, Instant::now());
    loop {
        let mailing = client.get(&format!("/mailings/{path}")).await?;
        let stats = client.get(&format!("/stats/mailings/{path}")).await?;
        let status = mailing.get("status").and_then(Value::as_str).unwrap_or_default();
        let settled = finals(&stats);
        bar.set_length(expected.max(total(&stats)));
        bar.set_position(settled);
        bar.set_message(format!("{status}: {}", counts(&stats)));
        if !terminal && line_at.elapsed() >= LINE {
            let rate = (settled - before) as f64 / before_at.elapsed().as_secs_f64();
            let left = expected.max(total(&stats)).saturating_sub(settled) as f64 / rate;
            let left = if left.is_finite() { format!("{left:.0} s left") } else { String::new() };
            out::note(&format!("{status}: {}; {rate:.0}/s {left}", counts(&stats)));
            (before, before_at, line_at) = (settled, Instant::now(), Instant::now());
        }
        let caught_up = mailing.get("caught_up").and_then(Value::as_bool).unwrap_or(false);
        let over = matches!(status, "finished" | "cancelled");
        if (caught_up && status != "scheduled") || (over && finals(&stats) == total(&stats)) {
            bar.finish_and_clear();
            let why = if over { status } else { "caught up" };
            out::line(&format!("{id}: {why}"));
            return Ok(stats);
        }
        tokio::time::sleep(LOOK).await;
    }
}
