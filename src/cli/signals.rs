//! Signals that stop a command: Ctrl-C, SIGTERM, and SIGHUP when its terminal is closed.
//!
//! Every command listens to them. The first process of a container gets no signal that it does not listen
//! to, and a terminal that is closed must not leave requests in doubt.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::out;

/// Files that must not outlive the command if a signal ends it. Locked while such a file is created, and
/// from a signal to the end of the process.
static LEFTOVERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The signals, listened to from when this is made.
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
    /// None if the process was started to outlive its terminal (`nohup`).
    hangup: Option<Signal>,
}

impl Stop {
    /// Starts to listen. Needs a runtime.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let hangup = if ignores_hangup() {
            None
        } else {
            Some(signal(SignalKind::hangup())?)
        };
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup,
        })
    }

    /// Waits for one of them, and returns its name and number.
    pub(super) async fn told(&mut self) -> (&'static str, u8) {
        tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", 15),
            _ = self.interrupt.recv() => ("SIGINT", 2),
            () = hung_up(&mut self.hangup) => ("SIGHUP", 1),
        }
    }

    /// Waits for a Ctrl-C while the command stops already: its user does not want to wait.
    pub(super) async fn told_again(&mut self) {
        self.interrupt.recv().await;
    }
}

/// Creates a file that is removed if a signal ends the command. After that signal it is created no more.
pub(super) fn create_leftover(file: &Path) -> io::Result<File> {
    let mut leftovers = LEFTOVERS.lock();
    leftovers.push(file.to_owned());
    File::create(file)
}

/// Waits for the end of the terminal; for ever if that is ignored.
async fn hung_up(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => drop(hangup.recv().await),
        None => std::future::pending().await,
    }
}

/// True if the process was started with SIGHUP ignored. Only Linux shows that without unsafe code.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = status.lines();
    let ignored = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The lowest bit is that of signal 1.
    ignored.is_some_and(|mask| mask & 1 == 1)
}

/// From now on a signal ends the process at once, for commands that have nothing to put in order. The
/// exit status is that of a process that the signal ended by itself.
pub(super) fn end_at_a_signal() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Listens before this returns, so that no signal is lost.
    let mut stop = runtime.block_on(async { Stop::listen() })?;

    let wait = move || {
        let (name, number) = runtime.block_on(stop.told());

        // Held to the end, so that the command creates no file after those that are there were removed.
        let leftovers = LEFTOVERS.lock();
        for file in leftovers.iter() {
            // It may have its name by now.
            let _ = std::fs::remove_file(file);
        }

        out::note(&format!("notty: stopped by {name}"));
        out::flush();
        std::process::exit(i32::from(128 + number));
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(wait)?;
    Ok(())
}
