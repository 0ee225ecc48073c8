//! The binary: parse, run, exit status.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use notty::cli;

/// The system's allocator took a third of an import's time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match cli::parse() {
        Ok(cli) => cli::run(cli),
        Err(status) => status,
    }
}
