//! Processes that other commands start, and a look at what they cost.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, bail};

use super::runtime;

/// A process of this same binary, killed when it is let go.
pub(super) struct Own {
    child: Child,
    /// The address that it told.
    pub(super) address: String,
}

impl Own {
    /// Starts one and waits for the line that tells `http://{address}`.
    pub(super) fn start(
        args: &[&str],
        environment: &[(&str, String)],
        lines_on_stderr: bool,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(args).stdin(Stdio::null());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        if lines_on_stderr {
            command.stdout(Stdio::null()).stderr(Stdio::piped());
        } else {
            command.stdout(Stdio::piped());
        }

        let mut child = command
            .spawn()
            .context("a process of notty could not be started")?;
        let lines: Box<dyn BufRead + Send> = match lines_on_stderr {
            true => Box::new(BufReader::new(child.stderr.take().context("stderr")?)),
            false => Box::new(BufReader::new(child.stdout.take().context("stdout")?)),
        };

        let (found, address) = std::sync::mpsc::channel();
        let read = move || {
            for line in lines.lines().map_while(Result::ok) {
                if let Some(rest) = line.split("http://").nth(1) {
                    let end = rest.find(['/', ' ', ',']).unwrap_or(rest.len());
                    // Only the first is waited for; the rest must be read all the same.
                    let _ = found.send(rest[..end].to_owned());
                }
            }
        };
        std::thread::spawn(read);

        match address.recv_timeout(std::time::Duration::from_secs(30)) {
            Ok(address) => Ok(Self { child, address }),
            Err(_) => {
                let _ = child.kill();
                bail!("`notty {}` did not start", args.join(" "))
            }
        }
    }

    /// Starts a node that is configured by its file alone; its log goes to a file.
    pub(super) fn start_node(args: &[&str], log: std::fs::File) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);

        // The demo and the benchmarks configure their nodes alone: no variable of the user may change them.
        let ours = std::env::vars_os().map(|(name, _)| name);
        for name in ours.filter(|name| name.to_string_lossy().starts_with("NOTTY_")) {
            command.env_remove(name);
        }

        // A Ctrl-C is for the command that started it, which ends it too.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command
            .spawn()
            .context("a process of notty could not be started")?;
        Ok(Self {
            child,
            address: String::new(),
        })
    }

    /// CPU time and memory so far.
    pub(super) fn cost(&self) -> Cost {
        Cost::of(self.child.id())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time and memory of a process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    /// CPU time, in microseconds.
    pub(super) cpu_micros: u64,
    /// The most memory that it had, in bytes.
    pub(super) peak_bytes: u64,
    /// The memory that it has, in bytes.
    pub(super) memory_bytes: u64,
}

impl Cost {
    /// Of a process, by /proc; zeros where it cannot be told.
    pub(super) fn of(pid: u32) -> Self {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name in brackets may hold spaces; fields are counted after it.
        let fields = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let ticks: u64 = fields
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();

        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let bytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let kb = line.and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse().ok());
            kb.unwrap_or(0_u64) * 1024
        };
        // A tick is a hundredth of a second on Linux, whatever the kernel's own clock does.
        Self {
            cpu_micros: ticks * 10_000,
            peak_bytes: bytes("VmHWM:"),
            memory_bytes: bytes("VmRSS:"),
        }
    }
}

/// Bytes of all files below a directory.
pub(super) fn disk_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => disk_bytes(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// A runtime for a command, and its work.
pub(super) fn block_on<T>(
    work: impl std::future::Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    runtime()?.block_on(work)
}
