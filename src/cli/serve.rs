//! `notty serve`: runs a node until a signal stops it.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use anyhow::Context;

use super::{LogArgs, files, runtime, signals::Stop, warn_of_strays};
use crate::{
    api::CONNECTIONS,
    config::{Config, NamedValue, Settings},
    server::{self, Server},
    surroundings::Surroundings,
    telemetry,
    version::VERSION,
};

/// Time limit of a stop. Service managers kill a process that takes longer than about 20 s.
const STOP: Duration = Duration::from_millis(18_500);
/// Time that a stop waits for busy threads. Nothing that they would still write is needed.
const THREADS_STOP: Duration = Duration::from_secs(1);
/// Files that log, state, journal and runtime have open, generously.
const OWN_FILES: usize = 128;
/// Files for connections from and to other nodes and standalone postmen.
const PEER_FILES: usize = 128;
/// Connections to the API that there must be, however few files the process may open.
const FEW_CONNECTIONS: usize = 16;
/// Files for connections to the gateway without which a node is not worth its start.
const FEW_SLOTS: usize = 32;

/// Exit status of a node that is not a member any more. A service manager must not start it again:
/// `RestartPreventExitStatus` of the unit in `deploy/` names this number.
pub(super) const REMOVED_STATUS: u8 = 4;

/// This node is not a member of its cluster any more.
#[derive(Debug, thiserror::Error)]
#[error(
    "this node was removed from the cluster; to add it again, empty its data directory, start it, and run \
     `notty cluster add` for it"
)]
pub(super) struct Removed;

#[derive(Clone, Debug, clap::Args)]
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
        for advice in config.advice() {
            tracing::warn!("{advice}");
        }
        Ok(config)
    }
}

/// The configuration, and the connections that the API takes at once.
type Prepared = anyhow::Result<(Config, usize)>;

pub(super) fn run(args: &ServeArgs) -> anyhow::Result<()> {
    // First of all: from here on nothing waits for whoever reads stderr.
    telemetry::init(args.log.log_format);
    let runtime = runtime()?;
    let served = runtime.block_on(serve(args.clone()));
    runtime.shutdown_timeout(THREADS_STOP);
    served
}

/// Reads the configuration and shares out the files; none if a signal came before that.
async fn prepare(args: ServeArgs, stop: &mut Stop) -> anyhow::Result<Option<(Config, usize)>> {
    // In a thread of its own: the files that are read may be slow.
    let preparing = tokio::task::spawn_blocking(move || -> Prepared {
        let mut config = args.config()?;
        let connections = share_files(&mut config)?;
        Ok((config, connections))
    });
    tokio::select! {
        prepared = preparing => Ok(Some(prepared.context("the start ended early")??)),
        _ = stop.told() => Ok(None),
    }
}

/// Shares out the files that the process may open. The log and the state come first, because without a
/// file they end the node; then come connections to the gateway, and to the API, whose number is returned.
fn share_files(config: &mut Config) -> anyhow::Result<usize> {
    let has_peers = config.cluster.is_some();
    let peers = if has_peers { PEER_FILES } else { 0 };
    let own = OWN_FILES + peers + FEW_CONNECTIONS;
    files::require("serve", own + FEW_SLOTS)?;

    let wanted = config.gateway_terms().concurrency;
    let key = format!("{}.concurrency", config.gateway_section());
    let slots = files::for_gateway(wanted, own);
    config.lower_concurrency(slots);
    let left = files::limit().saturating_sub(slots + OWN_FILES + peers);
    let connections = left.clamp(FEW_CONNECTIONS, CONNECTIONS);

    let needs = [
        (&*key, wanted),
        ("the API", CONNECTIONS),
        ("the data", OWN_FILES),
        ("other nodes", peers),
    ];
    let consequence = format!(
        ", so the API takes {connections} connections at once, and {slots} requests to the gateway are in \
         flight"
    );
    if let Some(shortage) = files::shortage(&needs, &consequence) {
        tracing::warn!("{shortage}");
    }
    Ok(connections)
}

/// Starts a server; none if a signal came before it stood.
async fn start(
    config: &Config,
    surroundings: Surroundings,
    stop: &mut Stop,
) -> anyhow::Result<Option<Server>> {
    let config = config.clone();
    // A task of its own: opening the data may hold its thread for long.
    let starting = tokio::spawn(async move { Server::start(&config, surroundings).await });
    tokio::select! {
        started = starting => Ok(Some(started.context("the start ended early")??)),
        _ = stop.told() => Ok(None),
    }
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    // Heard from the start: a stop during a long start must not be lost.
    let mut stop = Stop::listen()?;
    let Some((config, connections)) = prepare(args, &mut stop).await? else {
        tracing::info!("stopped during the start, before the data were opened");
        return Ok(());
    };

    let surroundings = Surroundings {
        connections,
        ..Surroundings::real()
    };
    let Some(server) = start(&config, surroundings, &mut stop).await? else {
        tracing::info!("stopped during the start; the next start continues from the disk");
        return Ok(());
    };

    stop_on_damage(&server);
    let address = server.address();
    tracing::info!(
        "notty {} serves its API on http://{address} (documentation: http://{address}/docs), \
         data in {}",
        VERSION,
        config.node.data_dir.display()
    );

    let removed = tokio::select! {
        _ = stop.told() => false,
        () = server.node().removed() => true,
    };
    if removed {
        tracing::warn!("{Removed}");
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
        () = stop.told_again() => anyhow::bail!("stopped immediately by a second Ctrl-C"),
    }

    tracing::info!("stopped");
    if removed { Err(Removed.into()) } else { Ok(()) }
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
