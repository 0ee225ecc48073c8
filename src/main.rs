//! The binary: parse, run, exit status.

use std::process::ExitCode;

use clap::Parser;
use notty::cli::{self, Cli};

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
