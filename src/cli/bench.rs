//! `notty bench`: measures, always beside a baseline in the same run, because machines wander.

use super::process;

mod bare;
mod churn;
mod dispatch;
mod filter;
mod growth;
mod import;
mod latency;
mod office;
mod read;
mod record;
mod restart;
mod size;
mod stage;
mod stats;
mod targets;
mod wire;
mod write;

#[derive(Debug, clap::Args)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// From the first to the last message at the gateway, in turns with the bare client
    ///
    /// Nodes and practice gateway are processes of their own. The bare client is the same gateway
    /// client with nothing behind it: what it reaches is the most that there is to reach here.
    Dispatch(dispatch::DispatchArgs),
    /// Expand, grant and report, with log and state, but with nothing sent
    PostOffice(office::PostOfficeArgs),
    /// Rows over HTTP, and whether memory grows with the file
    Import(import::ImportArgs),
    /// From the request to the gateway, on idle nodes and while a big mailing is sent
    Latency(latency::LatencyArgs),
    /// Single creates by several clients at once
    Write(write::WriteArgs),
    /// Reads by id and lists, while sending at full rate
    Read(read::ReadArgs),
    /// How long stats take with few messages and with many, with few mailings and with many
    Stats(stats::StatsArgs),
    /// How long a mailing takes that reaches one customer in a thousand
    Filter(filter::FilterArgs),
    /// Killed at full rate: the time until it is ready again
    Restart(restart::RestartArgs),
    /// Memory, disk, stats and restart of a node that holds a lot
    Size(size::SizeArgs),
    /// Mailing after mailing with a retention that keeps none: whether the disk grows
    Churn(churn::ChurnArgs),
    /// The same work with little in the node and with a lot
    Growth(growth::GrowthArgs),
    /// All of it, beside the targets
    All(targets::AllArgs),
    /// The bare client by itself
    #[command(hide = true)]
    Bare(bare::BareArgs),
    /// A node whose messages are taken by stand-ins
    #[command(hide = true)]
    Office(office::OfficeArgs),
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Output {
    /// Print one JSON record instead of the table
    #[arg(long)]
    json: bool,
}

/// How often it is done.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Rounds {
    /// Turns; the medians count
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    #[command(flatten)]
    output: Output,
}

/// How many nodes there may be.
fn nodes() -> impl clap::builder::TypedValueParser<Value = u8> {
    use clap::builder::TypedValueParser;
    clap::builder::PossibleValuesParser::new(["1", "3"]).map(|text| if text == "1" { 1 } else { 3 })
}

pub(super) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    match &args.what {
        What::Bare(args) => bare::run(args),
        What::Office(args) => office::run(args),
        what => process::block_on(measure(what)),
    }
}

async fn measure(what: &What) -> anyhow::Result<()> {
    let (record, output) = match what {
        What::Dispatch(args) => (dispatch::measure(args).await?, args.rounds.output),
        What::PostOffice(args) => (office::measure(args).await?, args.rounds.output),
        What::Import(args) => (import::measure(args).await?, args.rounds.output),
        What::Latency(args) => (latency::measure(args).await?, args.rounds.output),
        What::Write(args) => (write::measure(args).await?, args.rounds.output),
        What::Read(args) => (read::measure(args).await?, args.rounds.output),
        What::Stats(args) => (stats::measure(args).await?, args.output),
        What::Filter(args) => (filter::measure(args).await?, args.rounds.output),
        What::Restart(args) => (restart::measure(args).await?, args.rounds.output),
        What::Size(args) => (size::measure(args).await?, args.output),
        What::Churn(args) => (churn::measure(args).await?, args.output),
        What::Growth(args) => return growth::run(args).await,
        What::All(args) => return targets::run(args).await,
        What::Bare(_) | What::Office(_) => return Ok(()),
    };
    record.print(output.json);
    Ok(())
}
