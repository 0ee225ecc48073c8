//! The binary: parse, run, exit status.

use std::process::ExitCode;

use notty::cli;

fn main() -> ExitCode {
    match cli::parse() {
        Ok(cli) => cli::run(cli),
        Err(status) => status,
    }
}
