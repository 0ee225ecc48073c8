//! Logs on stderr: lines for people on a terminal, or JSON for machines.
//!
//! Lines go through a queue ([`LineQueue`]). So a stderr that nobody reads holds up nothing, and a
//! process that must end waits for its last lines no longer than [`LAST_LINES`].
//!
//! A line about a mailing, customer or message carries its id; never a phone number, a text or a
//! token.

use std::{backtrace::BacktraceStatus, io::IsTerminal, sync::OnceLock, time::Duration};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::line_queue::LineQueue;

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people to read
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The lines that are logged unless `RUST_LOG` selects others.
const DEFAULT_FILTER: &str = "warn,notty=info,notty_raft=info,notty_storage=info";

/// Added to a filter that does not name the consensus library. Whatever happens there that people should
/// know of (a peer lost, a leader, a disk that fails) has a line of notty's own, once and by name; the
/// library writes several a second about a dead peer, and hundreds at `debug`.
const NO_LIBRARY: &str = "openraft=off";

/// The lines that are logged while a progress bar has the terminal.
const QUIET_FILTER: &str = "error";

/// Time for the last lines of a process to be written.
pub const LAST_LINES: Duration = Duration::from_secs(1);

/// Lines for stderr, once logging was started.
static STDERR: OnceLock<LineQueue> = OnceLock::new();

/// Starts logging; to be called once.
pub fn init(format: LogFormat) {
    start(format, DEFAULT_FILTER);
}

/// Starts logging of errors alone, unless `RUST_LOG` selects more; to be called once.
pub fn init_quiet() {
    start(LogFormat::Text, QUIET_FILTER);
}

/// The queue of stderr, once logging was started. All other lines for stderr go through it too.
pub fn stderr() -> Option<&'static LineQueue> {
    STDERR.get()
}

/// Number of log lines that were dropped because nobody read them.
pub fn dropped_lines() -> u64 {
    STDERR.get().map_or(0, LineQueue::lost)
}

/// Logs the reason why the process must end, and ends it, even if nobody reads its log.
pub fn end_process(lines: &[&str]) -> ! {
    if let Some(queue) = STDERR.get() {
        queue.begin_end();
    }
    for line in lines {
        tracing::error!("{line}");
    }
    flush();
    std::process::exit(1)
}

/// Waits until all log lines are written, but not for long.
pub fn flush() {
    if let Some(queue) = STDERR.get() {
        queue.flush(LAST_LINES);
    }
}

/// Logs panics. The standard library writes them to stderr itself, and would wait for its reader.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("without a name");
        let trace = std::backtrace::Backtrace::capture();
        match trace.status() {
            BacktraceStatus::Captured => tracing::error!("thread `{name}`: {panic}\n{trace}"),
            _ => tracing::error!("thread `{name}`: {panic}"),
        }
    }));
}

/// Logs that lines are missing.
fn log_gap(dropped: u64) {
    tracing::warn!(
        lines = dropped,
        "the log has a gap: {dropped} lines were dropped, because the reader of stderr was too \
         slow"
    );
}

fn start(format: LogFormat, default_filter: &str) {
    let queue = match LineQueue::start(std::io::stderr(), log_gap) {
        Ok(queue) => STDERR.get_or_init(|| queue),
        // No thread can be had: nothing else will work either, and the rest reports it.
        Err(_) => return,
    };
    log_panics();

    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(default_filter))
        .with_writer(|| queue.clone());
    let started = match format {
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
        LogFormat::Text => lines.with_target(false).with_ansi(has_colours()).try_init(),
    };
    if let Err(error) = started {
        // Logging was started before in this process, and goes on as it was.
        tracing::debug!(%error, "logging had been started");
    }
}

/// True if lines are coloured: on a terminal, unless its user wants none (https://no-color.org).
fn has_colours() -> bool {
    let set = |name: &str| std::env::var_os(name).unwrap_or_default();
    let refused = !set("NO_COLOR").is_empty() || set("TERM") == "dumb";
    std::io::stderr().is_terminal() && !refused
}

/// The filter of `RUST_LOG`, or else the default.
fn filter(default: &str) -> EnvFilter {
    let variable = std::env::var("RUST_LOG").unwrap_or_default();
    let wanted = if variable.is_empty() {
        default.to_owned()
    } else {
        variable
    };

    let complete = if wanted.contains("openraft") {
        wanted
    } else {
        format!("{wanted},{NO_LIBRARY}")
    };
    EnvFilter::try_new(complete).unwrap_or_else(|_| EnvFilter::new(default))
}
