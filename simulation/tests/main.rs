//! The simulation in the small: one seed twice, some seeds, every seed that ever failed, and each
//! history that is written down. Each runs as a process of its own.

mod determinism;
mod scenarios;
mod seeds;

use std::process::{Command, Output};

/// Runs the simulation's program.
fn simulation(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_notty-simulation"));
    command.args(arguments).output().expect("it starts")
}

/// What it said, for a test that failed.
fn told(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// Runs it; it must find nothing wrong.
fn passes(arguments: &[&str]) -> String {
    let output = simulation(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", told(&output));
    told(&output)
}
