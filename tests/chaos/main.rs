//! Random use of the API by several clients at once, with nodes that are killed, frozen, restored and
//! started again, and a gateway that misbehaves: nobody gets anything twice, nothing that was
//! acknowledged disappears, and all sums agree.
//!
//! Without arguments it is a short test among the others. `cargo test --release --test chaos --
//! --kills 100 --messages 1000000 --seed 7` is a long one; `--nodes 3` plays with a cluster. What is
//! done follows from the seed, but not when: a failure is repeated by the command that it prints, if
//! not each time. It knows HTTP and the binary only, like all black-box tests.

#![allow(clippy::print_stdout, reason = "a program for people")]
#![allow(
    unreachable_pub,
    reason = "what modules share is public among them, and nobody else's"
)]

#[path = "../support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "shared with the other black-box tests"
)]
mod support;

mod actors;
mod audit;
mod dice;
mod faults;
mod finish;
mod fleet;
mod gateway;
mod ledger;
mod people;
mod play;
mod restore;
mod wire;
mod world;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use futures_util::FutureExt;

use play::{Game, say};

/// Random API use with faults, from a seed.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// Where all choices come from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Kills of nodes (kill -9), at least
    #[arg(long, default_value_t = 3)]
    kills: u64,
    /// Messages that the gateway takes, at least
    #[arg(long, default_value_t = 8_000)]
    messages: u64,
    /// Nodes: 1 or 3
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=3))]
    nodes: u8,
    /// The binary to test
    #[arg(long, default_value = env!("CARGO_BIN_EXE_notty"))]
    binary: PathBuf,
    /// The gateway drops repeated messages (otherwise one seed in four has such a gateway)
    #[arg(long)]
    idempotent: bool,
    /// Rounds of a thousand that end with a restore
    #[arg(long, default_value_t = 120)]
    restores: u32,
    /// Restore a backup more than once, and those of clusters that were replaced meanwhile
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    again: bool,
    /// Resume some mailings of backups with `accept_duplicates`
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    accept: bool,
    /// End the rounds after so many minutes
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// Tell what is done to the nodes in each round
    #[arg(long)]
    verbose: bool,
    /// Keep the data directories
    #[arg(long)]
    keep: bool,
    /// Names of tests, as `cargo test` passes them on: nothing is run unless one of them fits
    #[arg(hide = true)]
    filters: Vec<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let fits = |filter: &String| "chaos".contains(filter.as_str());
    if !args.filters.is_empty() && !args.filters.iter().any(fits) {
        return ExitCode::SUCCESS;
    }
    let dir = tempfile::Builder::new().prefix("notty-chaos-").tempdir();
    let dir = dir.expect("a temporary directory");
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let played = runtime.block_on(async {
        tokio::select! {
            passed = run(args.clone(), dir.path().to_owned()) => Some(passed),
            () = stopped() => None,
        }
    });
    // The nodes end with the game, however that ends.
    let passed = played == Some(true);
    // Whatever still runs lets go of the nodes, and with that they end.
    runtime.shutdown_timeout(Duration::from_secs(5));
    if args.keep || played == Some(false) {
        say(&format!("data: {}", dir.keep().display()));
    }
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Waits until somebody wants it to end.
async fn stopped() {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .expect("signals can be listened to");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Plays one game; false: something was violated, which is told.
async fn run(args: Args, dir: PathBuf) -> bool {
    let mut game = Game::begin(args.clone(), dir).await;
    let world = game.place();
    let played = std::panic::AssertUnwindSafe(game.play())
        .catch_unwind()
        .await;
    if played.is_ok() {
        return true;
    }
    // The panic itself has said what is wrong.
    let Args {
        seed,
        kills,
        messages,
        nodes,
        restores,
        again,
        accept,
        ..
    } = &args;
    let idempotent = if args.idempotent { " --idempotent" } else { "" };
    say(&format!(
        "FAILED after {} steps in generation {}; again: cargo test --release --test chaos -- --seed \
         {seed} --kills {kills} --messages {messages} --nodes {nodes} --restores {restores} --again \
         {again} --accept {accept}{idempotent}",
        world.steps(),
        world.gateway.book(|book| book.generation()),
    ));
    false
}
