//! `notty bench growth`: the same work with little in the node and with a lot.

use serde_json::json;

use super::{
    super::out,
    Output, Rounds,
    dispatch::{self, DispatchArgs},
    import::{self, ImportArgs},
    office::{self, PostOfficeArgs},
    record::{Record, number},
};

/// Customers, and mailings to all of them at once: each grows a hundredfold.
const SIZES: [(u64, u64); 7] = [
    (10_000, 1),
    (100_000, 1),
    (1_000_000, 1),
    (10_000, 10),
    (100_000, 10),
    (10_000, 100),
    (100_000, 100),
];

#[derive(Clone, Debug, clap::Args)]
pub(super) struct GrowthArgs {
    /// Largest number of messages to measure
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    most: u64,
    #[command(flatten)]
    rounds: Rounds,
}

/// The columns of the table: a heading, and the figure.
const COLUMNS: [(&str, &str); 7] = [
    ("sent/s", "rate"),
    ("of bare", "ratio"),
    ("CPU µs", "node_cpu_micros"),
    ("bare µs", "bare_cpu_micros"),
    ("CPU/bare", "cpu_ratio"),
    ("office/s", "post_office_rate"),
    ("import/s", "import_rows_per_second"),
];

/// Measures each size and prints a line for it, and at last how much dearer a message has become.
pub(super) async fn run(args: &GrowthArgs) -> anyhow::Result<()> {
    let json = args.rounds.output.json;
    if !json {
        let headings: String = COLUMNS
            .iter()
            .map(|(name, _)| format!(" {name:>10}"))
            .collect();
        out::line(&format!("{:>10} {:>9}{headings}", "customers", "mailings"));
    }

    let mut dear = Vec::new();
    for (customers, mailings) in SIZES {
        if customers * mailings > args.most {
            continue;
        }
        let record = measure(customers, mailings, args.rounds.rounds).await?;
        dear.push((
            customers * mailings,
            record.figure("cpu_ratio").unwrap_or(0.0),
        ));

        if json {
            record.print(true);
            continue;
        }
        let figures = COLUMNS
            .iter()
            .filter_map(|(_, figure)| record.figure(figure));
        let figures: String = figures.map(|it| format!(" {:>10}", number(it))).collect();
        let customers = out::number(customers);
        out::line(&format!("{customers:>10} {mailings:>9}{figures}"));
    }

    let (least, most) = (
        dear.iter().min_by_key(|it| it.0),
        dear.iter().max_by_key(|it| it.0),
    );
    if let (false, Some((_, small)), Some((_, large))) = (json, least, most) {
        let rise = (large / small - 1.0) * 100.0;
        out::line(&format!(
            "CPU a message, beside the bare client's: {rise:+.0} % from the least to the most"
        ));
    }
    Ok(())
}

async fn measure(customers: u64, mailings: u64, rounds: u32) -> anyhow::Result<Record> {
    let settings = vec![
        ("customers", json!(customers)),
        ("mailings", json!(mailings)),
    ];
    let mut record = Record::new("growth", settings);
    let rounds = Rounds {
        rounds,
        output: Output { json: true },
    };
    let dispatch = DispatchArgs {
        customers,
        mailings,
        latency_ms: 0,
        concurrency: 256,
        nodes: 1,
        one_sends: false,
        rounds,
    };

    let sent = dispatch::measure(&dispatch).await?;

    let office = PostOfficeArgs {
        customers,
        mailings,
        nodes: 1,
        rounds,
    };
    let import = ImportArgs {
        customers,
        nodes: 1,
        rounds,
    };

    let cpu = |name| sent.figure(name).unwrap_or(0.0);
    record.add("cpu_ratio", cpu("node_cpu_micros") / cpu("bare_cpu_micros"));
    record.merge(sent);
    record.join("post_office", office::measure(&office).await?);
    record.join("import", import::measure(&import).await?);
    Ok(record)
}
