//! Output to the terminal. A reader that has gone away is no error.
//!
//! Commands that end by themselves wait for a slow reader, as programs do. Those that serve must not wait:
//! their lines go through queues.

use std::{
    io::{ErrorKind, Write},
    sync::OnceLock,
};

use crate::{line_queue::LineQueue, telemetry};

/// Lines for stdout, in a command that serves.
static STDOUT: OnceLock<LineQueue> = OnceLock::new();

/// The first failure of stdout.
static FAILURE: OnceLock<String> = OnceLock::new();

/// From now on nothing waits for whoever reads stdout.
pub(super) fn wait_for_nobody() -> anyhow::Result<()> {
    let queue = LineQueue::start(std::io::stdout(), |_| {})?;
    // Only where it was called before: then that queue is used.
    let _ = STDOUT.set(queue);
    Ok(())
}

/// A line on stdout.
pub(super) fn line(text: &str) {
    match STDOUT.get() {
        Some(queue) => queue.push(format!("{text}\n").as_bytes()),
        None => note_failure(writeln!(std::io::stdout().lock(), "{text}")),
    }
}

/// Remembers the first failure of stdout. A reader that has closed the pipe (`| head`) is none.
fn note_failure(written: std::io::Result<()>) {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            // Only the first is shown.
            let _ = FAILURE.set(error.to_string());
        }
        _ => {}
    }
}

/// The failure of stdout, if lines could not be written although somebody wants them: its disk is full.
pub(super) fn failure() -> Option<&'static str> {
    FAILURE.get().map(String::as_str)
}

/// A line on stderr.
pub(super) fn note(text: &str) {
    match telemetry::stderr() {
        Some(queue) => queue.push(format!("{text}\n").as_bytes()),
        None => drop(writeln!(std::io::stderr().lock(), "{text}")),
    }
}

/// Writes what is still queued, but not for long.
pub(super) fn flush() {
    if let Some(queue) = STDOUT.get() {
        queue.flush(telemetry::LAST_LINES);
    }
    telemetry::flush();
}

/// An error with its causes, as one line on stderr.
pub(super) fn error(error: &anyhow::Error) {
    let mut text = String::new();
    for cause in error.chain().map(|cause| cause.to_string()) {
        // Some errors name their cause themselves.
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    note(&format!("notty: {text}"));
}

/// A number with its thousands set apart.
pub(super) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
