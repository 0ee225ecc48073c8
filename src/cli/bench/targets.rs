//! `notty bench all`: every benchmark that a target is set for, and the table of targets.

use super::{
    super::out,
    Output, Rounds,
    churn::{self, ChurnArgs},
    dispatch::{self, DispatchArgs},
    filter::{self, FilterArgs},
    import::{self, ImportArgs},
    latency::{self, LatencyArgs},
    office::{self, PostOfficeArgs},
    read::{self, ReadArgs},
    record::{Record, number},
    size::{self, SizeArgs},
    stats::{self, StatsArgs},
    write::{self, WriteArgs},
};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct AllArgs {
    /// Customers of the large benchmarks; the targets hold for the default
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    customers: u64,
    /// Mailings of the large benchmarks, each to all customers
    #[arg(long, value_name = "N", default_value_t = 10)]
    mailings: u64,
    #[command(flatten)]
    rounds: Rounds,
}

/// A bound that a figure must keep.
#[derive(Clone, Copy, Debug)]
enum Target {
    AtLeast(f64),
    AtMost(f64),
}
use Target::{AtLeast, AtMost};

impl Target {
    fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!("at least {}", number(least)),
            Self::AtMost(most) => format!("at most {}", number(most)),
        }
    }
}

/// Prints one line of the table of targets; nothing if the figure was not measured.
fn show(record: &Record, what: &str, figure: &str, target: Target) {
    if let Some(found) = record.figure(figure) {
        let met = if target.is_met(found) { "" } else { "  MISSED" };
        out::line(&format!(
            "{what:<52} {:>18} {:>12}{met}",
            target.text(),
            number(found)
        ));
    }
}

pub(super) async fn run(args: &AllArgs) -> anyhow::Result<()> {
    let json = args.rounds.output.json;
    if !json {
        out::line(&format!(
            "{:<52} {:>18} {:>12}",
            "what", "target", "measured"
        ));
    }
    let done = |record: Record, lines: &[(&str, &str, Target)]| {
        if json {
            record.print(true);
            return;
        }
        for (what, figure, target) in lines {
            show(&record, what, figure, *target);
        }
    };
    sending(args, &done).await?;
    keeping(args, &done).await
}

/// Receives a record, with the targets of its figures.
type Done<'a> = dyn Fn(Record, &[(&str, &str, Target)]) + 'a;

async fn sending(args: &AllArgs, done: &Done<'_>) -> anyhow::Result<()> {
    let rounds = args.rounds;
    let usual = DispatchArgs {
        customers: 200_000,
        mailings: 1,
        latency_ms: 0,
        concurrency: 256,
        nodes: 1,
        one_sends: false,
        rounds,
    };
    let lines = [
        (
            "one node: of the bare client's rate",
            "ratio",
            AtLeast(0.75),
        ),
        ("one node: messages/s", "rate", AtLeast(33_000.0)),
    ];
    done(dispatch::measure(&usual).await?, &lines);

    let slow = DispatchArgs {
        latency_ms: 50,
        concurrency: 1_000,
        ..usual.clone()
    };
    let line = (
        "one node, gateway of 50 ms, 1,000 in flight",
        "rate",
        AtLeast(19_000.0),
    );
    done(dispatch::measure(&slow).await?, &[line]);

    let three = DispatchArgs {
        nodes: 3,
        ..usual.clone()
    };
    let line = ("three nodes: messages/s", "rate", AtLeast(16_667.0));
    done(dispatch::measure(&three).await?, &[line]);

    let one_sends = DispatchArgs {
        nodes: 3,
        one_sends: true,
        ..usual
    };
    let lines = [
        (
            "the same, one follower sends: CPU µs, leader",
            "leader_cpu_micros",
            AtMost(5.0),
        ),
        (
            "and of the follower that does not send",
            "follower_1_cpu_micros",
            AtMost(5.0),
        ),
    ];
    done(dispatch::measure(&one_sends).await?, &lines);

    for (nodes, what, least) in [
        (1, "post office alone, one node: messages/s", 500_000.0),
        (3, "post office alone, three nodes: messages/s", 150_000.0),
    ] {
        let office = PostOfficeArgs {
            customers: args.customers,
            mailings: 1,
            nodes,
            rounds,
        };
        done(
            office::measure(&office).await?,
            &[(what, "rate", AtLeast(least))],
        );
    }
    waiting(args, done).await
}

/// The latency of one message: on idle nodes, and beside a mailing to all.
async fn waiting(args: &AllArgs, done: &Done<'_>) -> anyhow::Result<()> {
    let one = LatencyArgs {
        mailings: 100,
        customers: args.customers,
        nodes: 1,
        rounds: args.rounds,
    };
    let lines = [
        (
            "one node, idle: created to gateway, p50, ms",
            "arrived_p50_ms",
            AtMost(8.0),
        ),
        ("the same: p99, ms", "arrived_p99_ms", AtMost(30.0)),
        (
            "beside a mailing to all: p90, ms",
            "loaded_p90_ms",
            AtMost(250.0),
        ),
        ("an idle node: % of a core", "idle_cpu_percent", AtMost(2.0)),
    ];
    done(latency::measure(&one).await?, &lines);

    let three = LatencyArgs { nodes: 3, ..one };
    let lines = [
        (
            "three nodes, idle: created to gateway, p50, ms",
            "arrived_p50_ms",
            AtMost(20.0),
        ),
        ("the same: p99, ms", "arrived_p99_ms", AtMost(60.0)),
        (
            "beside a mailing to all: p90, ms",
            "loaded_p90_ms",
            AtMost(250.0),
        ),
        (
            "three idle nodes: % of a core of each",
            "idle_cpu_percent",
            AtMost(3.0),
        ),
    ];
    done(latency::measure(&three).await?, &lines);
    Ok(())
}

async fn keeping(args: &AllArgs, done: &Done<'_>) -> anyhow::Result<()> {
    let (customers, rounds) = (args.customers, args.rounds);
    let output = Output {
        json: rounds.output.json,
    };

    let import = ImportArgs {
        customers,
        nodes: 1,
        rounds,
    };
    let line = (
        "import over HTTP: rows/s",
        "rows_per_second",
        AtLeast(100_000.0),
    );
    done(import::measure(&import).await?, &[line]);

    let write = WriteArgs {
        clients: vec![64],
        seconds: 5,
        nodes: 1,
        rounds,
    };
    let lines = [
        (
            "single creates, 64 clients: writes/s",
            "clients_64_rate",
            AtLeast(10_000.0),
        ),
        ("the same: p99, ms", "clients_64_p99_ms", AtMost(20.0)),
    ];
    done(write::measure(&write).await?, &lines);

    let read = ReadArgs {
        customers,
        nodes: 1,
        rounds,
    };
    let lines = [
        (
            "customer by id while sending: p99, ms",
            "customer_p99_ms",
            AtMost(2.0),
        ),
        (
            "message by id while sending: p99, ms",
            "message_p99_ms",
            AtMost(2.0),
        ),
    ];
    done(read::measure(&read).await?, &lines);

    let stats = StatsArgs {
        messages: vec![1_000],
        mailings: vec![1_000],
        output,
    };
    let lines = [
        (
            "stats, 1,000 messages: p99, ms",
            "messages_1000_overall_p99_ms",
            AtMost(1.0),
        ),
        (
            "stats by mailing, 1,000: p99, ms",
            "messages_1000_mailing_p99_ms",
            AtMost(1.0),
        ),
        (
            "stats by customer, 1,000 mailings: p99, ms",
            "mailings_1000_customer_p99_ms",
            AtMost(10.0),
        ),
    ];
    done(stats::measure(&stats).await?, &lines);

    let size = SizeArgs {
        customers,
        mailings: args.mailings,
        output,
    };
    let lines = [
        (
            "all messages: stats, p99, ms",
            "overall_p99_ms",
            AtMost(1.0),
        ),
        ("stats by mailing: p99, ms", "mailing_p99_ms", AtMost(1.0)),
        ("stats by tag: p99, ms", "by_tag_p99_ms", AtMost(200.0)),
        (
            "stats by operator: p99, ms",
            "by_operator_p99_ms",
            AtMost(200.0),
        ),
        ("stats by days: p99, ms", "by_day_p99_ms", AtMost(200.0)),
        ("memory, MB", "memory_mb", AtMost(500.0)),
        ("disk, MB", "disk_mb", AtMost(1_000.0)),
        (
            "killed at full rate, ready again: s",
            "ready_seconds",
            AtMost(3.0),
        ),
    ];
    done(size::measure(&size).await?, &lines);

    let filter = FilterArgs { customers, rounds };
    let line = (
        "filter that matches 0.1 %: s",
        "expanded_seconds",
        AtMost(1.0),
    );
    done(filter::measure(&filter).await?, &[line]);

    let churn = ChurnArgs {
        customers: customers / 10,
        mailings: 30,
        output,
    };
    let line = (
        "30 mailings that none keeps: disk, growth",
        "growth",
        AtMost(1.2),
    );
    done(churn::measure(&churn).await?, &[line]);
    Ok(())
}
