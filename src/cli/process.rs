//! Processes that other commands start: the practice gateway, and a look at what they cost.

use std::{
    io::{BufRead, BufReader},
    net::ToSocketAddrs,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, bail};
use tokio::net::TcpListener;

use super::{files, out, runtime, signals::Stop};
use crate::{
    config::ConfigError,
    gateway::practice::{Behaviour, Practice},
};

/// Files that the practice gateway has open without any connection, generously.
const GATEWAY_FILES: usize = 32;
/// Connections that one postman opens by default.
const CONNECTIONS: usize = 256;

#[derive(Debug, clap::Args)]
pub(super) struct GatewayArgs {
    /// Listen address of the gateway
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090")]
    listen: String,
    /// The token that requests must carry; empty: none
    #[arg(
        long,
        value_name = "TOKEN",
        default_value = "",
        hide_default_value = true
    )]
    token: String,
    /// Delay before each answer, in milliseconds
    #[arg(long, value_name = "N", default_value_t = 0)]
    latency_ms: u64,
    /// Answer 503 to this many of a thousand requests
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    fail_per_mille: u32,
    /// Answer 400 to this many of a thousand requests
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    invalid_per_mille: u32,
    /// Take this many of a thousand messages and never answer
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    hang_per_mille: u32,
    /// Reset the connection of this many of a thousand requests, half of them after taking the message
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    reset_per_mille: u32,
}

pub(super) fn run_gateway(args: &GatewayArgs) -> anyhow::Result<()> {
    let behaviour = Behaviour {
        latency_ms: args.latency_ms,
        fail_per_mille: args.fail_per_mille,
        invalid_per_mille: args.invalid_per_mille,
        hang_per_mille: args.hang_per_mille,
        reset_per_mille: args.reset_per_mille,
        ..Behaviour::default()
    };

    let shares = [
        args.fail_per_mille,
        args.invalid_per_mille,
        args.hang_per_mille,
        args.reset_per_mille,
    ];
    let sum: u32 = shares.iter().sum();
    if sum > 1_000 {
        let what = format!(
            "the --…-per-mille options are shares of all requests: their sum is {sum}, but must be at most \
             1000"
        );
        return Err(ConfigError(what).into());
    }

    let addresses = args.listen.to_socket_addrs();
    let addresses: Vec<_> = addresses
        .map_err(|error| {
            let what = format!(
                "--listen: `{}` is not an address with a port, like 127.0.0.1:9090: {error}",
                args.listen
            );
            ConfigError(what)
        })?
        .collect();

    files::require("gateway", GATEWAY_FILES)?;
    let needs = [("connections", CONNECTIONS), ("itself", GATEWAY_FILES)];
    if let Some(shortage) = files::shortage(&needs, "") {
        out::note(&format!("notty: {shortage}"));
    }

    let practice = Practice::new(args.token.clone(), behaviour);
    out::wait_for_nobody()?;
    // One thread is enough for it, and leaves the other cores to what is tried.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut stop = Stop::listen()?;

        let listener = TcpListener::bind(&*addresses)
            .await
            .with_context(|| format!("--listen: cannot listen on {}", args.listen))?;
        let address = listener.local_addr()?;
        out::line(&format!(
            "practice gateway on http://{address}/v1/send, its page on http://{address}/"
        ));

        tokio::select! {
            served = practice.serve(listener) => Ok(served?),
            _ = stop.told() => Ok(()),
        }
    })
}

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
