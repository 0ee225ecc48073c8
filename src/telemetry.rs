//! Logs: for people on a terminal, as JSON for machines. Lines go to stderr.
//!
//! A line about a mailing, customer or message carries its id; never a phone number, a text or a
//! token.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged unless `RUST_LOG` says otherwise.
const DEFAULT_FILTER: &str = "warn,notty=info,notty_raft=info,notty_storage=info,openraft=error";

/// What is logged where a progress bar has the terminal.
const QUIET_FILTER: &str = "error";

/// Starts logging; to be called once.
pub fn init(format: LogFormat) {
    start(format, DEFAULT_FILTER);
}

/// Starts logging of errors alone, unless `RUST_LOG` says otherwise; to be called once.
pub fn init_quiet() {
    start(LogFormat::Text, QUIET_FILTER);
}

fn start(format: LogFormat, filter: &str) {
    let wanted = std::env::var("RUST_LOG").ok().filter(|wanted| !wanted.is_empty());
    let wanted = wanted.unwrap_or_else(|| filter.to_owned());
    // At `debug` the consensus alone writes hundreds of lines a second: only when it is named.
    let wanted = match wanted.contains("openraft") {
        true => wanted,
        false => format!("{wanted},openraft=error"),
    };
    let filter = EnvFilter::try_new(wanted).unwrap_or_else(|_| EnvFilter::new(filter));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
        LogFormat::Text => {
            lines.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init()
        }
    };
    if let Err(error) = started {
        // Only in a process that started logging before: its lines go on.
        tracing::debug!(%error, "logging had been started");
    }
}
