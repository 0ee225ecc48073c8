//! `notty bench`: measures, always beside a baseline in the same run, because machines wander.

use super::{files, process, signals::Stop};

mod bare;
mod churn;
mod dispatch;
mod filter;
mod growth;
mod import;
mod latency;
mod office;
mod read;
mod receipts;
mod record;
mod restart;
mod size;
mod stage;
mod stats;
mod targets;
mod wire;
mod write;

/// Files without which a benchmark would measure their lack.
const FILES: usize = 1_024;

#[derive(Debug, clap::Args)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Rate from the first to the last message at the gateway, compared with the bare client
    ///
    /// Nodes and practice gateway are separate processes. The bare client is notty's gateway client
    /// without log and state; its rate is the highest possible on this machine. Both run in turns.
    Dispatch(dispatch::DispatchArgs),
    /// Rate of expanding, granting and reporting messages, with log and state, but without sending
    PostOffice(office::PostOfficeArgs),
    /// Rate of an import over HTTP, and its memory
    Import(import::ImportArgs),
    /// Time from creating a mailing to its message at the gateway, on idle and on busy nodes
    Latency(latency::LatencyArgs),
    /// Rate and latency of creating customers one by one, by several clients at once
    Write(write::WriteArgs),
    /// Latency of reads by id and of lists, while sending at full rate
    Read(read::ReadArgs),
    /// Rate of receipts, while sending
    ///
    /// The first mailing is sent alone. Then its receipts come in while a second one is sent.
    Receipts(receipts::ReceiptsArgs),
    /// Latency of statistics, with few and many messages and mailings
    Stats(stats::StatsArgs),
    /// Duration of a mailing whose filters match one customer in a thousand
    Filter(filter::FilterArgs),
    /// Time until a node is ready again after a kill at full rate
    Restart(restart::RestartArgs),
    /// Memory, disk use, statistics and restart of a node with many customers and messages
    Size(size::SizeArgs),
    /// Growth of the disk use over many mailings whose messages are not kept
    Churn(churn::ChurnArgs),
    /// The benchmarks dispatch, post-office and import with 10,000 to 10,000,000 messages
    ///
    /// Shows if a message costs more when a node has more data. Prints one line for each size.
    Growth(growth::GrowthArgs),
    /// All benchmarks, compared with their targets
    All(targets::AllArgs),
    /// The bare client by itself
    #[command(hide = true)]
    Bare(bare::BareArgs),
    /// A node whose messages are taken by stand-ins
    #[command(hide = true)]
    Office(office::OfficeArgs),
}

impl BenchArgs {
    /// True if a signal must not end the benchmark before what it started.
    pub(super) fn stops_in_order(&self) -> bool {
        !matches!(self.what, What::Bare(_) | What::Office(_))
    }
}

/// Form of the printed result.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Output {
    /// Print one JSON record instead of the table
    #[arg(long)]
    json: bool,
}

/// Number of repetitions, and the form of the result.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Rounds {
    /// Number of rounds; the result is the median of each figure
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    #[command(flatten)]
    output: Output,
}

/// Parses a number of nodes: 1 or 3.
fn nodes() -> impl clap::builder::TypedValueParser<Value = u8> {
    use clap::builder::TypedValueParser;
    clap::builder::PossibleValuesParser::new(["1", "3"]).map(|text| if text == "1" { 1 } else { 3 })
}

pub(super) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    match &args.what {
        What::Bare(args) => bare::run(args),
        What::Office(args) => office::run(args),
        what => {
            files::require("bench", FILES)?;
            process::block_on(measure_unless_stopped(what))
        }
    }
}

/// Measures. A signal ends it in order: the processes and directories that it made go with it.
async fn measure_unless_stopped(what: &What) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    tokio::select! {
        measured = measure(what) => measured,
        _ = stop.told() => anyhow::bail!("stopped before the result"),
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
        What::Receipts(args) => (receipts::measure(args).await?, args.rounds.output),
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
