//! `notty postman`: runs a standalone postman until a signal stops it.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{LogArgs, files, runtime, signals::Stop, warn_of_strays};
use crate::{
    config::{Config, Settings},
    server, standalone,
    surroundings::Surroundings,
    telemetry,
    version::VERSION,
};

/// Time limit of a stop. Service managers kill a process that takes longer than about 20 s.
const STOP: Duration = Duration::from_millis(18_500);
/// Time that a stop waits for busy threads.
const THREADS_STOP: Duration = Duration::from_secs(1);
/// Files that journal, peers and runtime have open, generously.
const OWN_FILES: usize = 256;
/// The fewest files with which a postman starts; half of them are for connections to the gateway.
const LEAST_FILES: usize = 128;

#[derive(Debug, clap::Args)]
pub(super) struct PostmanArgs {
    /// The configuration file; default: config.toml, if it exists
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Serve /healthz, /readyz and /metrics at this address, like 127.0.0.1:8080; default: no port
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    #[command(flatten)]
    log: LogArgs,
}

pub(super) fn run(args: &PostmanArgs) -> anyhow::Result<()> {
    // First of all: from here on nothing waits for whoever reads stderr.
    telemetry::init(args.log.log_format);
    let mut config = Settings::read(args.config.as_deref(), &[])?.checked(server::check_postman)?;
    warn_of_strays();
    share_files(&mut config)?;
    tracing::info!("notty {VERSION} starts");
    let runtime = runtime()?;
    let sent = runtime.block_on(send(&config, args.metrics));
    runtime.shutdown_timeout(THREADS_STOP);
    sent
}

/// Lowers the number of requests in flight to that for which there are files.
fn share_files(config: &mut Config) -> anyhow::Result<()> {
    files::require("postman", LEAST_FILES)?;
    let wanted = config.gateway_terms().concurrency;
    let key = format!("{}.concurrency", config.gateway_section());
    let slots = files::for_gateway(wanted, LEAST_FILES / 2);
    config.lower_concurrency(slots);

    let needs = [(&*key, wanted), ("itself", OWN_FILES)];
    let consequence = format!(", so {slots} requests to the gateway are in flight");
    if let Some(shortage) = files::shortage(&needs, &consequence) {
        tracing::warn!("{shortage}");
    }
    Ok(())
}

async fn send(config: &Config, page: Option<SocketAddr>) -> anyhow::Result<()> {
    // Heard from the start: a stop while no cluster is found must not be lost.
    let mut signals = Stop::listen()?;
    let (stop, stopped) = watch::channel(false);

    let sending = standalone::run_with_page(config, surroundings(), page, stopped);
    tokio::pin!(sending);
    tokio::select! {
        // Nothing told it to: it was replaced, or cannot go on.
        ended = &mut sending => return ended,
        _ = signals.told() => {}
    }

    tracing::info!("stopping: requests in flight end, unsent messages are handed back");
    stop.send_replace(true);
    tokio::select! {
        ended = tokio::time::timeout(STOP, &mut sending) => match ended {
            Ok(ended) => ended?,
            // Its leases run out by themselves.
            Err(_) => tracing::warn!(
                "the stop took longer than {} s and was cut short; the next start reports the rest from \
                 the journal",
                STOP.as_secs()
            ),
        },
        () = signals.told_again() => anyhow::bail!("stopped immediately by a second Ctrl-C"),
    }

    tracing::info!("stopped");
    Ok(())
}

fn surroundings() -> Surroundings {
    let fatal = |line: &str| {
        let end = "the postman ends; its next start reports the results in its journal";
        telemetry::end_process(&[line, end])
    };
    Surroundings {
        fatal: Arc::new(fatal),
        ..Surroundings::real()
    }
}
