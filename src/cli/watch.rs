//! `notty watch`: follows a mailing until it is caught up or ends.

mod lines;

use std::{
    collections::VecDeque,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use lines::ProgressLines;

use super::{
    ApiArgs,
    client::{Client, Refusal, count, naming},
    out, runtime,
};

/// Pause between two requests.
const LOOK: Duration = Duration::from_millis(250);
/// Time after which a node that does not answer is an error.
const AWAY: Duration = Duration::from_secs(30);
/// Over how long the rate is taken.
const PACE: Duration = Duration::from_secs(3);
/// Said of a mailing without messages: often its filters are not meant as they are written.
const NOBODY: &str =
    "no messages: no customer matched its filters, in which `%` stands for any text";
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
        if total(&stats) == 0 {
            out::line(NOBODY);
        } else {
            out::line(&counts(&stats));
        }
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
        .chain(deliveries(stats))
        .collect();
    if shown.is_empty() {
        "no messages yet".to_owned()
    } else {
        shown.join(", ")
    }
}

/// The word of receipts, behind the counts.
fn deliveries(stats: &Value) -> impl Iterator<Item = String> + '_ {
    let delivery = stats.get("delivery").unwrap_or(&Value::Null);
    let counted = ["delivered", "undelivered"].map(|name| (name, count(delivery, name)));
    let shown = counted.into_iter().filter(|(_, n)| *n > 0);
    shown.map(|(name, n)| format!("{name} {}", out::number(n)))
}

fn total(stats: &Value) -> u64 {
    STATUSES.iter().map(|status| count(stats, status)).sum()
}

/// Messages that are not final.
fn open(stats: &Value) -> u64 {
    let open = ["created", "sending", "failed"];
    open.iter().map(|status| count(stats, status)).sum()
}

fn finals(stats: &Value) -> u64 {
    total(stats) - open(stats)
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
        match (self.status.as_str(), self.is_until_end) {
            ("paused", true) => {
                "caught up; paused, customers who match later get it once it is resumed".to_owned()
            }
            ("paused", false) => "caught up; paused".to_owned(),
            (_, true) => format!(
                "caught up; stays active until {}, customers who match later get it too",
                self.end
            ),
            (_, false) => "caught up".to_owned(),
        }
    }

    /// The likely reason why an active mailing does not move.
    fn still_told(&self) -> &'static str {
        let [created, sending, failed] =
            ["created", "sending", "failed"].map(|status| count(&self.stats, status));
        if created + failed == 0 && sending > 0 {
            "postmen hold the last ones; those of a postman that died become unconfirmed when its leases end"
        } else if self.has_window {
            "the send window may be closed"
        } else if created == 0 && failed > 0 {
            "failed messages are tried again after a pause that grows"
        } else {
            "see the log of the nodes"
        }
    }

    /// A line about the progress of the mailing.
    fn told(&self, rate: f64, left: u64) -> String {
        let counts = counts(&self.stats);
        match self.status.as_str() {
            "scheduled" => format!("starts at {}", self.start),
            "paused" => format!("paused until it is resumed: {counts}"),
            "active" if rate < 1.0 => {
                let reason = self.still_told();
                format!("active, nothing is sent at the moment ({reason}): {counts}")
            }

            "active" => {
                let seconds = (left as f64 / rate).ceil();
                let rate = out::number(rate as u64);
                format!("active: {rate}/s, {seconds:.0} s left: {counts}")
            }

            // Nothing is sent any more, so that there is no rate.
            status => {
                let open = out::number(open(&self.stats));
                format!("{status}; waits for the results of {open} messages: {counts}")
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

    let mut lines = ProgressLines::new(Instant::now());
    let mut seen_at = Instant::now();
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
                if !terminal && lines.take(&told, Instant::now()) {
                    out::note(&told);
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
                if !terminal && lines.take(told, Instant::now()) {
                    out::note(told);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look(status: &str, stats: Value) -> Look {
        Look {
            status: status.to_owned(),
            caught_up: false,
            start: "2026-03-02T09:00:00Z".to_owned(),
            end: "2026-03-03T09:00:00Z".to_owned(),
            is_until_end: true,
            has_window: false,
            stats,
        }
    }

    #[test]
    fn a_paused_mailing_that_is_caught_up_is_not_called_active() {
        let mut look = look("paused", json!({ "done": 2 }));
        look.caught_up = true;
        let told = look.end().expect("the end");
        assert!(told.starts_with("caught up; paused, "), "{told}");
        look.is_until_end = false;
        assert_eq!(look.end().as_deref(), Some("caught up; paused"));
    }

    #[test]
    fn a_mailing_that_stands_still_names_the_likely_reason() {
        let told = |stats| look("active", stats).told(0.0, 0);
        assert!(told(json!({ "done": 1, "sending": 2 })).contains("postmen hold the last ones"));
        assert!(told(json!({ "done": 1, "failed": 2 })).contains("tried again"));
        assert!(told(json!({ "created": 1, "sending": 2 })).contains("see the log"));
    }

    #[test]
    fn deliveries_stand_behind_the_counts() {
        let delivery = json!({ "delivered": 1_500, "undelivered": 0 });
        let told = counts(&json!({ "done": 2_000, "sending": 1, "delivery": delivery }));
        assert_eq!(told, "done 2,000, sending 1, delivered 1,500");
    }

    #[test]
    fn a_mailing_that_is_over_has_no_rate() {
        let told = look("cancelled", json!({ "cancelled": 5, "sending": 1 })).told(1_000.0, 1);
        let wanted = "cancelled; waits for the results of 1 messages: cancelled 5, sending 1";
        assert_eq!(told, wanted);
    }
}
