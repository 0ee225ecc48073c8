//! The simulation's command line: one seed, many seeds, or one seed twice.

use std::{ops::Range, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use notty_simulation::{
    plan::Plan,
    report::{Report, commit},
    scenarios,
    sweep::{self, FIGURES},
    world,
};
use notty_storage::planted::{self, PLANTED, Planted};

/// How long one simulation may take: some seconds are usual.
const PATIENCE: Duration = Duration::from_secs(300);

/// The same service on a hostile network, with faults drawn from a seed
#[derive(Parser)]
#[command(name = "notty-simulation")]
struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// One seed
    Run {
        /// Which
        #[arg(long)]
        seed: u64,
        /// Write the trace there
        #[arg(long, value_name = "FILE")]
        trace: Option<PathBuf>,
        /// Show the trace while it runs
        #[arg(long)]
        echo: bool,
        /// Leave a rule out, which the simulation should find
        #[arg(long, value_name = "FAULT", value_parser = planted)]
        plant: Option<Planted>,
    },
    /// A history that is written down
    Scenario {
        /// Which; absent: all are listed
        name: Option<String>,
        /// Write the trace there
        #[arg(long, value_name = "FILE")]
        trace: Option<PathBuf>,
        /// Show the trace while it runs
        #[arg(long)]
        echo: bool,
        /// Leave its rule out, which it should find
        #[arg(long)]
        plant: bool,
    },
    /// Many seeds, a process each
    Sweep {
        /// From and to, the second not included
        #[arg(long, value_name = "A..B", value_parser = range)]
        seeds: Range<u64>,
        /// So many at a time
        #[arg(long, default_value_t = 2)]
        jobs: usize,
        /// Leave a rule out, and stop once that is found
        #[arg(long, value_name = "FAULT", value_parser = planted)]
        plant: Option<Planted>,
    },
    /// Leave out each rule in turn, and say how soon that is found
    Planted {
        /// Seeds for each, at most
        #[arg(long, default_value_t = 200)]
        seeds: u64,
        /// So many at a time
        #[arg(long, default_value_t = 2)]
        jobs: usize,
    },
    /// One seed, twice: the traces must be the same, byte for byte
    Twice {
        /// Which
        #[arg(long)]
        seed: u64,
    },
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let parsed = text
        .split_once("..")
        .and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    parsed.ok_or_else(|| format!("`{text}` is no range like 0..100"))
}

fn planted(name: &str) -> Result<Planted, String> {
    let known: Vec<_> = PLANTED
        .iter()
        .map(|planted| format!("{planted:?}"))
        .collect();
    Planted::named(name).ok_or_else(|| format!("none of {}", known.join(", ")))
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(verb: Verb) -> anyhow::Result<bool> {
    match verb {
        Verb::Run {
            seed,
            trace,
            echo,
            plant,
        } => {
            plant.into_iter().for_each(planted::plant);
            let planted = plant
                .map(|plant| format!(" --plant {plant:?}"))
                .unwrap_or_default();
            one(
                Plan::of(seed),
                &format!("run --seed {seed}{planted}"),
                trace,
                echo,
            )
        }
        Verb::Scenario { name: None, .. } => {
            list();
            Ok(true)
        }
        Verb::Scenario {
            name: Some(name),
            trace,
            echo,
            plant,
        } => {
            let scenario = scenarios::named(&name).with_context(|| format!("no `{name}`"))?;
            if plant {
                planted::plant(scenario.rule.context("it is about no rule")?);
            }
            let how = format!("scenario {name}{}", if plant { " --plant" } else { "" });
            one((scenario.plan)(), &how, trace, echo)
        }
        Verb::Sweep { seeds, jobs, plant } => many(seeds, jobs, plant),
        Verb::Planted { seeds, jobs } => find_planted(seeds, jobs),
        Verb::Twice { seed } => twice(seed),
    }
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn list() {
    for scenario in scenarios::SCENARIOS.iter().flat_map(|some| *some) {
        let rule = scenario
            .rule
            .map(|rule| format!("{rule:?}"))
            .unwrap_or_default();
        println!("{rule:>20}  {}", scenario.name);
    }
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn one(plan: Plan, how: &str, trace: Option<PathBuf>, echo: bool) -> anyhow::Result<bool> {
    let seed = plan.seed;
    log_if_asked();
    watch_over(seed);
    let stage = world::simulate(plan.clone(), echo)?;
    let (lines, counts, violation) = stage.conclude();
    let mut report = Report {
        plan,
        trace: lines,
        counts,
        violation,
    };
    if let Some(path) = trace {
        let text = report.trace.lines().join("\n") + "\n";
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    let counted = u64::from(report.counts_as_evidence());
    report.counts.insert("seed that counts", counted);
    let (events, network) = report.trace.digest();
    if let Some(failure) = report.failure(how) {
        println!("{failure}");
    }
    println!("{FIGURES}{}", report.figures());
    println!("trace of seed {seed}: {events:016x}, network {network:016x}");
    Ok(report.violation.is_none())
}

/// Ends the process if the simulation does not: something goes round and round without a pause, so
/// that no time passes in it.
fn watch_over(seed: u64) {
    std::thread::spawn(move || {
        std::thread::sleep(PATIENCE);
        eprintln!(
            "seed {seed}: hosts_go_on is violated\n  it does not end, and no time passes in it"
        );
        std::process::exit(1);
    });
}

/// The service's own log, where RUST_LOG asks for it. It must not change the history: an
/// `EnvFilter` would, because it makes hash tables, which take from the thread's random numbers.
fn log_if_asked() {
    use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};
    let asked = std::env::var("RUST_LOG").ok();
    if let Some(targets) = asked.and_then(|asked| asked.parse::<Targets>().ok()) {
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .without_time();
        tracing_subscriber::registry()
            .with(targets)
            .with(lines.with_ansi(false))
            .init();
    }
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn find_planted(seeds: u64, jobs: usize) -> anyhow::Result<bool> {
    let mut all = true;
    for planted in PLANTED {
        let extra = ["--plant".to_owned(), format!("{planted:?}")];
        let swept = sweep::sweep(0..seeds, jobs, &extra, true)?;
        match swept.failed.first() {
            Some(seed) => println!("{planted:?}: found by seed {seed}, of {}", swept.seeds),
            None => println!("{planted:?}: not found in {seeds} seeds"),
        }
        all &= !swept.failed.is_empty() || planted::BY_SCENARIO.contains(&planted);
    }
    Ok(all)
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn many(seeds: Range<u64>, jobs: usize, plant: Option<Planted>) -> anyhow::Result<bool> {
    let began = std::time::Instant::now();
    let extra = plant.map(|planted| ["--plant".to_owned(), format!("{planted:?}")]);
    let extra: Vec<_> = extra.into_iter().flatten().collect();
    let swept = sweep::sweep(seeds.clone(), jobs, &extra, plant.is_some())?;
    let seconds = began.elapsed().as_secs_f64().max(0.001);
    println!(
        "seeds {}..{} on commit {}",
        seeds.start,
        seeds.end,
        commit()
    );
    for (kind, count) in &swept.counts {
        println!("{count:>10}  {kind}");
    }
    let rate = swept.seeds as f64 / seconds * 3_600.0;
    println!("{} seeds in {seconds:.0} s, {rate:.0} an hour", swept.seeds);
    println!(
        "{} of them count; failed: {:?}",
        swept.counted, swept.failed
    );
    Ok(swept.failed.is_empty())
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn twice(seed: u64) -> anyhow::Result<bool> {
    let dir = tempfile::tempdir()?;
    let program = std::env::current_exe()?;
    let mut traces = Vec::new();
    for name in ["one", "two"] {
        let path = dir.path().join(name);
        let mut command = std::process::Command::new(&program);
        command
            .args(["run", "--seed", &seed.to_string(), "--trace"])
            .arg(&path);
        let output = command.output()?;
        if !path.exists() {
            bail!("no trace: {}", String::from_utf8_lossy(&output.stderr));
        }
        let digest = String::from_utf8_lossy(&output.stdout)
            .lines()
            .last()
            .map(str::to_owned);
        traces.push((std::fs::read_to_string(&path)?, digest));
    }
    let (one, two) = (&traces[0], &traces[1]);
    let differs = one
        .0
        .lines()
        .zip(two.0.lines())
        .enumerate()
        .find(|(_, (one, two))| one != two);
    match differs {
        Some((n, (a, b))) => println!("line {} differs:\n  {a}\n  {b}", n + 1),
        None if one.0.len() != two.0.len() => println!("one trace is longer than the other"),
        None if one.1 != two.1 => println!("the network differs: {:?} and {:?}", one.1, two.1),
        None => println!(
            "seed {seed}: {} bytes of trace, the same twice",
            one.0.len()
        ),
    }
    Ok(one == two)
}
