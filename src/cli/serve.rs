//! `notty serve`: runs a node until a signal stops it.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    LogArgs,
    process::{raise_file_limit, warn_of_few_files},
    runtime, warn_of_strays,
};
use crate::{
    api::CONNECTIONS,
    config::{Config, NamedValue, Settings},
    server::{self, Server},
    surroundings::Surroundings,
    telemetry,
};

/// Time limit of a stop. Service managers kill a process that takes longer than about 20 s.
const STOP: Duration = Duration::from_millis(18_500);
/// Time that a stop waits for busy threads. Nothing that they would still write is needed.
const THREADS_STOP: Duration = Duration::from_secs(1);
/// Files that log, state, journal and runtime have open, generously.
const OWN_FILES: usize = 128;
/// Files for connections from and to other nodes and postmen by themselves.
const PEER_FILES: usize = 128;
/// Connections to the API that there must be, however few files the process may open.
const FEW_CONNECTIONS: usize = 16;

/// Logged by a node that is not a member any more; also its error message.
const REMOVED: &str = "this node was removed from the cluster; to add it again, empty its data directory, \
                       start it, and run `notty cluster add` for it";

#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    /// The configuration file; default: config.toml, if it exists
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory; overrides node.data_dir
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Listen address of the API; overrides api.listen
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    #[command(flatten)]
    log: LogArgs,
}

impl ServeArgs {
    fn config(&self) -> anyhow::Result<Config> {
        let option = |name: &str, key: &str, value: OsString| NamedValue {
            name: name.to_owned(),
            key: key.to_owned(),
            value,
        };
        let data_dir = self.data_dir.clone().map(OsString::from);
        let data_dir = data_dir.map(|dir| option("--data-dir", "node.data_dir", dir));
        let listen = self.listen.clone().map(OsString::from);
        let listen = listen.map(|listen| option("--listen", "api.listen", listen));

        let options: Vec<_> = data_dir.into_iter().chain(listen).collect();
        let settings = Settings::read(self.config.as_deref(), &options)?;
        let config = settings.checked(server::check_node)?;
        warn_of_strays();
        Ok(config)
    }
}

pub(super) fn run(args: &ServeArgs) -> anyhow::Result<()> {
    // First of all: from here on nothing waits for whoever reads stderr.
    telemetry::init(args.log.log_format);
    let config = args.config()?;
    let connections = connections(&config);
    let runtime = runtime()?;
    let served = runtime.block_on(serve(config, connections));
    runtime.shutdown_timeout(THREADS_STOP);
    served
}

/// Connections to the API for which there are files: the log and the state come first, because
/// without a file they end the node.
fn connections(config: &Config) -> usize {
    let limit = raise_file_limit();
    let concurrency = config.gateway.concurrency;
    let peers = if config.cluster.is_some() {
        PEER_FILES
    } else {
        0
    };

    let left = limit.saturating_sub(concurrency + OWN_FILES + peers);
    let connections = left.clamp(FEW_CONNECTIONS, CONNECTIONS);

    let needs = [
        ("gateway.concurrency", concurrency),
        ("the API", CONNECTIONS),
        ("the data", OWN_FILES),
        ("other nodes", peers),
    ];
    let consequence = format!(", so the API takes {connections} connections at once");
    warn_of_few_files(limit, &needs, &consequence);
    connections
}

/// Starts a server; none if a signal came before it stood.
async fn start(
    config: &Config,
    surroundings: Surroundings,
    terminate: &mut Signal,
    interrupt: &mut Signal,
) -> anyhow::Result<Option<Server>> {
    let config = config.clone();
    // A task of its own: opening the data may hold its thread for long.
    let starting = tokio::spawn(async move { Server::start(&config, surroundings).await });
    tokio::select! {
        started = starting => Ok(Some(started.context("the start ended early")??)),
        _ = terminate.recv() => Ok(None),
        _ = interrupt.recv() => Ok(None),
    }
}

async fn serve(config: Config, connections: usize) -> anyhow::Result<()> {
    // Heard from the start: a stop during a long start must not be lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let surroundings = Surroundings {
        connections,
        ..Surroundings::real()
    };
    let Some(server) = start(&config, surroundings, &mut terminate, &mut interrupt).await? else {
        tracing::info!("stopped during the start; the next start continues from the disk");
        return Ok(());
    };

    stop_on_damage(&server);
    let address = server.address();
    tracing::info!(
        "notty {} serves its API on http://{address} (documentation: http://{address}/docs), \
         data in {}",
        env!("CARGO_PKG_VERSION"),
        config.node.data_dir.display()
    );

    let removed = tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
        () = server.node().removed() => true,
    };
    let was_member = server.node().has_caught_up();
    if removed {
        tracing::warn!("{REMOVED}");
    }

    tracing::info!("stopping: requests in flight end, unsent messages are handed back");
    let stopping = tokio::time::timeout(STOP, server.stop());
    tokio::select! {
        stopped = stopping => match stopped {
            Ok(stopped) => stopped?,
            // All that was acknowledged is on the disk, and leases run out by themselves.
            Err(_) => tracing::warn!(
                "the stop took longer than {} s and was cut short; nothing acknowledged is lost, and \
                 the next start recovers",
                STOP.as_secs()
            ),
        },
        _ = interrupt.recv() => anyhow::bail!("stopped immediately by a second Ctrl-C"),
    }

    tracing::info!("stopped");
    // A node that ended because it was removed did what was asked of it; one that was started
    // although it was removed cannot do what it was started for.
    anyhow::ensure!(!removed || was_member, REMOVED);
    Ok(())
}

/// A panic inside sled, in whichever thread, means that the state cannot be trusted: it is marked,
/// and the next start rebuilds it.
fn stop_on_damage(server: &Server) {
    let node = server.node().clone();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        let place = panic.location().map(|location| location.file().to_owned());
        if place.is_some_and(|file| file.contains("/sled-")) {
            node.mark_suspect();
            telemetry::end_process(&[
                "a panic inside the state's database: the node ends, and the next start rebuilds the state",
            ]);
        }
    }));
}
