//! `notty watch`: follows a mailing until it is caught up or ends.

use std::{
    collections::VecDeque,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::{
    ApiArgs,
    client::{Client, Refusal, count, naming},
    out, runtime,
};

/// Pause between two requests.
const LOOK: Duration = Duration::from_millis(250);
/// Between two lines where there is no terminal.
const LINE: Duration = Duration::from_secs(2);
/// Time after which a node that does not answer is an error.
const AWAY: Duration = Duration::from_secs(30);
/// Over how long the rate is taken.
const PACE: Duration = Duration::from_secs(3);
/// The statuses, in the order in which they are shown.
pub(super) const STATUSES: [&str; 8] = [
    "created",
    "sending",
    "done",
    "failed",
    "invalid",
    "expired",
    "cancelled",
    "unconfirmed",
];

#[derive(Debug, clap::Args)]
pub(super) struct WatchArgs {
    /// Id of the mailing
    mailing: String,
    #[command(flatten)]
    api: ApiArgs,
}

pub(super) fn run(args: &WatchArgs) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let client = Client::new(&args.api.api)?;
        let followed = follow(&client, &args.mailing).await;
        let stats = followed.map_err(naming("mailing", &args.mailing))?;
        out::line(&counts(&stats));
        Ok(())
    })
}

/// The counts as one line, what is still open last; those that are 0 are left out.
pub(super) fn counts(stats: &Value) -> String {
    let (open, came) = STATUSES.split_at(2);
    let shown = came
        .iter()
        .chain(open)
        .map(|status| (status, count(stats, status)));
    let shown = shown.filter(|(_, n)| *n > 0);
    let shown: Vec<_> = shown
        .map(|(status, n)| format!("{status} {}", out::number(n)))
        .collect();
    if shown.is_empty() {
        "no messages yet".to_owned()
    } else {
        shown.join(", ")
    }
}

fn total(stats: &Value) -> u64 {
    STATUSES.iter().map(|status| count(stats, status)).sum()
}

fn finals(stats: &Value) -> u64 {
    total(stats)
        - ["created", "sending", "failed"]
            .iter()
            .map(|s| count(stats, s))
            .sum::<u64>()
}

/// A mailing as it is looked at.
struct Look {
    status: String,
    caught_up: bool,
    start: String,
    end: String,
    is_until_end: bool,
    has_window: bool,
    stats: Value,
}

impl Look {
    async fn at(client: &Client, path: &str) -> anyhow::Result<Self> {
        let mailing = client.get(&format!("/mailings/{path}")).await?;
        let stats = client.get(&format!("/stats/mailings/{path}")).await?;

        let text = |field: &str| {
            mailing
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let caught_up = mailing
            .get("caught_up")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        let (status, start) = (text("status").to_owned(), text("start").to_owned());
        let end = text("end").to_owned();
        let is_until_end = text("audience") != "at_start";
        let has_window = mailing
            .get("send_window")
            .is_some_and(|window| !window.is_null());

        Ok(Self {
            status,
            caught_up,
            start,
            end,
            is_until_end,
            has_window,
            stats,
        })
    }

    /// The reason to stop following the mailing, if there is one.
    fn end(&self) -> Option<String> {
        let over = matches!(self.status.as_str(), "finished" | "cancelled");
        if over && finals(&self.stats) == total(&self.stats) {
            return Some(self.status.clone());
        }
        let done = self.caught_up && self.status != "scheduled" && !over;
        done.then(|| self.caught_up_told())
    }

    /// Nobody waits for it now; who may get it later must be said, because it is easily forgotten.
    fn caught_up_told(&self) -> String {
        if self.is_until_end {
            format!(
                "caught up; stays active until {}, customers who match later get it too",
                self.end
            )
        } else {
            "caught up".to_owned()
        }
    }

    /// A line about the progress of the mailing.
    fn told(&self, rate: f64, left: u64) -> String {
        let counts = counts(&self.stats);
        match self.status.as_str() {
            "scheduled" => format!("starts at {}", self.start),
            "paused" => format!("paused until it is resumed: {counts}"),
            "active" if rate < 1.0 => {
                let reason = if self.has_window {
                    "the send window may be closed"
                } else {
                    "see the log of the nodes"
                };
                format!("active, nothing is sent at the moment ({reason}): {counts}")
            }

            // A mailing that has ended can have a rate of 0, for which there is no finite time.
            status => {
                let seconds = (left as f64 / rate).ceil();
                let left = if seconds.is_finite() {
                    format!(", {seconds:.0} s left")
                } else {
                    String::new()
                };
                format!("{status}: {}/s{left}: {counts}", out::number(rate as u64))
            }
        }
    }
}

/// Follows a mailing until it is caught up, finished or cancelled; its last stats. A node that is
/// away for a moment is waited for.
pub(super) async fn follow(client: &Client, id: &str) -> anyhow::Result<Value> {
    let path: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    let mailing = client.get(&format!("/mailings/{path}")).await?;

    // Only for the length of the bar, and customers may come and go meanwhile.
    let expected = match client.post("/mailings/preview", &mailing).await {
        Ok(preview) => count(&preview, "customers"),
        Err(_) => 0,
    };

    let terminal = std::io::stderr().is_terminal();
    let bar = if terminal {
        ProgressBar::new(expected)
    } else {
        ProgressBar::hidden()
    };
    let style = "{bar:12} {percent:>3} %  {wide_msg}";
    bar.set_style(
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );

    let (mut line_at, mut seen_at) = (Instant::now(), Instant::now());
    let mut pace = Pace::default();
    loop {
        match Look::at(client, &path).await {
            Ok(look) => {
                seen_at = Instant::now();
                let all = expected.max(total(&look.stats));
                let settled = finals(&look.stats);
                bar.set_length(all);
                bar.set_position(settled);

                let told = look.told(pace.note(settled), all.saturating_sub(settled));
                if !terminal && line_at.elapsed() >= LINE {
                    out::note(&told);
                    line_at = Instant::now();
                }
                bar.set_message(told);

                if let Some(end) = look.end() {
                    bar.finish_and_clear();
                    out::line(&format!("{id}: {end}"));
                    return Ok(look.stats);
                }
            }
            Err(error) => {
                let may_pass = error.downcast_ref().is_none_or(Refusal::may_pass);
                if !may_pass || seen_at.elapsed() > AWAY {
                    return Err(error);
                }
                let told = "the node does not answer; waiting for it";
                if !terminal && line_at.elapsed() >= LINE {
                    out::note(told);
                    line_at = Instant::now();
                }
                bar.set_message(told);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Messages settled a second, over the last few seconds.
#[derive(Default)]
struct Pace(VecDeque<(Instant, u64)>);

impl Pace {
    fn note(&mut self, settled: u64) -> f64 {
        let now = Instant::now();
        self.0.push_back((now, settled));
        while self.0.len() > 2 && self.0.front().is_some_and(|(at, _)| now - *at > PACE) {
            self.0.pop_front();
        }
        match self.0.front() {
            Some((at, before)) if now > *at => {
                settled.saturating_sub(*before) as f64 / (now - *at).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}
