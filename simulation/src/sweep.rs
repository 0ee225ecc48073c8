//! Many seeds, a process each: what one does cannot touch another.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;

/// What a run of one seed says on its last line, before its figures.
pub const FIGURES: &str = "figures: ";

/// What came of many seeds.
#[derive(Debug, Default)]
pub struct Swept {
    /// Seeds that were run.
    pub seeds: u64,
    /// Those that showed something: a change of leaders, a lost reply, 200 requests.
    pub counted: u64,
    /// Those that failed.
    pub failed: Vec<u64>,
    /// How often what happened.
    pub counts: BTreeMap<String, u64>,
}

/// Runs seeds, so many at a time; stops at the first that fails where `stop` says so.
pub fn sweep(
    seeds: Range<u64>,
    jobs: usize,
    extra: &[String],
    stop: bool,
) -> anyhow::Result<Swept> {
    let program = std::env::current_exe().context("this program cannot be found")?;
    let (mut swept, began) = (Swept::default(), Instant::now());
    let mut running: VecDeque<(u64, Child)> = VecDeque::new();
    for seed in seeds {
        if running.len() >= jobs.max(1) {
            take(&mut swept, &mut running)?;
            progress(&swept, began);
        }
        if stop && !swept.failed.is_empty() {
            break;
        }
        let mut command = Command::new(&program);
        command
            .args(["run", "--seed", &seed.to_string()])
            .args(extra);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        running.push_back((seed, child.context("a simulation cannot be started")?));
    }
    while !running.is_empty() {
        take(&mut swept, &mut running)?;
    }
    Ok(swept)
}

fn progress(swept: &Swept, began: Instant) {
    if swept.seeds.is_multiple_of(50) && swept.seeds > 0 {
        let hours = began.elapsed().max(Duration::from_secs(1)).as_secs_f64() / 3_600.0;
        let (seeds, failed) = (swept.seeds, swept.failed.len());
        eprintln!(
            "{seeds} seeds, {failed} failed, {:.0} an hour",
            seeds as f64 / hours
        );
    }
}

fn take(swept: &mut Swept, running: &mut VecDeque<(u64, Child)>) -> anyhow::Result<()> {
    let Some((seed, child)) = running.pop_front() else {
        return Ok(());
    };
    let output = child
        .wait_with_output()
        .context("a simulation went missing")?;
    swept.seeds += 1;
    let told = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        swept.failed.push(seed);
        eprintln!("{told}{}", String::from_utf8_lossy(&output.stderr));
        eprintln!("seed {seed} failed");
    }
    let figures = told
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix(FIGURES));
    for (kind, count) in figures.into_iter().flat_map(parse) {
        *swept.counts.entry(kind.to_owned()).or_default() += count;
        swept.counted += u64::from(kind == "seed that counts" && count > 0);
    }
    Ok(())
}

fn parse(figures: &str) -> impl Iterator<Item = (&str, u64)> {
    figures.split(';').filter_map(|part| {
        let (kind, count) = part.split_once('=')?;
        Some((kind, count.parse().ok()?))
    })
}
